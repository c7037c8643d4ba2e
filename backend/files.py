"""Writing the machine's own small files: whole or not at all, durable, private to the user."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode

UNFINISHED: Final = re.compile(r"\..+\.(?P<pid>[0-9]{1,10})\.new")
"""Names of files that are being written, with the writer's process id; one whose writer is gone is of no use."""
_NO_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)
"""Of file systems that have no such thing for directories: some of networks, some that programs offer."""
_NUMBERS: Final = itertools.count()
"""Two threads that write the same file each have one of their own until it is whole."""


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` in one step, mode 0600, durable when it returns.

    Raises:
        OSError: the old content stays, or the new one is there and may not outlive a power cut.
    """
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
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names that were written or removed in a directory durable, where the system can. Raises OSError."""
    with contextlib.suppress(PermissionError):  # Windows has no descriptors for directories, nor needs one
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


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
