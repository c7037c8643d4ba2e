"""One HTTP exchange over a stream that is open already, and TLS over any stream.

A library that opens its own connections (requests) cannot go through the guest's SSH connection, and it does not tell
which hop failed. So host and machine are looked at with the same few lines: what differs then is the network. The
standard library does the parsing and the cryptography.
"""

from __future__ import annotations

import http.client
import io
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.stream import ByteStream

_HEAD_BYTES: Final = 131_072
_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters; of several of one name the first."""
    untrusted_body: bytes
    """As far as it was read."""

    def content(self) -> dict[str, Any]:
        """The object that the body holds as JSON; {} where it holds none."""
        try:
            content = json.loads(self.untrusted_body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def message(self) -> str:
        """What went wrong in the words of a registry or an engine, cleaned; "" where it has none."""
        content = self.content()
        errors = content.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else content
        said = first.get("message") or first.get("details") or first.get("code")
        return clean_text(said, 300) if isinstance(said, str) else ""


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
    body_bytes: int = 4_194_304,
) -> Answer:
    """Send a request without a body and read the answer. The stream is used up.

    Args:
        body_bytes: what is longer is cut.

    Raises:
        ConnectionError: it broke.
        Unreached: what came is no HTTP.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise Unreached("the registry named a place that cannot be asked for")
    await stream.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8"))
    head = await read_head(stream)
    kept = bytearray(head)
    end = kept.find(b"\r\n\r\n") + 4
    length = _content_length(bytes(kept[:end]))
    while method != "HEAD" and len(kept) - end < (body_bytes if length is None else min(length, body_bytes)):
        data = await stream.read(_CHUNK)
        if not data:
            break
        kept += data
    return parse_answer(bytes(kept), method)


async def read_head(stream: ByteStream) -> bytes:
    """Bytes up to the end of a head, and perhaps some after it. Raises Unreached."""
    kept = bytearray()
    while b"\r\n\r\n" not in kept:
        data = await stream.read(_CHUNK)
        if not data:
            raise Unreached("the connection was closed without an answer" if not kept else "the answer broke off")
        kept += data
        if len(kept) > _HEAD_BYTES or (len(kept) >= 5 and not kept.startswith(b"HTTP/")):
            raise Unreached("what answers there does not speak HTTP")
    return bytes(kept)


def _content_length(head: bytes) -> int | None:
    """None: it is not told, so that the body goes to the end of the connection."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip() == b"content-length" and value.strip().isdigit():
            return int(value.strip()[:18])
    return None


class _Recorded:
    """What http.client wants of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def parse_answer(untrusted_data: bytes, method: str) -> Answer:
    """Read an answer that has come whole, or cut. Raises Unreached."""
    response = http.client.HTTPResponse(_Recorded(untrusted_data), method=method)  # type: ignore[arg-type] # all it uses
    try:
        response.begin()
        try:
            body = response.read()
        except http.client.IncompleteRead as error:
            body = error.partial
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise Unreached("what answers there does not speak HTTP as registries do") from error
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers.setdefault(name.lower(), value)
    return Answer(status=response.status, headers=headers, untrusted_body=body)


async def start_tls(stream: ByteStream, context: ssl.SSLContext, name: str) -> TlsStream:
    """Speak TLS from here on. Raises ssl.SSLError, ConnectionError."""
    secured = TlsStream(stream, context, name)
    await secured.handshake()
    return secured
