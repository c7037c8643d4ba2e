"""Space used only by each snapshot of a qcow2 file: what deleting the snapshot would free.

qemu-img does not report it, but the file contains it: the clusters in a snapshot's tables with a reference count of
one. A shared table has a higher count, and so has everything it refers to, so only tables that have changed are read: a
few of 64 KiB each. While QEMU writes to the disk, the figures are those of its last flush.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQI")
_ENTRY: Final = struct.Struct(">QIHHIIQII")
"""Start of a snapshot table entry, up to the length of its extra data."""
_MAGIC: Final = b"QFI\xfb"
_DIRTY: Final = 1
"""The only incompatible feature that does not matter here."""
_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED: Final = 1 << 62
_MAX_TABLE_BYTES: Final = 32 * 1024**2
_MAX_SNAPSHOTS: Final = 65_536
_MOST_BYTES: Final = 1024**3
"""Read limit for all tables together: more means that they are damaged."""


def held_alone(path: Path) -> dict[str, int]:
    """Bytes by the snapshot's number in the disk; empty when the file is not in our format.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            return _Disk(file).held_alone()
        except (ValueError, struct.error):
            return {}  # a table with an invalid offset: the disk is being written, or is damaged, which others report


class _Disk:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self._left = _MOST_BYTES
        header = _HEADER.unpack(self._read(0, _HEADER.size))
        magic, version, _, _, cluster_bits, _, _, _, _, table, table_clusters, count, snapshots, features = header[:14]
        order = header[16]
        if magic != _MAGIC or version != 3 or order != 4 or features & ~_DIRTY or not 9 <= cluster_bits <= 21:
            raise ValueError("not a disk of the form that is made here")
        self._cluster: int = 1 << cluster_bits
        self._bits = cluster_bits
        self._refcount_table = self._words(table, table_clusters * self._cluster)
        self._refcounts: dict[int, array[int]] = {}
        self._count = min(count, _MAX_SNAPSHOTS)
        self._snapshots = snapshots

    def held_alone(self) -> dict[str, int]:
        return {number: self._alone(l1, entries) for number, l1, entries in self._entries()}

    def _entries(self) -> Iterator[tuple[str, int, int]]:
        """Number, and offset and length of the first table, of each snapshot."""
        at = self._snapshots
        for _ in range(self._count):
            l1, entries, id_bytes, name_bytes, _, _, _, _, extra = _ENTRY.unpack(self._read(at, _ENTRY.size))
            number = self._read(at + _ENTRY.size + extra, id_bytes).decode("utf-8", errors="replace")
            yield number, l1, entries
            at += (_ENTRY.size + extra + id_bytes + name_bytes + 7) & ~7

    def _alone(self, l1: int, entries: int) -> int:
        clusters: int = 0
        for word in self._words(l1, entries * 8):
            l2 = word & _OFFSET
            if not l2 or self._refcount(l2) != 1:
                continue
            clusters += 1
            for entry in self._words(l2, self._cluster):
                if entry & _OFFSET and not entry & _COMPRESSED and self._refcount(entry & _OFFSET) == 1:
                    clusters += 1
        return clusters * self._cluster

    def _refcount(self, offset: int) -> int:
        block, index = divmod(offset >> self._bits, self._cluster // 2)
        if block not in self._refcounts:
            place = self._refcount_table[block] & _OFFSET if block < len(self._refcount_table) else 0
            counts = array("H", self._read(place, self._cluster) if place else bytes(self._cluster))
            if sys.byteorder == "little":
                counts.byteswap()
            self._refcounts[block] = counts
        return int(self._refcounts[block][index])

    def _words(self, offset: int, length: int) -> array[int]:
        words = array("Q", self._read(offset, length))
        if sys.byteorder == "little":
            words.byteswap()
        return words

    def _read(self, offset: int, length: int) -> bytes:
        self._left -= length
        if length > _MAX_TABLE_BYTES or self._left < 0:
            raise ValueError("the tables are too long")
        if offset + length > self._size:
            raise ValueError("a table points beyond the file's end")
        self._file.seek(offset)
        content = self._file.read(length)
        if len(content) != length:
            raise ValueError("the file was cut")
        return content
