"""The engine is asked, and what goes wrong is a Problem with the request in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from backend.engine.ask import answers_ping, ask, ask_json, follow
from backend.errors import ProblemCode, WherryError
from backend.json_reader import MAX_LINE_BYTES, NotUnderstood
from backend.stream import ByteStream
from tests.fuzz.streams import Scripted, virtual

OK = b"HTTP/1.1 200 OK\r\n"


def dialling(*pieces: bytes, ending: str = "eof") -> tuple[Callable[[], Awaitable[ByteStream]], list[Scripted]]:
    """What dials an engine that says this, and the streams that were opened."""
    opened: list[Scripted] = []

    async def dial() -> ByteStream:
        opened.append(Scripted(pieces, ending=ending, wait_for_write=True))
        return opened[-1]

    return dial, opened


@pytest.mark.parametrize(
    ("reply", "ending", "code", "words"),
    [
        (b"", "eof", ProblemCode.ENGINE_DOWN, "closed the connection before"),
        (OK + b"Content-Length: 9\r\n\r\n[]", "eof", ProblemCode.ENGINE_DOWN, "closed the connection before"),
        (OK, "reset", ProblemCode.ENGINE_DOWN, "broke"),
        (OK, "silence", ProblemCode.ENGINE_SLOW, "busy with this request after 30 s"),
        (b"hello\r\n\r\n", "eof", ProblemCode.ENGINE_ERROR, "understood"),
        (OK + b"\r\n" + b"x" * 70, "eof", ProblemCode.ENGINE_ERROR, "too long"),
    ],
)
def test_what_goes_wrong_is_a_problem(reply: bytes, ending: str, code: ProblemCode, words: str) -> None:
    async def work() -> None:
        dial, opened = dialling(reply, ending=ending)
        with pytest.raises(WherryError, match=words) as raised:
            await ask(dial, "GET", "/x", limit_bytes=64)
        assert raised.value.problem.code is code
        assert raised.value.problem.command == "GET /x"
        assert opened[0].closed

    virtual(work)


def test_a_connection_that_is_not_made_has_the_same_deadline() -> None:
    async def work() -> None:
        with pytest.raises(WherryError, match=r"still busy with this request after 3 s"):
            await ask(lambda: asyncio.Event().wait(), "GET", "/x", timeout_s=3)  # type: ignore[arg-type,return-value]  # never

    virtual(work)


@pytest.mark.parametrize(("status", "found"), [(b"200 OK", True), (b"500 X", False)])
def test_a_ping(status: bytes, found: bool) -> None:
    async def work() -> None:
        assert await answers_ping(Scripted([b"HTTP/1.1 %s\r\n\r\nOK" % status]), timeout_s=1) is found
        for reply, ending in ((b"", "eof"), (b"", "silence"), (b"x", "eof")):
            stream = Scripted([reply], ending=ending)
            assert not await answers_ping(stream, timeout_s=1)
            await stream.aclose()
        with pytest.raises(ConnectionResetError):
            await answers_ping(Scripted([], ending="reset"), timeout_s=1)

    virtual(work)


def test_json_that_is_none_is_an_error_and_not_nothing() -> None:
    async def work() -> None:
        assert await ask_json(dialling(b"HTTP/1.1 404 X\r\n\r\n{}")[0], "/x") is None
        with pytest.raises(NotUnderstood, match="understood") as raised:
            await ask_json(dialling(OK + b"\r\n[1,")[0], "/x")
        assert raised.value.problem.code is ProblemCode.ENGINE_ERROR
        with pytest.raises(WherryError, match="it is busy"):
            await ask_json(dialling(b'HTTP/1.1 503 X\r\n\r\n{"message": "it is busy."}')[0], "/x")

    virtual(work)


def test_objects_come_as_they_are_told() -> None:
    async def work() -> None:
        chunks = b"Transfer-Encoding: chunked\r\n\r\n", b'8\r\n{}\n\n{"a"\r\n', b"4\r\n:1}\n\r\n"
        dial, opened = dialling(OK + chunks[0], *chunks[1:], ending="silence")
        async with follow(dial, "/events") as events:
            assert [list(await anext(events)) for _ in range(2)] == [[], ["a"]]
        assert opened[0].closed

    virtual(work)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b'HTTP/1.1 400 X\r\nContent-Length: 16\r\n\r\n{"message":"no"}', "no"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}", "closed the connection"),
        (OK + b"\r\n{\n", "understood"),
        (OK + b"\r\n[]\n", "understood"),
        (OK + b"\r\n" + b"x" * (MAX_LINE_BYTES + 1), "understood"),
    ],
)
def test_objects_that_end_badly_are_a_problem(reply: bytes, words: str) -> None:
    async def work() -> None:
        dial, opened = dialling(reply)
        with pytest.raises(WherryError, match=words):
            async with follow(dial, "/events") as events:
                assert [event async for event in events] == []
        assert opened[0].closed

    virtual(work)
