"""What a peer may send without end, and how much of it is held meanwhile."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from backend.agent.core.guest import Guest
from backend.control import messages, server
from backend.control.protocol import PROTOCOL
from backend.control.server import ControlServer
from backend.engine.front.http_head import MAX_HEAD_BYTES
from backend.engine.front.proxy import ApiFront
from backend.stream import ByteStream
from backend.vm.guest import GuestControl
from tests.fuzz.lines import STATUS
from tests.fuzz.streams import Scripted, virtual

HELLO = b'{"type":"hello","protocol":%d,"version":"0","pid":1}\n' % PROTOCOL


class Endless(Scripted):
    """Says the same for ever, until the stream is closed or for the two seconds of a lingering close."""

    def __init__(self, first: bytes, again: bytes) -> None:
        super().__init__([first])
        self._again = again

    async def read(self, max_bytes: int = 262_144) -> bytes:
        if self._pieces and not self.closed:
            return await super().read(max_bytes)
        await asyncio.sleep(0.001)
        if self.closed:
            raise ConnectionResetError
        self.read_bytes += len(self._again)
        return self._again


async def held_by(work: Any) -> int:
    """The most memory that was taken while it ran, in bytes."""
    tracemalloc.start()
    try:
        await work
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_without_end_on_the_control_channel_is_refused() -> None:
    async def work() -> None:
        stream = Endless(HELLO, b"x" * 65_536)
        assert await held_by(ControlServer({}, lambda: STATUS).handle(stream)) < 8 * 1024**2
        assert b"too long" in stream.written
        assert stream.read_bytes < 4 * 1024**2
        assert stream.closed

    virtual(work)


def test_requests_without_end_are_taken_on_a_few_at_a_time() -> None:
    most = 0

    async def work() -> None:
        under_way = 0

        async def slow(_request: messages.ListPorts) -> messages.PortList:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(5)
            under_way -= 1
            return messages.PortList(ports=())

        line = b'{"type":"request","id":1,"name":"ports.list"}\n'
        stream = Scripted([HELLO, *[line * 100] * 20])
        await ControlServer([messages.ListPorts.handled_by(slow)], lambda: STATUS).handle(stream)
        assert stream.written.count(b'"type":"reply"') > 1900

    virtual(work)
    assert 0 < most <= server._MAX_CONCURRENT_REQUESTS


@pytest.mark.expect_log("it is cut off")
def test_a_client_that_reads_no_answers_is_cut_off() -> None:
    class Deaf(Scripted):
        async def write(self, data: bytes) -> None:
            await self._closed_event.wait()
            raise BrokenPipeError

    async def work() -> None:
        async def big(_request: messages.GetDaemonFile) -> messages.DaemonFile:
            return messages.DaemonFile(text="x" * 10_000)

        line = b'{"type":"request","id":1,"name":"daemon.get"}\n'
        stream = Deaf([HELLO, *[line * 50] * 200], ending="silence")
        control = ControlServer([messages.GetDaemonFile.handled_by(big)], lambda: STATUS)
        handling = asyncio.ensure_future(control.handle(stream))
        assert await held_by(asyncio.wait({handling})) < 16 * 1024**2
        assert handling.cancelled()
        assert control.clients == 0
        assert stream.closed

    virtual(work)


def test_a_guest_that_never_ends_its_line_is_not_kept() -> None:
    async def work() -> None:
        stream = Scripted([*[b"x" * 65_536] * 200, b"\nstage ready 1\n"])
        guest = Guest(GuestControl(stream))

        async def follow() -> None:
            async for _ in guest.events():
                pass

        assert await held_by(follow()) < 4 * 1024**2
        assert guest.stages == {"ready": 1.0}

    virtual(work)


def test_a_head_without_end_is_refused_from_both_sides() -> None:
    more = b"X: " + b"y" * 8000 + b"\r\n"

    async def client_side() -> None:
        async def dial() -> ByteStream:
            raise AssertionError("nothing was asked yet")

        stream = Endless(b"GET / HTTP/1.1\r\n", more)
        front = ApiFront(dial)
        assert await held_by(front.handle(stream)) < 4 * 1024**2
        assert stream.written.startswith(b"HTTP/1.1 431")
        assert stream.closed
        await front.aclose()

    async def engine_side() -> None:
        engine = Endless(b"HTTP/1.1 200 OK\r\n", more)

        async def dial() -> ByteStream:
            return engine

        stream = Scripted([b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"], ending="silence")
        front = ApiFront(dial)
        serving = asyncio.ensure_future(front.handle(stream))
        asyncio.get_running_loop().call_later(60, serving.cancel)
        await asyncio.wait({serving})
        assert stream.written.startswith(b"HTTP/1.1 502")
        assert engine.closed
        assert engine.read_bytes < 2 * MAX_HEAD_BYTES
        await front.aclose()

    virtual(client_side)
    virtual(engine_side)
