"""Lines out of a stream of bytes, none longer than the protocol allows. No I/O here.

lines = LineBuffer()
lines.receive(data)
while (line := lines.next_line()) is not None: ...
"""

from __future__ import annotations

from typing import Final

from backend.errors import ProblemCode, fail

MAX_LINE_BYTES: Final = 1_048_576
"""A longer line is an error: neither side ever has a reason to send one."""


class LineBuffer:
    """Holds what was received and not yet taken: at most one line, and what came with its end."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """No newline before this place."""

    def receive(self, data: bytes) -> None:
        """Append what the stream gave."""
        self._buffer += data

    def next_line(self) -> bytes | None:
        """Take the next whole line, without its newline; None: more has to be received first.

        Raises:
            WherryError: BAD_REQUEST, the line is longer than MAX_LINE_BYTES. The stream cannot be used any further.
        """
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > MAX_LINE_BYTES:
            raise fail(ProblemCode.BAD_REQUEST, "A line on the control channel is too long.")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def clear(self) -> None:
        """Forget what was received: another stream begins."""
        self._buffer.clear()
        self._searched = 0
