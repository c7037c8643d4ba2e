"""Copying the data disk: only allocated data, with progress, verified by a digest.

A run of zeros becomes a hole in the copy where the file system supports holes (FAT gets the zeros). The digest skips
zeros, so that source and copy are compared by their data.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, fail
from backend.messages import message

_BLOCK: Final = 1_048_576
_SPARE_BYTES: Final = 536_870_912
"""Space that has to stay free on the target's disk."""

Tick = Callable[[float], None]
"""Called with the progress, 0 to 1; may raise to abort the copy."""


def check_target(source: Path, directory: Path, target: Path) -> None:
    """Check that the disk can be copied to `target`, a file in `directory`.

    Raises:
        WherryError: BAD_REQUEST or HOST_DISK_FULL.
    """
    if not directory.is_dir():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("{path} isn't a folder.", path=directory),
            hint=message("Create it first, or connect its drive."),
        )
    is_own = not hasattr(os, "getuid") or directory.stat().st_uid == os.getuid()
    if not is_own or not os.access(directory, os.W_OK | os.X_OK):
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("{path} isn't yours or isn't writable.", path=directory),
            command=f"ls -ld {directory}",
            hint=message("Choose a folder that belongs to you: the disk contains all data of your containers."),
        )
    if target.exists() or target.is_symlink():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "{folder} already contains {name}, which isn't overwritten.",
                name=target.name,
                folder=directory,
            ),
            hint=message("Move it away, or choose another folder."),
        )
    required = _allocated_bytes(source) + _SPARE_BYTES
    free = shutil.disk_usage(directory).free
    if free < required:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            message(
                "The disk needs {required} MiB and some spare space; {folder} has {free} MiB free.",
                required=required // 1024**2,
                folder=directory,
                free=free // 1024**2,
            ),
            command=f"df -h {directory}",
            hint=message("Free up some space there, or choose another folder. Nothing was changed."),
        )


def copy(source: Path, target: Path, tick: Tick) -> str:
    """Copy the data of `source` to the new file `target`, flush it to disk, and return its digest.

    Raises:
        OSError: `target` may be incomplete then.
    """
    size = source.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as written:
        for at, block in _blocks(source, size, tick):
            digest.update(at.to_bytes(8, "little"))
            digest.update(block)
            written.seek(at)
            written.write(block)
        written.truncate(size)
        written.flush()
        os.fsync(written.fileno())
        _forget_cached(written.fileno())
    return digest.hexdigest()


def digest_of(path: Path, tick: Tick) -> str:
    """Compute the digest of a file, in the form that `copy` returns. Raises OSError."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    for at, block in _blocks(path, size, tick):
        digest.update(at.to_bytes(8, "little"))
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path, size: int, tick: Tick) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks that are not all zeros, with their offsets."""
    zeros = bytes(_BLOCK)
    with path.open("rb", buffering=0) as file:
        at = 0
        while at < size:
            data = _next_data(file.fileno(), at)
            if data is None:
                break
            at = data // _BLOCK * _BLOCK
            tick(at / size)
            file.seek(at)
            block = _read(file.fileno(), min(_BLOCK, size - at))
            if block != zeros[: len(block)]:
                yield at, block
            at += _BLOCK
    tick(1.0)


def _read(descriptor: int, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = os.read(descriptor, size - len(pieces))
        if not piece:
            break
        pieces += piece
    return bytes(pieces)


def _next_data(descriptor: int, at: int) -> int | None:
    """Offset of the next data at or after `at`; None when only holes follow."""
    if not hasattr(os, "SEEK_DATA"):
        return at
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        return None if error.errno == errno.ENXIO else at


def _allocated_bytes(path: Path) -> int:
    status = path.stat()
    blocks = getattr(status, "st_blocks", None)
    return blocks * 512 if blocks is not None else status.st_size


def _forget_cached(descriptor: int) -> None:
    """Drop the page cache, so that verification reads the disk and not memory."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
