"""An HTTP request and its response over a connection that the caller has opened.

Client libraries open their own connections, so they cannot use the guest's SSH connection, or a local endpoint whose
type only `backend.host` knows. `HttpExchange` does no I/O: it produces the bytes to send and consumes those received,
parsed by h11. Two drivers use it: `open_response` and `fetch` with a ByteStream, `fetch_blocking` with a socket.
Request bodies are not supported.
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
    """The received data is not an HTTP response."""


class ResponseTooLong(InvalidResponse):
    """The body is longer than the caller allows."""


class IncompleteResponse(ConnectionError):  # noqa: N818 -- named as what it is
    """The connection was closed before the response was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpHead:
    """A response without its body."""

    status: int
    reason: str = ""
    """Reason phrase after the status code. Untrusted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; only the first of several with the same name. Values are untrusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse(HttpHead):
    """A response with its body."""

    untrusted_body: bytes = b""


class BlockingConnection(Protocol):
    """The methods of a socket that `fetch_blocking` uses."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`."""
        ...

    def recv(self, max_bytes: int, /) -> bytes:
        """Return available data; b"" at the end."""
        ...

    def settimeout(self, seconds: float | None, /) -> None:
        """Set the timeout of sendall and recv in seconds."""
        ...


class HttpExchange:
    """A request without a body, and its response. HTTP/1.1 with "Connection: close"."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """Build the request.

        Args:
            method: as in "GET"; "CONNECT" too, whose response has only a head.
            target: request target: path and query, or an absolute URL or host for a proxy.
            headers: MUST include "Host".

        Raises:
            ValueError: one of them is invalid, for example contains a line break.
        """
        self.what = f"{method} {target}"
        """Method and target, for messages."""
        closing = {} if method == "CONNECT" else {"Connection": "close"}
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        try:
            request = h11.Request(
                method=method.encode(), target=target.encode(),
                headers=[(name.encode(), value.encode()) for name, value in {**headers, **closing}.items()],
            )  # fmt: skip
            end = h11.EndOfMessage()
            self.request: bytes = (self._connection.send(request) or b"") + (self._connection.send(end) or b"")
            """The bytes to send."""
        except h11.LocalProtocolError as error:
            raise ValueError(f"cannot be sent as a request: {error}") from error
        self._begin = b""
        self.head: HttpHead | None = None
        """The response's head; None until received."""
        self.is_complete = False
        """Whether the response is complete."""

    def feed(self, untrusted_data: bytes) -> bytes:
        """Process received data, b"" if the connection was closed. Returns its part of the body.

        Raises:
            InvalidResponse: it is not HTTP.
            IncompleteResponse: the connection was closed too early.
        """
        if self.is_complete:
            return b""
        if len(self._begin) < len(_BEGIN):
            # h11 waits for a complete head; a server of another protocol may send no more, and keep the connection
            # open.
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
            # PAUSED: a CONNECT succeeded; what follows is not HTTP.
            self.is_complete = True
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed")


class StreamedResponse:
    """A response whose head was received, and whose body is read in pieces. Created by `open_response`."""

    def __init__(self, stream: ByteStream, exchange: HttpExchange, head: HttpHead, untrusted_begin: bytes) -> None:
        self.head = head
        self._stream = stream
        self._exchange = exchange
        self._begin = untrusted_begin

    async def read(self) -> bytes:
        """The next bytes of the body; b"" at its end.

        Raises:
            ConnectionError: the connection broke; IncompleteResponse: it was closed too early.
            InvalidResponse: the data is not HTTP.
        """
        data, self._begin = self._begin, b""
        while not data and not self._exchange.is_complete:
            data = self._exchange.feed(await self._stream.read(_READ_BYTES))
        return data


async def open_response(stream: ByteStream, exchange: HttpExchange, *, timeout_s: float) -> StreamedResponse:
    """Send the request and wait for the response's head. The response owns the stream from then on.

    Args:
        stream: an open connection.
        exchange: the request.
        timeout_s: deadline for the head; the body has none.

    Raises:
        TimeoutError: its text says what was waited for.
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
    """Send the request and return the complete response. The stream cannot be used afterwards.

    Args:
        stream: an open connection.
        exchange: the request.
        timeout_s: deadline for everything.
        max_bytes: size limit of the body.
        cuts: whether to truncate a longer body instead of raising ResponseTooLong.

    Raises:
        TimeoutError: its text says what was waited for.
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
    """`fetch` for a caller without an event loop. Raises the same errors, or OSError."""
    deadline = time.monotonic() + timeout_s
    body = bytearray()
    try:
        connection.settimeout(timeout_s)
        connection.sendall(exchange.request)
        while not _is_enough(body, max_bytes, cuts=False) and not exchange.is_complete:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            connection.settimeout(remaining_s)
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
