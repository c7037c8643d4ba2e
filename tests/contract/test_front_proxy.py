"""The front between a client and an engine that misbehaves on cue: ordinary requests and responses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backend.host.systems.unix_socket import UnixStream
from backend.stream import ByteStream

if TYPE_CHECKING:
    from tests.contract.conftest import MakeStage, Run, Script

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
PING_CLOSE = b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def answering(*responses: bytes) -> Script:
    """An engine that reads a head and answers, for each response."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await head_of(reader)
            writer.write(response)
        assert await reader.read() == b""

    return script


def message(response: bytes) -> tuple[int, str]:
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["message"]


def test_keep_alive_uses_one_connection_on_both_sides(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        async with stage(answering(OK, OK, OK)) as on:
            reader, writer = await on.client()
            for _ in range(3):
                writer.write(PING)
                assert await reader.readexactly(len(OK)) == OK
            writer.close()
            await writer.wait_closed()
            assert on.engine.connections == 1

    run(main())


def test_an_idle_upstream_serves_the_next_client(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        async with stage(answering(OK, OK)) as on:
            for _ in range(2):
                assert (await on.ask(PING_CLOSE)).endswith(b"OK")
            assert on.engine.connections == 1

    run(main())


def test_connection_close_is_honoured_and_said(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        async with stage(answering(OK)) as on:
            assert await on.ask(PING_CLOSE) == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    run(main())


def test_pipelined_requests_are_answered_in_order(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        responses = [
            OK.replace(b"OK", b"%02d" % number, 2).replace(b"200 %02d" % number, b"200 OK") for number in range(5)
        ]
        async with stage(answering(*responses)) as on:
            reader, writer = await on.client()
            writer.write(PING * 5)
            assert await reader.readexactly(sum(map(len, responses))) == b"".join(responses)
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_stale_idle_upstream_is_replaced_for_safe_requests(stage: MakeStage, run: Run) -> None:
    closed = asyncio.Event()

    async def once_then_close_on_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(OK)
        await head_of(reader)  # the second request reaches it, and it closes without a byte
        closed.set()

    async def main() -> None:
        async with stage(once_then_close_on_request, answering(OK)) as on:
            reader, writer = await on.client()
            for _ in range(2):
                writer.write(PING)
                assert await reader.readexactly(len(OK)) == OK
            assert closed.is_set()
            assert on.engine.connections == 2
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_request_that_may_have_acted_is_not_sent_twice(stage: MakeStage, run: Run) -> None:
    async def once_then_close_on_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(OK)
        await head_of(reader)

    async def main() -> None:
        async with stage(once_then_close_on_request) as on:
            reader, writer = await on.client()
            writer.write(PING)
            await reader.readexactly(len(OK))
            writer.write(
                b"POST /containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
            )
            status, text = message(await reader.read())
            assert (status, on.engine.connections) == (502, 1)
            assert "closed the connection" in text
            writer.close()
            await writer.wait_closed()

    run(main())


def test_an_engine_that_ends_idle_connections_is_noticed(stage: MakeStage, run: Run, tmp_path: Path) -> None:
    let_go = asyncio.Event()

    async def close_when_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(OK)
        await let_go.wait()

    dropped = asyncio.Event()

    class Noting(UnixStream):
        async def aclose(self) -> None:
            dropped.set()
            await super().aclose()

    async def main() -> None:
        path = tmp_path / "engine.sock"

        async def dial() -> ByteStream:
            loop = asyncio.get_running_loop()
            return (await loop.create_unix_connection(lambda: Noting(lambda _: None), str(path)))[1]

        async with stage(close_when_told, answering(OK), dial=dial) as on:
            assert (await on.ask(PING_CLOSE)).endswith(b"OK")
            assert not dropped.is_set()
            let_go.set()
            async with asyncio.timeout(10):
                await dropped.wait()
            # So even a request that must not be repeated is safe.
            answer = await on.ask(b"POST /x HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")

    run(main())


def test_each_chunk_is_passed_on_as_it_comes(stage: MakeStage, run: Run) -> None:
    seen = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            writer.write(b"5\r\nline%d\r\n" % number)
            await seen.wait()  # the next one comes only when the client has this one
            seen.clear()
        writer.write(b"0\r\nX-Trailer: yes\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with stage(drip) as on:
            reader, writer = await on.client()
            writer.write(PING)
            await head_of(reader)
            for number in range(3):
                assert await reader.readexactly(10) == b"5\r\nline%d\r\n" % number
                seen.set()
            assert await head_of(reader) == b"0\r\nX-Trailer: yes\r\n\r\n"
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("end", ["close", "reset of the front's client"])
def test_a_client_that_leaves_ends_the_upstream_at_once(stage: MakeStage, run: Run, end: str) -> None:
    ended = asyncio.Event()

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert await reader.read() == b""  # docker logs -f of a silent container: nothing else tells
        ended.set()

    async def main() -> None:
        async with stage(follow) as on:
            reader, writer = await on.client()
            writer.write(PING)
            await reader.readuntil(b"first\r\n")
            if end == "close":
                writer.close()
            else:
                writer.transport.abort()
            async with asyncio.timeout(10):
                await ended.wait()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    run(main())


def test_a_client_that_leaves_before_the_answer_ends_the_upstream(stage: MakeStage, run: Run) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        asked.set()
        assert await reader.read() == b""  # docker wait
        ended.set()

    async def main() -> None:
        async with stage(wait) as on:
            _, writer = await on.client()
            writer.write(b"POST /containers/x/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
            await asked.wait()
            writer.close()
            async with asyncio.timeout(10):
                await ended.wait()

    run(main())


def test_a_client_that_only_closed_its_sending_side_gets_its_response(stage: MakeStage, run: Run) -> None:
    half_closed = asyncio.Event()

    async def answer_after_eof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        assert await reader.read() == b""  # the half-close reaches the engine
        half_closed.set()
        writer.write(OK)

    async def main() -> None:
        async with stage(answer_after_eof) as on:
            reader, writer = await on.client()
            writer.write(PING)
            writer.write_eof()
            assert await reader.read() == OK
            assert half_closed.is_set()
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    ],
)
def test_a_cut_response_is_cut_for_the_client_too(stage: MakeStage, run: Run, cut: bytes) -> None:
    async def cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(cut)

    async def main() -> None:
        async with stage(cut_short) as on:
            assert await on.ask(PING) == cut

    run(main())


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"a" * 300_000),
        b"",
    ],
)
def test_a_broken_response_head_is_a_502(stage: MakeStage, run: Run, broken: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(broken)

    async def main() -> None:
        async with stage(answer) as on:
            status, text = message(await on.ask(PING_CLOSE))
            assert status == 502
            assert text.startswith("The engine")

    run(main())


def test_an_invalid_chunk_is_not_passed_off_as_an_end(stage: MakeStage, run: Run) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        writer.write(b"5\r\nfirst\r\nzz\r\n0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with stage(answer) as on:
            assert not (await on.ask(PING)).endswith(b"0\r\n\r\n")

    run(main())


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
def test_responses_without_a_body_do_not_wait_for_one(stage: MakeStage, run: Run, method: str) -> None:
    response = {
        "HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        "GET": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        "POST": b"HTTP/1.1 204 No Content\r\n\r\n",
    }[method]

    async def main() -> None:
        async with stage(answering(response, response)) as on:
            reader, writer = await on.client()
            for _ in range(2):
                writer.write(f"{method} /x HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
                assert await reader.readexactly(len(response)) == response
            writer.close()
            await writer.wait_closed()

    run(main())


def test_headers_of_100_kib_pass_and_of_300_kib_do_not(stage: MakeStage, run: Run) -> None:
    async def echo_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._limit = 1 << 20  # type: ignore[attr-defined]
        assert b"X-Registry-Config: " + b"a" * 100_000 in await head_of(reader)
        writer.write(OK)
        await reader.read()

    def with_config(size: int) -> bytes:
        return PING_CLOSE.replace(b"\r\n\r\n", b"\r\nX-Registry-Config: " + b"a" * size + b"\r\n\r\n")

    async def main() -> None:
        async with stage(echo_length) as on:
            assert (await on.ask(with_config(100_000))).endswith(b"OK")
            status, text = message(await on.ask(with_config(300_000)))
            assert status == 431
            assert "256 KiB" in text

    run(main())


def test_a_request_that_is_none_gets_a_400(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        async with stage(answering(OK)) as on:
            for nonsense in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"):
                status, text = message(await on.ask(nonsense))
                assert status == 400
                assert text.startswith("The request cannot be understood")
            bad = b"POST /x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            assert message(await on.ask(bad))[0] == 400

    run(main())


def test_aclose_ends_what_is_under_way(stage: MakeStage, run: Run) -> None:
    ended = asyncio.Event()

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await reader.read()
        ended.set()

    async def main() -> None:
        async with stage(follow) as on:
            reader, writer = await on.client()
            writer.write(PING)
            await reader.readuntil(b"first\r\n")
            await on.front.aclose()
            assert await reader.read() == b""
            async with asyncio.timeout(10):
                await ended.wait()
            writer.close()
            await writer.wait_closed()

    run(main())
