"""Splitting the bytes of the engine's log answer into records, one for each line, without copying where possible.

The engine sends each line of a log as a chunk (RFC 9112, section 7.1) that contains a frame with the time and text:

7a CR LF | stream 0 0 0 length(4, big endian) | 2026-11-23T22:51:33.100000000Z SP text LF | CR LF

Parsing each layer with a library costs some ten microseconds a line, too much for a million lines. So a whole block is
scanned at once, and the result is the block itself with the offsets of its frames. All other forms (a line in several
frames, several lines in one, a terminal's log without frames, chunks that end anywhere) are rewritten in the same form
and appended to the block.

A record is a frame: the stream (1 or 2), three bytes with the number of bytes cut from the line, four of length, then
the time and a space (if the engine gave one), the text, a line feed. The text is as written by the container.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

LOG_LINE_BYTES: Final = 16_384
"""Longer lines are cut, the time included. The engine splits lines at 16 KiB of text and gives each part a time."""
LOG_HEADER_BYTES: Final = 8
LOG_TIME_BYTES: Final = 30
"""The engine's times always have nine decimals, so they can be compared as text."""
FRAMED_BY_TYPE: Final = {
    "application/vnd.docker.multiplexed-stream": True,
    "application/vnd.docker.raw-stream": False,
}
"""By content type: whether the answer has frames. A terminal's log is a single stream without frames; engines before 25
do not say which it is."""
_BLOCK_BYTES: Final = 262_144
_MAX_FRAME_BYTES: Final = 65_536
_MAX_SIZE_BYTES: Final = 18
_MAX_CUT: Final = 0xFF_FFFF
_TIME: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z ")


class LogBlock(NamedTuple):
    """A block of records."""

    untrusted_data: bytes
    starts: list[int]
    """Offsets of the records, in order."""


def log_record(untrusted_line: bytes, *, stream: int = 1, cut: int = 0) -> bytes:
    """Create a record from a line without its line feed. `cut`: number of bytes missing at its end."""
    return b"%c%b%b%b\n" % (
        stream,
        min(cut, _MAX_CUT).to_bytes(3),
        (len(untrusted_line) + 1).to_bytes(4),
        untrusted_line,
    )


class _Line:
    """An incomplete line. Holds at most `LOG_LINE_BYTES`."""

    __slots__ = ("cut", "held")

    def __init__(self) -> None:
        self.held = bytearray()
        self.cut = 0

    def __bool__(self) -> bool:
        return bool(self.held or self.cut)

    def hold(self, untrusted_part: bytes) -> None:
        room = LOG_LINE_BYTES - len(self.held)
        self.held += untrusted_part[:room]
        self.cut += max(0, len(untrusted_part) - room)

    def finish(self, stream: int) -> bytes:
        record = log_record(bytes(self.held), stream=stream, cut=self.cut)
        self.held.clear()
        self.cut = 0
        return record


class LogRecords:
    """Parser for the bytes of one answer. Raises ValueError when they are not a log answer."""

    def __init__(self, *, chunked: bool, framed: bool) -> None:
        """Start at the beginning of an answer.

        Args:
            chunked: the bytes still have HTTP's chunked coding.
            framed: the container has no terminal.
        """
        self.chunked = chunked
        self._framed = framed
        self._rest = b""
        self._chunk_left = 0
        self._frame = bytearray()
        self._part_left = 0
        self._part_stream = 1
        self._lines = {1: _Line(), 2: _Line()}
        self.ended = False
        """Whether the last chunk of the body has arrived."""

    def feed(self, untrusted_block: bytes) -> LogBlock:
        """Parse more bytes. Returns the completed lines."""
        if self.chunked:
            return self._feed_chunks(self._rest + untrusted_block)
        return _block(b"", [], self._feed_payload(untrusted_block))

    def end(self) -> LogBlock:
        """The last line, if it had no line feed."""
        return _block(b"", [], [line.finish(stream) for stream, line in self._lines.items() if line])

    def _feed_chunks(self, data: bytes) -> LogBlock:
        starts: list[int] = []
        appended: list[bytes] = []
        behind = total = len(data)
        find, from_bytes, note = data.find, int.from_bytes, starts.append
        at = 0
        if self._chunk_left:
            at = self._go_on(data, appended)
            behind = _place(appended, starts, behind)
        plain = self._framed and self._at_boundary
        while not self.ended and not self._chunk_left:
            cut = find(b"\r\n", at, at + _MAX_SIZE_BYTES)
            if cut < 0:
                if total - at >= _MAX_SIZE_BYTES:
                    raise ValueError("a chunk without a size")
                break
            size = int(data[at:cut], 16)
            start = cut + 2
            end = start + size
            if end + 2 <= total:
                at = end + 2
                if (
                    plain
                    and 8 < size <= LOG_LINE_BYTES
                    and from_bytes(data[start + 4 : start + 8], "big") + 8 == size
                    and find(b"\n", start + 8, end) == end - 1
                    and data[start] - 1 in (0, 1)
                ):
                    note(start)
                    continue
                if size <= 0:
                    if size < 0:
                        raise ValueError("a chunk of a negative size")
                    self.ended = True
                    break
                records = self._feed_payload(data[start:end])
                appended += records
                behind = _place(records, starts, behind)
                plain = self._framed and self._at_boundary
            elif size > _MAX_FRAME_BYTES:
                # Not buffered until complete: it may claim any length.
                self._chunk_left = size + 2
                records = []
                at = start + self._go_on(data[start:], records)
                appended += records
                behind = _place(records, starts, behind)
            else:
                break
        self._rest = data[at:]
        return LogBlock(data + b"".join(appended) if appended else data, starts)

    def _go_on(self, data: bytes, appended: list[bytes]) -> int:
        """Parse the rest of an unfinished chunk and its line end. Returns the number of bytes used."""
        used = min(self._chunk_left, len(data))
        payload = max(0, min(used, self._chunk_left - 2))
        self._chunk_left -= used
        appended += self._feed_payload(data[:payload])
        return used

    @property
    def _at_boundary(self) -> bool:
        """Whether no frame and no line is unfinished."""
        return not (self._frame or self._part_left or self._lines[1] or self._lines[2])

    def _feed_payload(self, data: bytes) -> list[bytes]:
        """Parse frames in `data`. Returns the completed records."""
        if not self._framed:
            return self._cut_lines(1, b"", data)
        records: list[bytes] = []
        if self._frame:
            data = bytes(self._frame) + data
            self._frame.clear()
        at, total = 0, len(data)
        while at < total:
            if self._part_left:
                part = data[at : at + self._part_left]
                at += len(part)
                self._part_left -= len(part)
                records += self._cut_lines(self._part_stream, b"", part)
                continue
            if at + LOG_HEADER_BYTES > total:
                break
            stream = 2 if data[at] == 2 else 1
            size = int.from_bytes(data[at + 4 : at + 8], "big")
            end = at + LOG_HEADER_BYTES + size
            if size > _MAX_FRAME_BYTES:
                # A frame may claim to be 4 GiB long: its parts are passed on as they arrive.
                at += LOG_HEADER_BYTES
                self._part_left, self._part_stream = size, stream
                continue
            if end > total:
                break
            plain = 0 < size < LOG_LINE_BYTES and not self._lines[stream] and data[at] in (1, 2)
            if plain and data.find(b"\n", at + LOG_HEADER_BYTES, end) == end - 1:
                records.append(data[at:end])
            else:
                time = _TIME.match(data, at + LOG_HEADER_BYTES, end)
                text_at = time.end() if time else at + LOG_HEADER_BYTES
                records += self._cut_lines(stream, data[at + LOG_HEADER_BYTES : text_at], data[text_at:end])
            at = end
        self._frame += data[at:]
        return records

    def _cut_lines(self, stream: int, time: bytes, untrusted_text: bytes) -> list[bytes]:
        """The lines completed by `untrusted_text`; each line that begins in it gets `time`."""
        line = self._lines[stream]
        *complete, rest = untrusted_text.split(b"\n")
        records = []
        for part in complete:
            line.hold(part if line else time + part)
            records.append(line.finish(stream))
        if rest:
            line.hold(rest if line else time + rest)
        return records


def _place(records: list[bytes], starts: list[int], behind: int) -> int:
    """Append the offsets of records that are stored behind the block. Returns the offset for the next one."""
    for record in records:
        starts.append(behind)
        behind += len(record)
    return behind


def _block(data: bytes, starts: list[int], appended: list[bytes]) -> LogBlock:
    _place(appended, starts, len(data))
    return LogBlock(data + b"".join(appended), starts)


def log_query(tail: int, since: str | None, *, follow: bool) -> dict[str, str | int | bytes]:
    """The query parameters of `GET /containers/{id}/logs`; arguments as for `EngineClient.logs`."""
    parameters: dict[str, str | int | bytes] = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
    parameters["tail"] = "all" if tail < 0 else tail
    return parameters if since is None else parameters | {"since": since}


def wire_blocks(response: Any) -> Iterator[bytes] | None:
    """The raw body of a urllib3 response, with chunked coding; None when it is not accessible.

    urllib3 takes some six microseconds for a chunk, and each line of a log is one.
    """
    reader = getattr(getattr(response, "_fp", None), "fp", None)
    if not response.chunked or not isinstance(reader, io.BufferedReader):
        return None
    return iter(lambda: reader.read1(_BLOCK_BYTES), b"")


def log_items(*, chunked: bool, framed: bool) -> Callable[[Iterator[bytes]], Iterator[LogBlock]]:
    """Create the parser for an answer's blocks. It raises OSError for a lost connection, ValueError as `LogRecords`."""
    return lambda blocks: log_blocks(blocks, LogRecords(chunked=chunked, framed=framed))


def log_blocks(blocks: Iterator[bytes], records: LogRecords) -> Iterator[LogBlock]:
    """All records of an answer. Raises OSError when the connection breaks, ValueError as `LogRecords`."""
    for untrusted_block in blocks:
        yield records.feed(untrusted_block)
        if records.ended:
            break
    else:
        if records.chunked:
            raise OSError("the engine's answer broke off")
    yield records.end()
