"""The lines of a log, addressed by number: eight bytes of memory for each, the text on disk.

Numbers start at 0 and never change; when the oldest lines are dropped, `first` increases.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from app.features.logs.data.spill import Spill
from backend.api import LOG_HEADER_BYTES, LOG_LINE_BYTES

MAX_LINES: Final = 5_000_000
"""This many lines take 40 MB of memory."""
SOURCE_BITS: Final = 12
MAX_SOURCES: Final = 1 << SOURCE_BITS
_SOURCE_MASK: Final = MAX_SOURCES - 1
_CHUNK: Final = 1 << 16
_CHUNK_MASK: Final = _CHUNK - 1
_SPAN_BYTES: Final = 4_194_304
_RECORD_BYTES: Final = LOG_HEADER_BYTES + LOG_LINE_BYTES + 1


class Record(NamedTuple):
    """A stored line."""

    source: int
    """Index of the container that wrote it."""
    stream: int
    """1: standard output, 2: standard error."""
    cut: int
    """Number of bytes cut from its end."""
    untrusted_line: bytes
    """With its time, without its line feed."""


_LOST: Final = Record(0, 1, 0, b"")


class LogBuffer:
    """The store of lines. One writer at a time, any number of readers."""

    def __init__(self, spill: Spill, max_lines: int = MAX_LINES) -> None:
        self._spill = spill
        self._max_lines = max_lines
        self._chunks: list[array[int]] = []
        self._skipped = 0
        self._dropped_bytes = 0
        self._first = 0
        self._end = 0
        self._lock = threading.Lock()
        self.is_closed = False
        self.grown = threading.Condition()
        """Notified when lines were added, or the buffer was closed."""

    @property
    def first(self) -> int:
        """Number of the oldest stored line."""
        return self._first

    @property
    def end(self) -> int:
        """Number of the next line."""
        return self._end

    def keep(self, untrusted_data: bytes) -> int:
        """Write records to disk. Returns the offset of the first byte, to build entries for `add`. Raises OSError."""
        return self._spill.append(untrusted_data)

    def add(self, entries: Sequence[int]) -> None:
        """Append lines. An entry is the record's offset, shifted by `SOURCE_BITS`, plus the index of its source."""
        with self._lock:
            if self.is_closed:
                return
            at = 0
            while at < len(entries):
                if not self._chunks or len(self._chunks[-1]) == _CHUNK:
                    self._chunks.append(array("Q"))
                chunk = self._chunks[-1]
                part = entries[at : at + _CHUNK - len(chunk)]
                chunk.extend(part)
                at += len(part)
            self._end += len(entries)
            self._drop()
        with self.grown:
            self.grown.notify_all()

    def record(self, number: int) -> Record:
        """One line; empty if it was dropped in the meantime."""
        return next(self.records(number, number + 1), _LOST)

    def records(self, start: int, stop: int) -> Iterator[Record]:
        """The existing lines in `range(start, stop)`: one record for each number, empty if dropped."""
        for data, group, base in self._read(start, stop):
            for entry in group:
                yield _record(data, (entry >> SOURCE_BITS) - base, entry & _SOURCE_MASK)

    def untrusted_lines(self, start: int, stop: int) -> list[bytes]:
        """Only the bytes of the lines, with their times: a fast way to process many."""
        lines: list[bytes] = []
        for data, group, base in self._read(start, stop):
            for entry in group:
                at = (entry >> SOURCE_BITS) - base
                lines.append(data[at + 8 : at + 7 + int.from_bytes(data[at + 4 : at + 8], "big")])
        return lines

    def _read(self, start: int, stop: int) -> Iterator[tuple[bytes, Sequence[int], int]]:
        """Yield blocks of bytes read from disk, the entries of the lines in each, and the offset of its first byte."""
        with self._lock:
            stop = min(stop, self._end)
            entries = self._entries(max(start, self._first), stop)
        if (lost := stop - start - len(entries)) > 0:
            yield b"", [0] * lost, 0
        for group in _groups(entries):
            base = min(group) >> SOURCE_BITS
            yield self._spill.read(base, (max(group) >> SOURCE_BITS) - base + _RECORD_BYTES), group, base

    def close(self) -> None:
        """Free memory and disk. Lines read later are empty."""
        self._spill.close()
        with self._lock:
            self.is_closed = True
            self._first = self._end
            self._chunks.clear()
            self._skipped = self._end
        with self.grown:
            self.grown.notify_all()

    def _entries(self, start: int, stop: int) -> array[int]:
        entries = array("Q")
        while start < stop:
            place = start - self._skipped
            chunk = self._chunks[place >> 16]
            part = chunk[place & _CHUNK_MASK : (place & _CHUNK_MASK) + stop - start]
            entries += part
            start += len(part)
        return entries

    def _drop(self) -> None:
        while len(self._chunks) > 1 and self._end - self._skipped - _CHUNK >= self._max_lines:
            self._forget_chunk()
        oldest = self._spill.first
        if oldest == self._dropped_bytes:
            return
        self._dropped_bytes = oldest
        while self._chunks and max(self._chunks[0]) >> SOURCE_BITS < oldest and len(self._chunks) > 1:
            self._forget_chunk()
        if self._chunks:
            # Merged lines are not exactly in disk order: drop all up to the last one that is lost.
            chunk = self._chunks[0]
            dropped = next((at for at in range(len(chunk) - 1, -1, -1) if chunk[at] >> SOURCE_BITS < oldest), -1)
            self._first = max(self._first, self._skipped + dropped + 1)

    def _forget_chunk(self) -> None:
        self._skipped += len(self._chunks.pop(0))
        self._first = max(self._first, self._skipped)


def _groups(entries: array[int]) -> Iterator[array[int]]:
    """Runs of lines whose records are close enough to be read together. Merged lines are not in order."""
    if not entries:
        return
    if len(entries) > 1 and (max(entries) - min(entries)) >> SOURCE_BITS > _SPAN_BYTES:
        middle = len(entries) // 2
        yield from _groups(entries[:middle])
        yield from _groups(entries[middle:])
    else:
        yield entries


def _record(data: bytes, at: int, source: int) -> Record:
    size = int.from_bytes(data[at + 4 : at + 8], "big")
    text_at = at + LOG_HEADER_BYTES
    if size == 0 or text_at + size > len(data):
        return _LOST
    return Record(source, data[at], int.from_bytes(data[at + 1 : at + 4], "big"), data[text_at : text_at + size - 1])
