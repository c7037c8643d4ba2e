"""Writing cpio archives in the ``newc`` format that the kernel unpacks. Output is reproducible."""

from __future__ import annotations

import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file: `mode` with its type bits, `data` (content or link target), `device` (major, minor)."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> ArchiveEntry:
    """A directory, mode 755."""
    return ArchiveEntry(path, stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, mode: int = 0o644) -> ArchiveEntry:
    """A regular file."""
    return ArchiveEntry(path, stat.S_IFREG | mode, data)


def symlink(path: str, target: str) -> ArchiveEntry:
    """A symbolic link."""
    return ArchiveEntry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> ArchiveEntry:
    """A character device, mode 600."""
    return ArchiveEntry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: list[ArchiveEntry], timestamp: int) -> bytes:
    """Build an archive of all `entries` in order, owned by root, with `timestamp` (seconds) as modification time.

    Raises ValueError for a path that is absolute, has a ``..`` part, or occurs twice.
    """
    parts: list[bytes] = []
    seen: set[str] = set()
    for inode, entry in enumerate(entries, start=1):
        if entry.path.startswith("/") or ".." in entry.path.split("/") or entry.path in seen or not entry.path:
            raise ValueError(f"bad or repeated path in a cpio archive: {entry.path!r}")
        seen.add(entry.path)
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        parts.append(_record(entry, inode=inode, links=links, timestamp=timestamp))
    parts.append(_record(ArchiveEntry("TRAILER!!!", 0), inode=0, links=1, timestamp=0))
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % 512)


def _record(entry: ArchiveEntry, *, inode: int, links: int, timestamp: int) -> bytes:
    name, data = entry.path.encode() + b"\0", entry.data
    fields = (inode, entry.mode, 0, 0, links, timestamp, len(data), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
