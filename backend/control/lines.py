"""Splits received bytes into lines of bounded length. Does no I/O.

lines = LineBuffer()
lines.receive(data)
while (line := lines.next_line()) is not None: ...
"""

from __future__ import annotations

from typing import Final

from backend.errors import ProblemCode, fail
from backend.messages import message

MAX_LINE_BYTES: Final = 1_048_576
"""Longest allowed line. Neither side has a reason to send a longer one."""


class LineBuffer:
    """Buffers received bytes until they form lines."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """The buffer has no newline before this index, so it is not searched again."""

    def receive(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data

    def next_line(self) -> bytes | None:
        """Remove and return the next complete line, without its newline; None if more bytes are needed.

        Raises:
            WherryError: BAD_REQUEST, the line is longer than MAX_LINE_BYTES. The stream cannot be used any further.
        """
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > MAX_LINE_BYTES:
            raise fail(ProblemCode.BAD_REQUEST, message("A line on the control channel is too long."))
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def clear(self) -> None:
        """Discard all bytes, for use with another stream."""
        self._buffer.clear()
        self._searched = 0
