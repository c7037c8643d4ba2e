"""A ByteStream with read-ahead and push-back, reading of HTTP heads, and tunnelling."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from backend.engine.front.http_head import MAX_HEAD_BYTES, MalformedHead
from backend.stream import ByteStream

_HEAD_END = re.compile(rb"\r?\n\r?\n")


@runtime_checkable
class PresenceAware(Protocol):
    """A stream that distinguishes a peer that has closed completely from one that closed only its sending side."""

    def peer_is_gone(self) -> bool:
        """Whether the peer has certainly closed both sides. MAY return False when unknown."""
        ...


class WatchedStream:
    """A ByteStream with read-ahead and push-back. One reader and one writer at a time."""

    __slots__ = ("_ahead", "_returned", "reused", "stream")

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        """The one below."""
        self._returned = b""
        self._ahead: asyncio.Task[bytes] | None = None
        self.reused = False
        """Whether the stream has carried an exchange before."""

    async def read(self) -> bytes:
        """See ByteStream.read. Cancelling it loses no data."""
        if self._returned:
            data, self._returned = self._returned, b""
            return data
        if self._ahead is None:
            return await self.stream.read()
        # asyncio.wait, not await: cancelling the reader must not cancel the read-ahead.
        await asyncio.wait((self._ahead,))
        ahead, self._ahead = self._ahead, None
        return ahead.result()

    def give_back(self, data: bytes) -> None:
        """Push back data: the next `read` returns it."""
        self._returned = data + self._returned

    def take_back(self) -> bytes:
        """Return data that was pushed back, without waiting."""
        data, self._returned = self._returned, b""
        return data

    def watch(self, on_end: Callable[[], None] | None = None) -> None:
        """Read ahead once, to notice the peer's end; data is kept for `read`.

        Args:
            on_end: called when the peer has closed or the connection broke; not when data arrived.
        """
        if self._ahead is None and not self._returned:
            self._ahead = asyncio.ensure_future(self.stream.read())

        def check(task: asyncio.Task[bytes]) -> None:
            if on_end is not None and not task.cancelled() and (task.exception() is not None or not task.result()):
                on_end()

        if self._ahead is not None and on_end is not None:
            self._ahead.add_done_callback(check)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has arrived, not even an end: the condition for reusing an idle stream."""
        return not self._returned and (self._ahead is None or not self._ahead.done())

    @property
    def is_broken(self) -> bool:
        """Whether the read-ahead raised an error."""
        ahead = self._ahead
        return ahead is not None and ahead.done() and not ahead.cancelled() and ahead.exception() is not None

    def peer_is_gone(self) -> bool:
        """See PresenceAware; False when the stream does not support it."""
        return self.is_broken or (isinstance(self.stream, PresenceAware) and self.stream.peer_is_gone())

    async def write(self, data: bytes) -> None:
        """See ByteStream.write."""
        await self.stream.write(data)

    async def write_eof(self) -> None:
        """See ByteStream.write_eof. Ignores a broken connection."""
        with contextlib.suppress(ConnectionError):
            await self.stream.write_eof()

    async def aclose(self) -> None:
        """See ByteStream.aclose."""
        ahead, self._ahead = self._ahead, None
        await self.stream.aclose()
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait((ahead,))
            if not ahead.cancelled():
                ahead.exception()  # retrieve the exception, or asyncio logs that it was never retrieved


async def read_head(stream: WatchedStream, *, timeout_s: float | None) -> bytes | None:
    """Read up to and including the blank line that ends a head; following data stays in the stream.

    Args:
        stream: the stream.
        timeout_s: from the head's first byte to its last.

    Returns:
        The head, or None when the peer closed before its first byte.

    Raises:
        MalformedHead: too long, too slow, or incomplete.
        ConnectionError: the connection broke.
    """
    data = b""
    while not data.strip(b"\r\n"):  # RFC 9112, section 2.2: blank lines before a request are ignored
        data = await stream.read()
        if not data:
            return None
    if data[0] in b"\r\n":
        data = data.lstrip(b"\r\n")
    end = _head_end(data, 0)
    if end < 0:
        try:
            async with asyncio.timeout(timeout_s):
                data, end = await _read_rest(stream, data)
        except TimeoutError as error:
            raise MalformedHead(f"the request's head was not complete after {timeout_s:g} s", 408) from error
    if end < len(data):
        stream.give_back(data[end:])
        return data[:end]
    return data


def _head_end(data: bytes | bytearray, start: int) -> int:
    match = _HEAD_END.search(data, start)
    return -1 if match is None else match.end()


async def _read_rest(stream: WatchedStream, first: bytes) -> tuple[bytes, int]:
    collected = bytearray(first)
    while True:
        data = await stream.read()
        if not data:
            raise MalformedHead("the connection was closed within a head", 400)
        start = max(0, len(collected) - 3)
        collected += data
        end = _head_end(collected, start)
        if max(end, len(collected) if end < 0 else 0) > MAX_HEAD_BYTES:
            raise MalformedHead(f"a head of more than {MAX_HEAD_BYTES // 1024} KiB", 431)
        if end >= 0:
            return bytes(collected), end


async def tunnel(client: WatchedStream, upstream: WatchedStream) -> None:
    """Forward bytes both ways until both sides have closed, or one breaks. The caller closes the streams."""

    async def pump(source: WatchedStream, sink: WatchedStream) -> None:
        while data := await source.read():
            await sink.write(data)
        if source is client and client.peer_is_gone():
            # The client has gone: stop reading output. A half-closed client (docker run -i at the end of its input)
            # stays.
            raise ConnectionResetError("the client is gone")
        await sink.write_eof()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(client, upstream))
            group.create_task(pump(upstream, client))
    except ExceptionGroup as errors:
        if errors.split(ConnectionError)[1] is not None:
            raise
