"""One request and its response: whatever comes, in whatever pieces, is a whole response or an error with the reason."""

from __future__ import annotations

import asyncio
import socket
from threading import Event, Thread

import pytest

from backend.http_exchange import (
    MAX_HEAD_BYTES,
    HttpExchange,
    HttpResponse,
    IncompleteResponse,
    InvalidResponse,
    ResponseTooLong,
    fetch,
    fetch_blocking,
    open_response,
)
from tests.fuzz.streams import Scripted, virtual

HOST = {"Host": "docker"}
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-a: 2\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
)
WHOLE = (
    CHUNKED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nabcde",
    b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nabcde",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nabcde",
)


def get(pieces: list[bytes], *, method: str = "GET", max_bytes: int = 100, cuts: bool = False) -> HttpResponse:
    """What `fetch` makes of these pieces, after which the connection ends."""
    responses: list[HttpResponse] = []

    async def work() -> None:
        stream = Scripted(pieces, wait_for_write=True)
        exchange = HttpExchange(method, "/x", HOST)
        responses.append(await fetch(stream, exchange, timeout_s=9, max_bytes=max_bytes, cuts=cuts))

    virtual(work)
    return responses[0]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("answer", WHOLE)
def test_a_response_in_pieces(answer: bytes, size: int) -> None:
    response = get([answer[start : start + size] for start in range(0, len(answer), size)])
    assert (response.status, response.reason) == (200, "OK")
    assert response.untrusted_body == b"abcde"
    assert response.headers["x-a"] == "1"


def test_a_head_alone_has_no_body() -> None:
    assert get([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], method="HEAD").untrusted_body == b""
    assert get([b"HTTP/1.1 204 No\r\n\r\n"]).status == 204


@pytest.mark.parametrize("answer", [answer[:-1] for answer in (*WHOLE[:2], WHOLE[3])] + [WHOLE[2][:20], b""])
def test_a_connection_that_closes_too_early_is_no_shorter_answer(answer: bytes) -> None:
    with pytest.raises(IncompleteResponse, match=r"without an answer$" if not answer else r"before the whole answer"):
        get([answer])


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2 * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_http_is_an_error(answer: bytes) -> None:
    with pytest.raises(InvalidResponse, match="not HTTP"):
        get([answer])


def test_what_speaks_another_protocol_is_known_by_its_first_bytes() -> None:
    exchange = HttpExchange("GET", "/x", HOST)
    exchange.feed(b"HT")
    with pytest.raises(InvalidResponse, match="not HTTP"):
        exchange.feed(b"ML>")


def test_a_longer_body_is_refused_or_cut() -> None:
    with pytest.raises(ResponseTooLong, match="4 bytes"):
        get([CHUNKED], max_bytes=4)
    assert get([CHUNKED], max_bytes=4, cuts=True).untrusted_body == b"abcd"
    assert get([CHUNKED], max_bytes=5).untrusted_body == b"abcde"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/\N{SNOWMAN}"])
def test_a_request_that_cannot_be_sent(target: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        HttpExchange("GET", target, HOST)
    with pytest.raises(ValueError, match="cannot be sent"):
        HttpExchange("GET", "/", {"Host": "a\r\nb"})


def test_a_proxy_that_grants_a_connection_leaves_the_stream_open() -> None:
    async def work() -> None:
        stream = Scripted([b"HTTP/1.1 200 Connection established\r\n\r\n"], ending="silence", wait_for_write=True)
        response = await open_response(stream, HttpExchange("CONNECT", "a:443", {"Host": "a:443"}), timeout_s=9)
        assert response.head.status == 200
        assert bytes(stream.written) == b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
        await stream.write(b"more")
        await stream.aclose()

    virtual(work)


def test_a_response_without_end_is_read_as_it_comes() -> None:
    async def work() -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        stream = Scripted([head + b"1\r\na\r\n", b"1\r", b"\nb\r\n"], ending="silence", wait_for_write=True)
        response = await open_response(stream, HttpExchange("GET", "/events", HOST), timeout_s=9)
        assert [await response.read(), await response.read()] == [b"a", b"b"]
        waiting = asyncio.ensure_future(response.read())
        await asyncio.sleep(3600)
        assert not waiting.done(), "a body has no deadline"
        await stream.aclose()
        with pytest.raises(ConnectionResetError):
            await waiting

    virtual(work)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_a_deadline_says_what_was_waited_for(reply: bytes) -> None:
    async def work() -> None:
        stream = Scripted([reply], ending="silence", wait_for_write=True)
        with pytest.raises(TimeoutError, match=r"no answer to GET /x within 9 s"):
            await fetch(stream, HttpExchange("GET", "/x", HOST), timeout_s=9)
        await stream.aclose()

    virtual(work)


@pytest.mark.parametrize("answer", WHOLE)
def test_the_same_over_a_socket(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        response = fetch_blocking(ours, HttpExchange("GET", "/x", HOST), timeout_s=9)
        assert (response.status, response.untrusted_body) == (200, b"abcde")
        assert theirs.recv(4096) == b"GET /x HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"


def test_a_socket_has_one_deadline_for_all_pieces() -> None:
    ours, theirs = socket.socketpair()
    done = Event()

    def drip() -> None:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
        while not done.wait(0.02):
            theirs.sendall(b"a")

    with ours, theirs:
        thread = Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TimeoutError, match=r"no answer to GET /x within 0.2 s"):
                fetch_blocking(ours, HttpExchange("GET", "/x", HOST), timeout_s=0.2)
        finally:
            done.set()
            thread.join()
