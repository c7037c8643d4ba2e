"""Temporary storage on disk in unnamed files, of which the oldest are dropped at a limit.

An unnamed file is deleted with its last handle, however the process ends, so a killed window leaves nothing behind.
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
    """Append-only storage, addressed by offset. Thread-safe."""

    def __init__(
        self, directory: Path | None = None, *, limit: int = DISK_LIMIT_BYTES, segment: int = SEGMENT_BYTES
    ) -> None:
        """Storage is empty at first.

        Args:
            directory: directory of the files; None, or one that cannot be written: the system's temporary directory.
            limit: number of bytes kept at least, in whole segments.
            segment: bytes per file.
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
        """The oldest readable offset."""
        with self._lock:
            return self._files[0][0] if self._files else self._end

    def append(self, data: bytes) -> int:
        """Append `data`. Returns its offset. Raises OSError, for example for a full disk."""
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
        """Up to `size` bytes from `start`, fewer at the end; b"" for dropped data."""
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
        """Free the disk space. Later reads return b""."""
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
