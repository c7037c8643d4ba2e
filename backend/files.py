"""Writing the machine's own small files: whole or not at all, private to the user."""

from __future__ import annotations

import errno
import itertools
import os
import re
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode

UNFINISHED: Final = re.compile(r"\..+\.(?P<pid>[0-9]{1,10})\.new")
"""Names of files that are being written, with the writer's process id; one whose writer is gone is of no use."""
_NUMBERS: Final = itertools.count()
"""Two threads that write the same file each have one of their own until it is whole."""


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` in one step, mode 0600, durable when it returns. Raises OSError; then the old content stays."""
    temporary = path.with_name(f".{path.name}.{next(_NUMBERS)}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def explain_os_error(error: OSError) -> Problem:
    """What it means for the machine that a file of it could not be read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(
            code=ProblemCode.HOST_DISK_FULL,
            summary="The disk that holds the machine is full.",
            command=str(error.filename or ""),
            hint="Free some space, then start the machine again. Nothing of it was lost.",
            retryable=True,
        )
    return Problem(
        code=ProblemCode.PATH_UNUSABLE,
        summary=f"A file of the machine cannot be used: {error.strerror or error}.",
        command=str(error.filename or ""),
        hint="Check that the machine's home belongs to you: wherry doctor",
    )
