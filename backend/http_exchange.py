"""One HTTP request and its response, on a connection that somebody else has opened.

Client libraries open their own connections, and so cannot go through the guest's SSH connection or over a socket whose
type only the host's module knows. Here `HttpExchange` does no I/O: it gives the bytes to send and takes those that
arrive; h11 parses them. Two drivers use it: `open_response` and `fetch` over a ByteStream of an event loop,
`fetch_blocking` over a socket. Bodies of requests are not needed, and not offered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import h11

from backend.stream import ByteStream

MAX_HEAD_BYTES: Final = 131_072
MAX_BODY_BYTES: Final = 67_108_864
_READ_BYTES: Final = 262_144
_BEGIN: Final = b"HTTP/"


class InvalidResponse(Exception):  # noqa: N818 -- named as what it is
    """What came is no HTTP response."""


class ResponseTooLong(InvalidResponse):
    """The body is longer than the caller allows."""


class IncompleteResponse(ConnectionError):  # noqa: N818 -- named as what it is
    """The connection was closed before the whole response had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpHead:
    """A response without its body."""

    status: int
    reason: str = ""
    """The words after the status; untrusted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; of several of one name the first. Values untrusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse(HttpHead):
    """A response with its body."""

    untrusted_body: bytes = b""


class BlockingConnection(Protocol):
    """What `fetch_blocking` uses of a socket."""

    def sendall(self, data: bytes, /) -> None:
        """Send all."""
        ...

    def recv(self, max_bytes: int, /) -> bytes:
        """Return what there is; b"" at the end."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """How long either may take."""
        ...


class HttpExchange:
    """A request without a body, and its response. HTTP/1.1; the server is asked to close the connection afterwards."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Make one.

        Args:
            method: as in "GET"; "CONNECT" too, whose response's head is all there is.
            target: what stands in the request line: path and query, or what a proxy is to be asked for.
            headers: "Host" among them.

        Raises:
            ValueError: one of them cannot be sent, for a line break in it, say.
        """
        self.what = f"{method} {target}"
        """For messages."""
        closing = {} if method == "CONNECT" else {"Connection": "close"}
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        try:
            request = h11.Request(
                method=method.encode(), target=target.encode(),
                headers=[(name.encode(), value.encode()) for name, value in {**headers, **closing}.items()],
            )  # fmt: skip
            end = h11.EndOfMessage()
            self.request: bytes = (self._connection.send(request) or b"") + (self._connection.send(end) or b"")
            """What is to be sent."""
        except h11.LocalProtocolError as error:
            raise ValueError(f"cannot be sent as a request: {error}") from error
        self._begin = b""
        self.head: HttpHead | None = None
        """None until it has come."""
        self.is_complete = False
        """Whether the response has ended."""

    def feed(self, untrusted_data: bytes) -> bytes:
        """Take what has arrived, b"" if the connection was closed; return what of it belongs to the body.

        Raises:
            InvalidResponse: it is no HTTP.
            IncompleteResponse: the connection was closed too early.
        """
        if self.is_complete:
            return b""
        if len(self._begin) < len(_BEGIN):
            # h11 waits for a whole head; what speaks another protocol may say no more, and leave the connection open.
            self._begin += untrusted_data[: len(_BEGIN) - len(self._begin)]
            if not _BEGIN.startswith(self._begin):
                raise InvalidResponse("the answer is not HTTP")
        body: list[bytes] = []
        try:
            self._connection.receive_data(untrusted_data)
            while not self.is_complete:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    break
                self._take(event, body)
        except h11.RemoteProtocolError as error:
            if not untrusted_data:
                why = "before the whole answer had come" if self._begin else "without an answer"
                raise IncompleteResponse(f"the connection was closed {why}") from error
            raise InvalidResponse(f"the answer is not HTTP: {error}") from error
        return b"".join(body)

    def _take(self, event: object, body: list[bytes]) -> None:
        if isinstance(event, h11.Response):
            headers: dict[str, str] = {}
            for name, value in event.headers:
                headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
            self.head = HttpHead(status=event.status_code, reason=event.reason.decode("latin-1"), headers=headers)
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
            # PAUSED: a CONNECT was granted; what follows is no HTTP.
            self.is_complete = True
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed")


class StreamedResponse:
    """A response whose head has come, and whose body is read piece by piece. Made by `open_response`."""

    def __init__(self, stream: ByteStream, exchange: HttpExchange, head: HttpHead, untrusted_begin: bytes) -> None:
        self.head = head
        self._stream = stream
        self._exchange = exchange
        self._begin = untrusted_begin

    async def read(self) -> bytes:
        """The next bytes of the body as soon as there are any; b"" at its end.

        Raises:
            ConnectionError: the connection broke; IncompleteResponse: it was closed too early.
            InvalidResponse: what came is no HTTP.
        """
        data, self._begin = self._begin, b""
        while not data and not self._exchange.is_complete:
            data = self._exchange.feed(await self._stream.read(_READ_BYTES))
        return data


async def open_response(stream: ByteStream, exchange: HttpExchange, *, timeout_s: float) -> StreamedResponse:
    """Send the request and wait for the response's head. The stream stays open, and belongs to the response.

    Args:
        timeout_s: until the head has come; the body has no deadline.

    Raises:
        TimeoutError: with words that say what was waited for.
        ConnectionError, InvalidResponse: as `StreamedResponse.read`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await stream.write(exchange.request)
            begin = b""
            while exchange.head is None:
                begin = exchange.feed(await stream.read(_READ_BYTES))
    except TimeoutError as error:
        raise _too_slow(exchange, timeout_s) from error
    return StreamedResponse(stream, exchange, exchange.head, begin)


async def fetch(
    stream: ByteStream,
    exchange: HttpExchange,
    *,
    timeout_s: float,
    max_bytes: int = MAX_BODY_BYTES,
    cuts: bool = False,
) -> HttpResponse:
    """Send the request and return the whole response. The stream is used up.

    Args:
        timeout_s: for all of it.
        max_bytes: the longest body.
        cuts: whether a longer one is cut, and else refused.

    Raises:
        TimeoutError: with words that say what was waited for.
        ConnectionError, InvalidResponse: as `StreamedResponse.read`; ResponseTooLong.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            response = await open_response(stream, exchange, timeout_s=timeout_s)
            while not _is_enough(body, max_bytes, cuts=cuts) and (data := await response.read()):
                body += data
    except TimeoutError as error:
        raise _too_slow(exchange, timeout_s) from error
    return _whole(response.head, body, max_bytes)


def fetch_blocking(
    connection: BlockingConnection,
    exchange: HttpExchange,
    *,
    timeout_s: float,
    max_bytes: int = MAX_BODY_BYTES,
) -> HttpResponse:
    """As `fetch`, for a caller without an event loop. Raises as that, or OSError."""
    deadline = time.monotonic() + timeout_s
    body = bytearray()
    try:
        connection.settimeout(timeout_s)
        connection.sendall(exchange.request)
        while not _is_enough(body, max_bytes, cuts=False) and not exchange.is_complete:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            body += exchange.feed(connection.recv(_READ_BYTES))
    except TimeoutError as error:
        raise _too_slow(exchange, timeout_s) from error
    assert exchange.head is not None, "a complete response has one"
    return _whole(exchange.head, body, max_bytes)


def _is_enough(body: bytearray, max_bytes: int, *, cuts: bool) -> bool:
    if len(body) > max_bytes and not cuts:
        raise ResponseTooLong(f"the answer is longer than {max_bytes} bytes")
    return cuts and len(body) >= max_bytes


def _whole(head: HttpHead, body: bytearray, max_bytes: int) -> HttpResponse:
    return HttpResponse(
        status=head.status, reason=head.reason, headers=head.headers, untrusted_body=bytes(body[:max_bytes])
    )


def _too_slow(exchange: HttpExchange, timeout_s: float) -> TimeoutError:
    return TimeoutError(f"no answer to {exchange.what} within {timeout_s:g} s")
