"""Request bodies on their way to an engine that takes its time, refuses, or is left alone with half of one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import MakeStage, Run

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


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
