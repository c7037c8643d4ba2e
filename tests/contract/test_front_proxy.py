"""The front between a client and an engine that misbehaves on cue: ordinary requests and responses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.engine.front_hooks import Headers
from backend.engine.front_unix import UnixStream
from backend.errors import Problem, ProblemCode, fail
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


def test_large_uploads_stream_and_are_complete(stage: MakeStage, run: Run) -> None:
    piece = bytes(range(256)) * 256
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for _ in range(64)) + b"0\r\nSum: 1\r\n\r\n"

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Transfer-Encoding: chunked" in await head_of(reader)
        assert await reader.readexactly(len(body)) == body
        writer.write(OK)
        await head_of(reader)  # and the connection is in order afterwards
        writer.write(OK)
        await reader.read()

    async def main() -> None:
        async with stage(take) as on:
            reader, writer = await on.client()
            writer.write(b"POST /build HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            assert await reader.readexactly(len(OK)) == OK
            writer.write(PING)
            assert await reader.readexactly(len(OK)) == OK
            writer.close()
            await writer.wait_closed()

    run(main())


def test_back_pressure_reaches_the_client(stage: MakeStage, run: Run) -> None:
    stalled = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.wait()

    async def main() -> None:
        async with stage(stall) as on:
            _, writer = await on.client()
            writer.transport.set_write_buffer_limits(high=0)
            writer.write(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000000\r\n\r\n")
            sent = 0
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    while sent < 100_000_000:
                        writer.write(bytes(100_000))
                        await writer.drain()
                        sent += 100_000
            assert sent < 10_000_000  # sockets' and streams' buffers, not the body
            stalled.set()
            writer.transport.abort()

    run(main())


def test_expect_continue_is_between_client_and_engine(stage: MakeStage, run: Run) -> None:
    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue" in await head_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)
        await reader.read()

    async def main() -> None:
        async with stage(agree) as on:
            reader, writer = await on.client()
            writer.write(b"PUT /x HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            assert await head_of(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"body")
            assert await reader.readexactly(len(OK)) == OK
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_refusal_before_the_body_reaches_a_client_that_still_sends(stage: MakeStage, run: Run) -> None:
    refusal = b'HTTP/1.1 413 Too Large\r\nContent-Length: 16\r\n\r\n{"message":"no"}'

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(refusal)
        await writer.drain()

    async def main() -> None:
        async with stage(refuse) as on:
            reader, writer = await on.client()
            writer.write(b"POST /build HTTP/1.1\r\nHost: d\r\nContent-Length: 90000000\r\n\r\n" + bytes(5_000_000))
            assert (await reader.read()).partition(b"\r\n\r\n")[2] == b'{"message":"no"}'
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    run(main())


def test_an_upload_that_breaks_off_breaks_off_upstream(stage: MakeStage, run: Run) -> None:
    ended = asyncio.Event()

    async def take(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        assert len(await reader.read(-1)) == 200_000
        ended.set()

    async def main() -> None:
        async with stage(take) as on:
            _, writer = await on.client()
            writer.write(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\n" + bytes(200_000))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(10):
                await ended.wait()

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


def test_a_stopped_machine_is_told_in_dockers_words_and_the_connection_stays(stage: MakeStage, run: Run) -> None:
    async def dial() -> ByteStream:
        raise fail(ProblemCode.MACHINE_STOPPED, "The virtual machine is stopped.", hint="Start it with: wherry start")

    async def main() -> None:
        async with stage(answering(OK), dial=dial) as on:
            reader, writer = await on.client()
            for _ in range(2):
                writer.write(PING)
                head = await head_of(reader)
                assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n")
                length = int(head.partition(b"Content-Length: ")[2].split()[0])
                body = json.loads(await reader.readexactly(length))
                assert body == {"message": "The virtual machine is stopped. Start it with: wherry start"}
            writer.write(b"HEAD /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_client_that_leaves_while_the_machine_starts_ends_the_dial(stage: MakeStage, run: Run) -> None:
    dialling, gave_up = asyncio.Event(), asyncio.Event()

    async def dial() -> ByteStream:
        dialling.set()
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.set()
        raise AssertionError

    async def main() -> None:
        async with stage(answering(OK), dial=dial) as on:
            _, writer = await on.client()
            writer.write(PING)
            await dialling.wait()
            writer.close()
            async with asyncio.timeout(10):
                await gave_up.wait()

    run(main())


class RecordingHooks:
    """Rewrites what is created and holds what is started."""

    def __init__(self) -> None:
        self.forwarded = asyncio.Event()
        self.held = asyncio.Event()
        self.problem: Problem | None = None

    def wants_body(self, method: str, target: str) -> bool:
        return method == "POST" and target.endswith("/create")

    async def rewrite_request(self, method: str, target: str, headers: Headers, body: bytes) -> bytes | None:
        assert ("host", "d") in headers
        if body == b"refuse":
            raise fail(ProblemCode.BAD_REQUEST, "That path cannot be mounted.")
        return body.replace(b"C:\\\\x", b"/mnt/c/x") if b"C:" in body else None

    async def before_response(self, method: str, target: str, status: int) -> Problem | None:
        if target.endswith("/start") and status == 204:
            self.held.set()
            await self.forwarded.wait()
            return self.problem
        return None


def test_hooks_rewrite_the_body_of_a_request(stage: MakeStage, run: Run) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await head_of(reader)
            length = int(head.partition(b"Content-Length: ")[2].split()[0])
            body = await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def main() -> None:
        start = b"POST /v1.50/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
        async with stage(echo, hooks=RecordingHooks()) as on:
            answers = [
                await on.ask(start + b'Content-Length: 17\r\n\r\n{"B":["C:\\\\x:y"]}'),
                await on.ask(
                    start + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"B":["C\r\n8\r\n:\\\\x:y"]\r\n1\r\n}\r\n0\r\n\r\n'
                ),
                await on.ask(start + b"Content-Length: 2\r\n\r\n{}"),
            ]
            bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers]
            assert bodies == [b'{"B":["/mnt/c/x:y"]}', b'{"B":["/mnt/c/x:y"]}', b"{}"]
            refused = await on.ask(start + b"Content-Length: 6\r\n\r\nrefuse")
            assert message(refused) == (400, "That path cannot be mounted.")
            assert message(await on.ask(start + b"Content-Length: 5000000\r\n\r\n" + bytes(5_000_000)))[0] == 413

    run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_hold_a_response(stage: MakeStage, run: Run, fails: bool) -> None:
    response = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def main() -> None:
        hooks = RecordingHooks()
        if fails:
            hooks.problem = Problem(code=ProblemCode.ENGINE_ERROR, summary="Port 8080 is taken.")
        async with stage(answering(response), hooks=hooks) as on:
            reader, writer = await on.client()
            writer.write(b"POST /containers/x/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
            answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
            await hooks.held.wait()
            assert not answer.done()
            hooks.forwarded.set()
            head = await answer
            assert head.startswith(b"HTTP/1.1 500 ") if fails else head == response
            writer.close()
            await writer.wait_closed()

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
            assert not on.path.exists()
            writer.close()
            await writer.wait_closed()

    run(main())


TOKENS = [
    PING,
    b"POST /x HTTP/1.1\r\nHost: d\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"Upgrade: tcp\r\nConnection: Upgrade\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\x00",
    b":",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(TOKENS),
        ),
        max_size=12,
    )
)
def test_whatever_a_client_sends_it_is_answered_or_closed(stage: MakeStage, run: Run, pieces: list[bytes]) -> None:
    async def lenient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"\r\n\r\n" in (data := await reader.read(65536)):
            writer.write(OK * data.count(b"\r\n\r\n"))

    async def main() -> None:
        async with stage(lenient) as on:
            reader, writer = await on.client()
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                writer.write_eof()
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(20):
                    answer = await reader.read()
                assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    run(main())
