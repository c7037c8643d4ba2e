"""Heads of HTTP/1.1 requests and responses: parsed by h11, reduced to what the proxy needs, and written again.

A head is written again from its parsed form, so both sides of the proxy see the same lines, whatever syntax was
tolerated. Parsing is a pure function and docker clients repeat themselves, so small heads are cached: h11 takes 80 us
for a request and 130 for its response (measured), the rest of the proxy 40 for both.

Body framing follows RFC 9112, section 6.3; `http_body` does the counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import h11
from h11._headers import Headers  # not exported by h11

MAX_HEAD_BYTES = 256 * 1024
"""With a build, docker sends the credentials of every registry that it knows (X-Registry-Config)."""
_CACHED_HEAD_BYTES = 2048
_CACHED_HEADS = 128
# They apply to one connection, and the proxy has two (RFC 9110, section 7.6.1). Upgrade is forwarded separately.
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate"})
_HIJACK_TYPES = ("application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream")


class MalformedHead(Exception):  # noqa: N818 -- named as what it is; never leaves the front
    """Invalid HTTP head. `status` is the response for a client that sent it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Framing(Enum):
    """How the end of a body is determined."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's head."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case; values as latin-1."""
    framing: Framing
    length: int
    """Body length if framing is LENGTH, else 0."""
    expects_continue: bool
    is_upgrade: bool
    keep_alive: bool
    """Whether the client wants to reuse the connection."""
    wire: bytes
    """The head to forward, blank line included."""

    def wire_with_length(self, length: int) -> bytes:
        """The head to forward for a rewritten body of this length."""
        return _with_length(self.wire, length)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of the engine's response."""

    status: int
    framing: Framing
    length: int
    keep_alive: bool
    """Whether the engine accepts another request on the connection."""
    is_hijack: bool
    """Whether raw bytes follow on the connection: status 101, or docker's older 200 without framing."""
    wire: bytes
    """The head to forward to a client that keeps its connection."""
    wire_closing: bytes
    """The same with Connection: close."""

    def with_length(self, length: int, *, closing: bool) -> bytes:
        """The head to forward for a rewritten body of this length."""
        return _with_length(self.wire_closing if closing else self.wire, length)


def _with_length(wire: bytes, length: int) -> bytes:
    lines = wire.split(b"\r\n")
    # Remove Expect too: the front has answered it to get the body.
    dropped = (b"content-length:", b"transfer-encoding:", b"expect:", b"trailer:")
    kept = [line for line in lines[:-2] if not line.lower().startswith(dropped)]
    return b"\r\n".join([*kept, b"Content-Length: %d" % length, b"", b""])


def parse_request_head(untrusted_head: bytes) -> RequestHead:
    """Parse one head, blank line included. Raises MalformedHead."""
    if len(untrusted_head) <= _CACHED_HEAD_BYTES:
        return _parse_request_cached(untrusted_head)
    return _parse_request(untrusted_head)


def parse_response_head(untrusted_head: bytes, method: str) -> ResponseHead:
    """Parse the head of a response to a request of `method`. Raises MalformedHead."""
    if len(untrusted_head) <= _CACHED_HEAD_BYTES:
        return _parse_response_cached(untrusted_head, method)
    return _parse_response(untrusted_head, method)


def error_response(status: int, message: str, *, head_only: bool = False, keep_alive: bool = False) -> bytes:
    """Create a complete response in the format of the engine's errors: JSON {"message": ...}."""
    body = b'{"message":%s}\n' % _json_string(message)
    reason = _REASONS.get(status, b"Error")
    connection = b"" if keep_alive else b"Connection: close\r\n"
    head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
    return head % (status, reason, len(body), connection) + (b"" if head_only else body)


_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


def _json_string(text: str) -> bytes:
    import json

    return json.dumps(text).encode("ascii")


def _parse_request(untrusted_head: bytes) -> RequestHead:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES + 1)
    try:
        connection.receive_data(untrusted_head)
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise MalformedHead(str(error), error.error_status_hint) from error
    if not isinstance(event, h11.Request):
        raise MalformedHead("no request", 400)
    if event.http_version not in (b"1.0", b"1.1"):
        raise MalformedHead("only HTTP/1.1 is spoken here", 505)
    names = _by_name(event.headers)
    framing, length = _framing(names)
    tokens = _tokens(names, b"connection")
    is_upgrade = b"upgrade" in tokens and b"upgrade" in names
    is_http11 = event.http_version == b"1.1"
    extra = b"Connection: Upgrade\r\n" if is_upgrade else b""
    first = b"%s %s HTTP/%s\r\n" % (event.method, event.target, event.http_version)
    return RequestHead(
        method=event.method.decode("ascii"),
        target=event.target.decode("latin-1"),
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers),
        framing=framing,
        length=length,
        expects_continue=is_http11 and b"100-continue" in _tokens(names, b"expect"),
        is_upgrade=is_upgrade,
        keep_alive=is_http11 and b"close" not in tokens,
        wire=first + _lines(event.headers, chunked=framing is Framing.CHUNKED) + extra + b"\r\n",
    )


def _parse_response(untrusted_head: bytes, method: str) -> ResponseHead:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES + 1)
    # h11 must have sent the request to parse its response; with Upgrade, so that it accepts a 101.
    connection.send(_ANY_REQUEST)
    try:
        connection.receive_data(untrusted_head)
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise MalformedHead(str(error), 502) from error
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        raise MalformedHead("no response", 502)
    names = _by_name(event.headers)
    status = event.status_code
    tokens = _tokens(names, b"connection")
    framing, length = _framing(names)
    if method == "HEAD" or status < 200 or status in (204, 304):
        framing, length = Framing.NONE, 0
    elif framing is Framing.NONE and b"content-length" not in names:
        framing = Framing.UNTIL_CLOSE
    kind = b"".join(names.get(b"content-type", ())).decode("latin-1").lower()
    is_hijack = status == 101 or (framing is Framing.UNTIL_CLOSE and status == 200 and kind.startswith(_HIJACK_TYPES))
    first = b"HTTP/%s %d %s\r\n" % (event.http_version, status, event.reason)
    # Framing headers of a HEAD's or a 304's response describe a body that is not sent: forward them unchanged.
    body = _lines(event.headers, chunked=framing is Framing.CHUNKED)
    upgrade = b"Connection: Upgrade\r\n" if status == 101 else b""
    return ResponseHead(
        status=status,
        framing=framing,
        length=length,
        keep_alive=event.http_version == b"1.1" and b"close" not in tokens and framing is not Framing.UNTIL_CLOSE,
        is_hijack=is_hijack,
        wire=first + body + upgrade + b"\r\n",
        wire_closing=first + body + (upgrade or b"Connection: close\r\n") + b"\r\n",
    )


_ANY_REQUEST = h11.Request(
    method="GET", target="/", headers=[("Host", "engine"), ("Connection", "upgrade"), ("Upgrade", "any")]
)
_parse_request_cached = lru_cache(_CACHED_HEADS)(_parse_request)
_parse_response_cached = lru_cache(_CACHED_HEADS)(_parse_response)


def _by_name(headers: Headers) -> dict[bytes, list[bytes]]:
    names: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        names.setdefault(name, []).append(value)
    return names


def _tokens(names: dict[bytes, list[bytes]], name: bytes) -> set[bytes]:
    return {token.strip().lower() for value in names.get(name, ()) for token in value.split(b",")}


def _framing(names: dict[bytes, list[bytes]]) -> tuple[Framing, int]:
    # h11 has rejected other codings than chunked, and invalid or contradictory lengths. Chunked overrides a length.
    if b"transfer-encoding" in names:
        return Framing.CHUNKED, 0
    if b"content-length" in names:
        length = int(names[b"content-length"][0])
        return (Framing.LENGTH, length) if length else (Framing.NONE, 0)
    return Framing.NONE, 0


def _lines(headers: Headers, *, chunked: bool) -> bytes:
    """Encode header lines with their original names, without those that apply to this connection only."""
    dropped = _HOP_BY_HOP | {b"content-length"} if chunked else _HOP_BY_HOP
    return b"".join(
        b"%s: %s\r\n" % (raw_name, value) for raw_name, value in headers.raw_items() if raw_name.lower() not in dropped
    )
