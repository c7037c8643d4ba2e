"""Finding the end of an HTTP/1.1 body while its bytes are forwarded unchanged (RFC 9112, sections 6 and 7).

h11 would decode each chunk and the proxy encode it again, copying every byte twice. These trackers only count.
tests/unit/engine/front/test_http_head.py compares them with h11 on random bodies.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Protocol

from backend.engine.front.http_head import Framing

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n\Z")
_NEXT_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
"""The usual bytes between two chunks: the line end after the data, and a size without an extension."""
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00\r\n]*\r\n\Z")
_FOLDED = re.compile(rb"[ \t][^\x00\r\n]*\r\n\Z")
"""A continuation line of a trailer, which RFC 9112, section 5.2, still allows."""
_LINE_LIMIT_BYTES = 16 * 1024
_TRAILER_LIMIT_BYTES = 64 * 1024


class BadFraming(Exception):  # noqa: N818 -- named as what it is; never leaves the front
    """The body does not match the framing announced in its head."""


class BodyTracker(Protocol):
    """Tracks one body."""

    complete: bool
    """Whether the body has ended."""

    def feed(self, data: bytes) -> int:
        """Process the next bytes. Returns how many of them belong to the body. Raises BadFraming."""
        ...


def track(framing: Framing, length: int) -> BodyTracker:
    """Create the tracker for a framing; already complete when there is no body."""
    if framing is Framing.CHUNKED:
        return ChunkedTracker()
    if framing is Framing.UNTIL_CLOSE:
        return UntilCloseTracker()
    return LengthTracker(length)


class LengthTracker:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> int:
        """See BodyTracker."""
        used = min(len(data), self._left)
        self._left -= used
        self.complete = self._left == 0
        return used


class UntilCloseTracker:
    """A body that ends when the connection closes."""

    complete = False

    def feed(self, data: bytes) -> int:
        """See BodyTracker."""
        return len(data)


class _State(Enum):
    SIZE = auto()  # in the line with a chunk's size
    DATA = auto()
    DATA_END = auto()  # in the line end after a chunk
    TRAILERS = auto()


class ChunkedTracker:
    """A chunked body, with extensions and trailers. Buffers only the current line."""

    def __init__(self) -> None:
        self.complete = False
        self._state = _State.SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> int:
        """See BodyTracker."""
        position = 0
        end = len(data)
        while position < end and not self.complete:
            if self._state is _State.DATA:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                if self._left:
                    continue
                self._state = _State.DATA_END
                match = _NEXT_CHUNK.match(data, position)
                if match is not None:
                    self._begin_chunk(int(match[1], 16))
                    position = match.end()
                continue
            newline = data.find(b"\n", position)
            stop = end if newline < 0 else newline + 1
            self._line += data[position:stop]
            position = stop
            if len(self._line) > _LINE_LIMIT_BYTES:
                raise BadFraming("a line between the chunks is too long")
            if newline >= 0:
                line, self._line = self._line, b""
                self._take_line(line)
            elif self._state is _State.DATA_END and not b"\r\n".startswith(self._line):
                raise BadFraming("a chunk is longer than its size says")
        return position

    def _begin_chunk(self, size: int) -> None:
        self._left = size
        self._state = _State.DATA if size else _State.TRAILERS

    def _take_line(self, line: bytes) -> None:
        if self._state is _State.SIZE:
            match = _CHUNK_SIZE.match(line)
            if match is None:
                raise BadFraming("a chunk's size is malformed")
            self._begin_chunk(int(match[1], 16))
        elif self._state is _State.DATA_END:
            if line != b"\r\n":
                raise BadFraming("a chunk is longer than its size says")
            self._state = _State.SIZE
        elif line == b"\r\n":
            self.complete = True
        else:
            is_field = _TRAILER.match(line) or (self._trailer_bytes and _FOLDED.match(line))
            self._trailer_bytes += len(line)
            if not is_field or self._trailer_bytes > _TRAILER_LIMIT_BYTES:
                raise BadFraming("the trailers are malformed")


def dechunk(raw: bytes) -> bytes:
    """Decode a complete chunked body that a ChunkedTracker has accepted."""
    content = bytearray()
    position = 0
    while True:
        newline = raw.index(b"\n", position)
        size = int(raw[position:newline].partition(b";")[0], 16)
        if size == 0:
            return bytes(content)
        content += raw[newline + 1 : newline + 1 + size]
        position = newline + 1 + size + 2
