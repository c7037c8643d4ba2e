"""Writes cpio archives of the ``newc`` kind, the only one the kernel unpacks, the same bytes for the same input."""

from __future__ import annotations

import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: `mode` with its type bits (as in ``stat``), `data` is content or link target, `device` (major, minor)."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """A directory, mode 755."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | mode, data)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device, mode 600."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: list[Entry], timestamp: int) -> bytes:
    """All `entries` in their order, owned by root, with `timestamp` (seconds) as the time of each.

    ValueError for a path that is absolute, has a ``..`` part, or occurs twice.
    """
    parts: list[bytes] = []
    seen: set[str] = set()
    for inode, entry in enumerate(entries, start=1):
        if entry.path.startswith("/") or ".." in entry.path.split("/") or entry.path in seen or not entry.path:
            raise ValueError(f"bad or repeated path in a cpio archive: {entry.path!r}")
        seen.add(entry.path)
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        parts.append(_record(entry.path, inode, entry.mode, links, timestamp, entry.data, entry.device))
    parts.append(_record("TRAILER!!!", 0, 0, 1, 0, b"", (0, 0)))
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % 512)


def _record(path: str, inode: int, mode: int, links: int, time: int, data: bytes, device: tuple[int, int]) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, links, time, len(data), 0, 0, device[0], device[1], len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
