"""One HTTP exchange over a stream that is open already, and TLS over any stream.

A library that opens its own connections (requests) cannot go through the guest's SSH connection, and it does not tell
which hop failed. So host and machine are asked with the same few lines: what differs then is the network.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.errors import ProblemCode
from backend.http_exchange import HttpExchange, HttpHead, HttpResponse, InvalidResponse, fetch, open_response
from backend.json_reader import JsonObject, JsonSource, NotUnderstood, decode
from backend.messages import message
from backend.stream import ByteStream

_CHUNK: Final = 65_536
_SOURCE: Final = JsonSource(
    summary=message("The server isn't a registry: its answer wasn't understood."),
    code=ProblemCode.NETWORK_FAILED,
    command="docker pull",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryResponse(HttpResponse):
    """The response of a registry, a token server or the engine; a long body is cut."""

    def content(self) -> JsonObject:
        """The object that the body holds as JSON. Raises NotUnderstood, as reading it does."""
        return decode(self.untrusted_body, _SOURCE).object()

    def message(self) -> str:
        """What went wrong in the words of a registry or an engine, cleaned; "" where it has none."""
        try:
            content = self.content()
            errors = content.objects("errors")
            first = errors[0] if errors else content
            said = next((first.text(name) for name in ("message", "details", "code") if first.text(name)), "")
        except NotUnderstood:
            return ""  # a page of a proxy, say: the status tells enough
        return clean_text(said, 300)


class TlsStream:
    """A ByteStream inside TLS. Made by `start_tls`."""

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, name: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def handshake(self) -> None:
        """Raises ssl.SSLError, ConnectionError."""
        while True:
            try:
                self.ssl.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except ssl.SSLError:
                await self._flush()  # the alert that tells the peer why
                raise
            else:
                break
        await self._flush()

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """See ByteStream. An end without TLS's own goodbye is an end too: many servers say none."""
        while True:
            try:
                return self.ssl.read(max_bytes)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise ConnectionResetError(str(error)) from error

    async def write(self, data: bytes) -> None:
        """See ByteStream."""
        self.ssl.write(data)
        await self._flush()

    async def write_eof(self) -> None:
        """See ByteStream; TLS has no half-close that servers agree on."""

    async def aclose(self) -> None:
        """See ByteStream."""
        await self._stream.aclose()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._stream.write(data)

    async def _feed(self) -> None:
        data = await self._stream.read(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


async def exchange(
    stream: ByteStream,
    method: str,
    target: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    body_bytes: int = 4_194_304,
) -> RegistryResponse:
    """Send a request without a body and read the answer. The stream is used up.

    Args:
        timeout_s: for all of it, in seconds.
        body_bytes: what is longer is cut.

    Raises:
        TimeoutError: it did not come in time.
        ConnectionError: it broke.
        Unreached: what came is no HTTP.
    """
    request = _request(method, target, headers)
    try:
        response = await fetch(stream, request, timeout_s=timeout_s, max_bytes=body_bytes, cuts=True)
    except InvalidResponse as error:
        raise Unreached(message("The server doesn't respond with valid HTTP.")) from error
    return RegistryResponse(
        status=response.status,
        reason=response.reason,
        headers=response.headers,
        untrusted_body=response.untrusted_body,
    )


async def connect_through(
    stream: ByteStream, authority: str, headers: Mapping[str, str], *, timeout_s: float
) -> HttpHead:
    """Ask a proxy for a connection and read the head of its answer. If it is a success, the stream is the connection.

    Args:
        authority: host and port.
        timeout_s: until the answer has come, in seconds.

    Raises:
        As `exchange`.
    """
    request = _request("CONNECT", authority, headers)
    try:
        return (await open_response(stream, request, timeout_s=timeout_s)).head
    except InvalidResponse as error:
        raise Unreached(message("The server doesn't respond with valid HTTP.")) from error


def _request(method: str, target: str, headers: Mapping[str, str]) -> HttpExchange:
    try:
        return HttpExchange(method, target, headers)
    except ValueError as error:
        raise Unreached(message("The registry sent an invalid URL.")) from error


async def start_tls(stream: ByteStream, context: ssl.SSLContext, name: str) -> TlsStream:
    """Speak TLS from here on. Raises ssl.SSLError, ConnectionError."""
    secured = TlsStream(stream, context, name)
    await secured.handshake()
    return secured
