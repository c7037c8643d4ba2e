"""Writing small files of the machine: atomic, flushed to disk, private to the user."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode
from backend.messages import message

UNFINISHED: Final = re.compile(r"\..+\.(?P<pid>[0-9]{1,10})\.new")
"""Names of files that are being written, with the writer's process id; one whose writer is gone is of no use."""
_NO_SYNC: Final = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that cannot sync directories: some network and FUSE file systems."""
_NUMBERS: Final = itertools.count()
"""Gives each thread that writes the same file its own temporary name."""


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` atomically, mode 0600, flushed to disk on return.

    Raises:
        OSError: the old content remains, or the new one is in place and may be lost in a power failure.
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
    """Flush created and removed names of a directory to disk, if the system supports it. Raises OSError."""
    with contextlib.suppress(PermissionError):  # Windows has no descriptors for directories, and needs no sync
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(descriptor)


def explain_os_error(error: OSError) -> Problem:
    """The problem that an error of reading or writing the machine's files means for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(
            code=ProblemCode.HOST_DISK_FULL,
            summary=message("This computer's disk is full."),
            command=str(error.filename or ""),
            hint=message("Free up some space, then start the machine again. Nothing was lost."),
            retryable=True,
        )
    return Problem(
        code=ProblemCode.PATH_UNUSABLE,
        summary=message("A file of the machine can't be used: {error}.", error=error.strerror or error),
        command=str(error.filename or ""),
        hint=message("Check that the machine's folder belongs to you: wherry doctor"),
    )
