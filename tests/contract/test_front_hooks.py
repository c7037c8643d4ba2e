"""What the front does by itself or for others: hooks, a stopped machine, and clients that send anything at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.engine.front.hooks import Headers, NoHooks, Rewrite
from backend.errors import Problem, ProblemCode, fail
from backend.messages import verbatim
from backend.stream import ByteStream

if TYPE_CHECKING:
    from tests.contract.conftest import MakeStage, Run, Script

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


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


def test_a_stopped_machine_is_told_in_dockers_words_and_the_connection_stays(stage: MakeStage, run: Run) -> None:
    async def dial() -> ByteStream:
        raise fail(
            ProblemCode.MACHINE_STOPPED,
            verbatim("The virtual machine is stopped."),
            hint=verbatim("Start it with: wherry start"),
        )

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


class RecordingHooks(NoHooks):
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
            raise fail(ProblemCode.BAD_REQUEST, verbatim("That path cannot be mounted."))
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
            hooks.problem = Problem(code=ProblemCode.ENGINE_ERROR, summary=verbatim("Port 8080 is taken."))
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


class ChangingHooks(NoHooks):
    async def before_request(self, method: str, target: str) -> Problem | None:
        return (
            Problem(code=ProblemCode.PORT_TAKEN, summary=verbatim("Taken."), hint=verbatim("Go."))
            if target.endswith("/start")
            else None
        )

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:
        return (lambda body: body.replace(b"alias", b"the host's address")) if target.endswith("/json") else None


def test_a_request_that_hooks_refuse_never_reaches_the_engine(stage: MakeStage, run: Run) -> None:
    async def main() -> None:
        async with stage(answering(OK), hooks=ChangingHooks()) as on:
            reader, writer = await on.client()
            writer.write(b"POST /containers/x/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 500 ")
            body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
            assert json.loads(body) == {"message": "Taken. Go."}
            writer.write(PING)  # the same connection goes on, and this is the first that the engine hears
            assert (await reader.readuntil(b"OK")).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize(
    "response",
    [
        b'HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 9\r\n\r\n["alias"]',
        b'HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n["al\r\n5\r\nias"]\r\n0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n["alias"]',
    ],
    ids=["length", "chunked", "until close"],
)
def test_hooks_rewrite_the_body_of_a_response(stage: MakeStage, run: Run, response: bytes) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(response)
        await writer.drain()
        if b"Length" not in response and b"chunked" not in response:
            writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with stage(once, hooks=ChangingHooks()) as on:
            reader, writer = await on.client()
            writer.write(b"GET /containers/json HTTP/1.1\r\nHost: d\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"X-A: b\r\n" in head
            assert b"Transfer-Encoding" not in head
            length = int(head.partition(b"Content-Length: ")[2].split()[0])
            assert json.loads(await reader.readexactly(length)) == ["the host's address"]
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
