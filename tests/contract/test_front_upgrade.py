"""Connections that stop being HTTP: attach and exec (Upgrade: tcp, and the older hijack), BuildKit's h2c."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import MakeStage, Run

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nUpgrade: tcp\r\n"
HIJACKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
ATTACH = b"POST /containers/x/attach?stdin=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
ANSWERS = {"upgrade": UPGRADED + b"Connection: Upgrade\r\n\r\n", "hijack": HIJACKED}

ways = pytest.mark.parametrize("way", ["upgrade", "hijack"])


@ways
def test_all_output_comes_after_the_end_of_the_input(stage: MakeStage, run: Run, way: str) -> None:
    async def cat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[way])
        total = await reader.read()  # docker run -i: up to the client's half-close
        for _ in range(50):
            writer.write(total)
        await writer.drain()

    async def main() -> None:
        async with stage(cat) as on:
            reader, writer = await on.client()
            writer.write(ATTACH + b"Content-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"input" * 1000)
            writer.write_eof()
            assert await reader.read() == b"input" * 50_000
            writer.close()
            await writer.wait_closed()

    run(main())


@ways
def test_bytes_that_came_with_the_heads_are_kept(stage: MakeStage, run: Run, way: str) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[way] + b"banner\n")
        assert await reader.readexactly(6) == b"early\n"
        writer.write(b"got it\n")

    async def main() -> None:
        async with stage(greet) as on:
            reader, writer = await on.client()
            writer.write(ATTACH + b"Content-Length: 0\r\n\r\nearly\n")
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(14) == b"banner\ngot it\n"
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main())


@ways
def test_the_engine_may_close_its_side_first(stage: MakeStage, run: Run, way: str) -> None:
    async def end_then_listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[way] + b"bye")
        writer.write_eof()
        assert await reader.read() == b"last words"

    async def main() -> None:
        async with stage(end_then_listen) as on:
            reader, writer = await on.client()
            writer.write(ATTACH + b"Content-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b"bye"
            writer.write(b"last words")
            writer.write_eof()
            writer.close()
            await writer.wait_closed()

    run(main())


@ways
@pytest.mark.parametrize("silent", [True, False])
def test_a_client_that_is_killed_ends_the_upstream(stage: MakeStage, run: Run, way: str, silent: bool) -> None:
    ended = asyncio.Event()

    async def attach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[way])
        try:
            if silent:
                await reader.read()
            else:
                while True:
                    writer.write(bytes(65536))
                    await writer.drain()
        except ConnectionError:
            pass
        ended.set()

    async def main() -> None:
        async with stage(attach) as on:
            reader, writer = await on.client()
            writer.write(ATTACH + b"Content-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            async with asyncio.timeout(10):
                await ended.wait()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    run(main())


def test_exec_start_sends_its_json_and_then_raw_bytes(stage: MakeStage, run: Run) -> None:
    async def execute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(13) == b'{"Tty":false}'
        writer.write(ANSWERS["upgrade"])
        writer.write(await reader.read())

    async def main() -> None:
        async with stage(execute) as on:
            reader, writer = await on.client()
            writer.write(ATTACH + b'Content-Length: 13\r\n\r\n{"Tty":false}stdin')
            writer.write_eof()
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nUpgrade: tcp\r\n" in head
            assert b"\r\nConnection: Upgrade\r\n" in head
            assert await reader.read() == b"stdin"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_refused_upgrade_is_an_ordinary_response(stage: MakeStage, run: Run) -> None:
    refusal = b'HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\n{"message":"no"}'

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(refusal)
        await reader.read()

    async def main() -> None:
        async with stage(refuse) as on:
            reader, writer = await on.client()
            for _ in range(2):
                writer.write(ATTACH + b"Content-Length: 0\r\n\r\n")
                assert await reader.readexactly(len(refusal)) == refusal
            writer.close()
            await writer.wait_closed()

    run(main())


def test_logs_of_a_raw_stream_type_stay_http(stage: MakeStage, run: Run) -> None:
    chunked = HIJACKED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"3\r\nlog\r\n0\r\n\r\n"

    async def logs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(chunked)
        await reader.read()

    async def main() -> None:
        async with stage(logs) as on:
            reader, writer = await on.client()
            for _ in range(2):
                writer.write(b"GET /containers/x/logs HTTP/1.1\r\nHost: d\r\n\r\n")
                assert await reader.readexactly(len(chunked)) == chunked
            writer.close()
            await writer.wait_closed()

    run(main())
