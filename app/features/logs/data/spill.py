"""Bytes on disk that nobody else sees or has to clean up: nameless files, the oldest dropped when they are many.

A nameless file goes with the last handle on it, however the process ends: nothing is left behind by a killed window.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import IO, Final

DISK_LIMIT_BYTES: Final = 2 * 1024**3
SEGMENT_BYTES: Final = 64 * 1024**2


class Spill:
    """Append-only, addressed by the offset since the beginning. May be used from several threads."""

    def __init__(
        self, directory: Path | None = None, *, limit: int = DISK_LIMIT_BYTES, segment: int = SEGMENT_BYTES
    ) -> None:
        """
        Args:
            directory: where the files are; None, or one that cannot be written, is the system's for temporary files.
            limit: bytes that are kept at least, as long as they fit into whole segments.
            segment: bytes in one file.
        """
        self._directory = directory
        self._limit = limit
        self._segment = segment
        self._lock = threading.Lock()
        self._files: deque[tuple[int, IO[bytes]]] = deque()
        self._end = 0
        self._closed = False

    @property
    def first(self) -> int:
        """The oldest offset that can still be read."""
        with self._lock:
            return self._files[0][0] if self._files else self._end

    def append(self, data: bytes) -> int:
        """Keep `data`, which is read back within one file; gives its offset. Raises OSError, as for a full disk."""
        with self._lock:
            if self._closed:
                return self._end
            if not self._files or self._end - self._files[-1][0] >= self._segment:
                self._files.append((self._end, self._make()))
            base, file = self._files[-1]
            file.seek(self._end - base)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            at = self._end
            self._end += len(data)
            while len(self._files) > 1 and self._end - self._files[1][0] >= self._limit:
                self._files.popleft()[1].close()
            return at

    def read(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start`, fewer at the end; b"" for what was dropped."""
        parts = []
        with self._lock:
            for number, (base, file) in enumerate(self._files):
                after = self._files[number + 1][0] if number + 1 < len(self._files) else self._end
                if size <= 0 or start < base:
                    break
                if start < after:
                    file.seek(start - base)
                    part = file.read(min(size, after - start))
                    parts.append(part)
                    start += len(part)
                    size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Give the disk back. What is read after it is empty."""
        with self._lock:
            self._closed = True
            for _, file in self._files:
                file.close()
            self._files.clear()

    def _make(self) -> IO[bytes]:
        if self._directory is not None:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                return tempfile.TemporaryFile(dir=self._directory, buffering=0)
            except OSError:
                self._directory = None
        return tempfile.TemporaryFile(buffering=0)
