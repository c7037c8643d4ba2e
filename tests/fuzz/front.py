"""Fuzz targets for the API front, with a hostile client and a hostile engine."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass

from backend.engine.front.hooks import NoHooks, Rewrite
from backend.engine.front.http_body import BadFraming, ChunkedTracker, dechunk
from backend.engine.front.http_head import MalformedHead, parse_request_head, parse_response_head
from backend.engine.front.proxy import ApiFront
from backend.errors import ProblemCode, fail
from backend.messages import verbatim
from backend.stream import ByteStream
from tests.fuzz.material import noise, pieces, spoil, words
from tests.fuzz.streams import Scripted, VirtualLoop

_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"get ", b"PRI ")
_TARGETS = (
    b"/_ping",
    b"/v1.47/containers/json?all=1",
    b"/containers/x/attach?stream=1",
    b"*",
    b"http://x/",
    b"/\xc3\xa9",
)
_VERSIONS = (b" HTTP/1.1\r\n", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/2.0\r\n", b"\r\n", b" HTTP/1.1\n")
_FIELDS = (
    *(b"Host: d\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 70000\r\n"),
    *(b"Content-Length: -1\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"transfer-encoding : chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: Upgrade\r\n", b"Upgrade: tcp\r\n"),
    *(b"Expect: 100-continue\r\n", b" folded\r\n", b"X-Registry-Auth: abc\r\n", b": empty\r\n", b"A:\0\r\n"),
    *(b"Content-Type: application/vnd.docker.raw-stream\r\n",),
    *(b"Content-Type: application/json\r\n", b"Trailer: X\r\n"),
)
_STATUS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n"),
    *(b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 304 Not Modified\r\n"),
    *(
        b"HTTP/1.1 101 UPGRADED\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 103 Early Hints\r\n",
        b"HTTP/1.0 200 OK\r\n",
    ),
    *(
        b"HTTP/1.1 999 X\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/9.9 200 OK\r\n",
        b"ICY 200 OK\r\n",
        b"HTTP/1.1 500 \xff\r\n",
    ),
)
_CHUNKS = (
    *(
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"a;ext=1\r\n0123456789\r\n",
        b"00005\r\nhello\r\n",
        b"-1\r\n",
    ),
    *(
        b"5\nhello\n",
        b"ffffffffffffffff\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhell",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0x5\r\n",
    ),
)
_BODIES = (b"hello", b"{}", b"x" * 300, b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
MOST_HELD_BYTES = 5 * 1024 * 1024
"""More than the largest body that is buffered for a hook."""


class _Silence(logging.Handler):
    """Raises an error if the front logs an exception, which is a defect."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            raise AssertionError("the front logged a defect") from record.exc_info[1]


def _head(source: random.Random, starts: bytes) -> bytes:
    return starts + b"".join(source.choice(_FIELDS) for _ in range(source.randrange(5))) + b"\r\n"


def _request(source: random.Random) -> bytes:
    first = source.choice(_METHODS[:5]) + source.choice(_TARGETS) + source.choice(_VERSIONS)
    return _head(source, first) + words(source, _CHUNKS + _BODIES, 3)


def _response(source: random.Random) -> bytes:
    return _head(source, source.choice(_STATUS)) + words(source, _CHUNKS + _BODIES, 3)


def _conversation(source: random.Random, one: bytes) -> bytes:
    return spoil(source, one) if source.randrange(3) == 0 else one


@dataclass(frozen=True)
class Play:
    """The scripts of both sides of a conversation."""

    client: list[bytes]
    client_ending: str
    client_pause_s: float
    client_fails_after: int | None
    engines: list[tuple[list[bytes], str, float, int | None]]
    """The engine's script per connection: pieces, ending, pause, byte count after which it stops reading."""
    hook: bool


def make_play(source: random.Random) -> Play:
    """Generate a conversation."""
    said = b"".join(_conversation(source, _request(source)) for _ in range(source.choice((1, 1, 2, 3))))
    endings = ("eof", "eof", "reset", "silence")
    engines = []
    for _ in range(source.choice((1, 1, 2, 3))):
        answer = b"".join(_conversation(source, _response(source)) for _ in range(source.choice((0, 1, 1, 2, 3))))
        fails = source.choice((None, None, None, 0, 50))
        engines.append((pieces(source, answer), source.choice(endings), source.choice((0.0, 0.0, 0.2, 90.0)), fails))
    return Play(
        client=pieces(source, said),
        client_ending=source.choice(("eof", "reset", "reset", "silence")),
        client_pause_s=source.choice((0.0, 0.0, 0.0, 0.1, 70.0)),
        client_fails_after=source.choice((None, None, None, 0, 40)),
        engines=engines,
        hook=source.randrange(4) == 0,
    )


class _Hooks(NoHooks):
    def wants_body(self, method: str, target: str) -> bool:
        return True

    async def rewrite_request(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> bytes | None:
        return body * 2 if len(body) % 2 else None

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:
        return (lambda body: body * 2) if status % 2 == 0 else None


def run_play(loop: VirtualLoop, play: Play) -> None:
    """The client is served until it ends, and all connections are closed."""

    async def work() -> None:
        opened: list[Scripted] = []
        client = Scripted(
            play.client,
            ending=play.client_ending,
            pause_s=play.client_pause_s,
            write_fails_after=play.client_fails_after,
        )

        async def dial() -> ByteStream:
            if len(opened) >= len(play.engines):
                raise fail(ProblemCode.MACHINE_STOPPED, verbatim("No more engines."))
            said, ending, pause, fails = play.engines[len(opened)]
            stream = Scripted(said, ending=ending, pause_s=pause, wait_for_write=True, write_fails_after=fails)
            opened.append(stream)
            return stream

        front = ApiFront(dial, hooks=_Hooks() if play.hook else None)
        if play.client_ending == "silence" or any(ending == "silence" for _, ending, _, _ in play.engines):
            # A silent peer is waited for without a limit, as docker clients wait for days. The front's end ends it.
            serving = loop.create_task(front.handle(client))
            loop.call_later(3600, serving.cancel)
            try:
                await serving
            except BaseException:
                if not serving.cancelled():
                    raise
        else:
            await front.handle(client)
        await front.aclose()
        assert front.connection_count == 0
        assert client.closed, "the client's connection is left open"
        assert all(stream.closed for stream in opened), "a connection to the engine is left open"
        assert not client.written or client.written.startswith(b"HTTP/"), bytes(client.written[:80])

    log = logging.getLogger("backend.engine.front.proxy")
    handler = _Silence()
    log.addHandler(handler)
    propagated, log.propagate = log.propagate, False
    try:
        loop.play(work())
    finally:
        log.removeHandler(handler)
        log.propagate = propagated


def make_head(source: random.Random) -> tuple[bytes, bytes]:
    """Heads of a request and of a response."""
    request = source.choice(_METHODS) + source.choice(_TARGETS) + source.choice(_VERSIONS)
    return spoil(source, _head(source, request)), spoil(source, _head(source, source.choice(_STATUS)))


def run_head(_loop: VirtualLoop, heads: tuple[bytes, bytes]) -> None:
    """A head is malformed, or is forwarded with the same meaning."""
    try:
        request = parse_request_head(heads[0])
        again = parse_request_head(request.wire)
        assert (again.method, again.target, again.framing, again.length) == (
            request.method, request.target, request.framing, request.length,
        )  # fmt: skip
    except MalformedHead:
        pass
    for method in ("GET", "HEAD"):
        try:
            response = parse_response_head(heads[1], method)
            again_response = parse_response_head(response.wire, method)
            assert (again_response.status, again_response.framing, again_response.length) == (
                response.status, response.framing, response.length,
            )  # fmt: skip
        except MalformedHead:
            pass


def make_chunks(source: random.Random) -> tuple[bytes, list[bytes]]:
    """A chunked body, whole and in pieces."""
    body = words(source, _CHUNKS, 6) + noise(source, 5)
    return body, pieces(source, body)


def run_chunks(_loop: VirtualLoop, body: tuple[bytes, list[bytes]]) -> None:
    """A body ends at the same byte, whole or in pieces, or is refused."""

    def taken(parts: list[bytes]) -> tuple[int, bool] | None:
        tracker, count = ChunkedTracker(), 0
        try:
            for part in parts:
                count += tracker.feed(part)
                if tracker.complete:
                    break
        except BadFraming:
            return None
        return count, tracker.complete

    whole = taken([body[0]])
    split = taken(body[1])
    assert whole == split or None in (whole, split), (whole, split)
    if whole is not None and whole[1]:
        assert whole == split
        dechunk(body[0][: whole[0]])
