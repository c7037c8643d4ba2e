"""Listeners of containers with the host's network: what the guest prints, and when it is followed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from backend.addresses import Protocol, address_of
from backend.engine.engine_json import engine_source
from backend.json_reader import JsonObject
from backend.net.ports import host_network
from backend.net.ports.host_network import COMMAND, GuestListener, HostNetworkFeed, Parser, uses_host_network
from tests.fakes.loop import turns

ONE, OTHER = "a" * 64, "0" * 64
WEB = GuestListener(protocol=Protocol.TCP, guest_ip="0.0.0.0", port=8080, container_id=ONE)
DNS = GuestListener(protocol=Protocol.UDP, guest_ip="127.0.0.1", port=53, container_id=OTHER)
WEB_LINE = f"tcp 00000000 1F90 {ONE}\n".encode()
DNS_LINE = f"udp 0100007F 0035 {OTHER}\n".encode()


class Program:
    """Prints what it is given; ends with a code when it is told to."""

    def __init__(self) -> None:
        self.printed: asyncio.Queue[bytes] = asyncio.Queue()
        self.code = 0

    async def read(self) -> bytes:
        return await self.printed.get()

    async def exit_code(self) -> int:
        return self.code


class Guest:
    def __init__(self) -> None:
        self.running: list[Program] = []
        self.begun = 0

    @contextlib.asynccontextmanager
    async def follow(self, command: str) -> AsyncIterator[Program]:
        assert command == COMMAND
        program = Program()
        self.begun += 1
        self.running.append(program)
        try:
            yield program
        finally:
            self.running.remove(program)


Recorder = list[frozenset[GuestListener]]


def play(story: Callable[[HostNetworkFeed, Guest, Recorder], Awaitable[None]]) -> None:
    async def within() -> None:
        guest, reported = Guest(), Recorder()
        feed = HostNetworkFeed(guest.follow, reported.append)
        running = asyncio.create_task(feed.run())
        try:
            async with asyncio.timeout(20):
                await story(feed, guest, reported)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert not guest.running, "a program is left in the guest"

    asyncio.run(within())


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


def test_sets_come_whole_and_only_when_they_change() -> None:
    async def story(feed: HostNetworkFeed, guest: Guest, reported: Recorder) -> None:
        feed.set_up(True)
        await turns()
        assert guest.begun == 0
        feed.set_wanted(True)
        await until(lambda: guest.running)
        printed = guest.running[0].printed
        printed.put_nowait(b"end\n" + WEB_LINE[:20])
        printed.put_nowait(WEB_LINE[20:] + DNS_LINE + b"end\nstill\n" + WEB_LINE)
        await until(lambda: len(reported) == 1)
        assert reported[-1] == {WEB, DNS}
        printed.put_nowait(DNS_LINE + b"end\n" + DNS_LINE + b"end\n")
        await until(lambda: len(reported) == 2)
        assert reported[-1] == {DNS} == feed.listeners
        feed.set_wanted(False)
        assert reported[-1] == frozenset()
        await until(lambda: not guest.running)

    play(story)


def test_a_lost_way_keeps_the_set_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_network, "BACK_OFF_S", (0.001,))

    async def story(feed: HostNetworkFeed, guest: Guest, reported: Recorder) -> None:
        feed.set_up(True)
        feed.set_wanted(True)
        await until(lambda: guest.running)
        guest.running[0].printed.put_nowait(WEB_LINE + b"end\n")
        await until(lambda: reported)
        guest.running[0].printed.put_nowait(b"")
        await until(lambda: guest.begun == 2 and guest.running)
        assert reported == [{WEB}]
        guest.running[0].printed.put_nowait(b"end\n")
        await until(lambda: reported == [{WEB}, frozenset()])
        feed.set_up(False)
        await until(lambda: not guest.running)

    play(story)


@pytest.mark.expect_log("the image is too old")
def test_an_image_without_the_program_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_network, "BACK_OFF_S", (0,))

    async def story(feed: HostNetworkFeed, guest: Guest, reported: Recorder) -> None:
        feed.set_up(True)
        feed.set_wanted(True)
        await until(lambda: guest.running)
        guest.running[0].code = 127
        guest.running[0].printed.put_nowait(b"")
        await until(lambda: not guest.running)
        await turns()
        assert (guest.begun, reported) == (1, [])

    play(story)


ODD = pytest.mark.expect_log("an odd or a surplus line")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"tcp 00000000 1F90 short", marks=ODD),
        b"tcp 00000000 0000 " + ONE.encode(),  # well-formed, but no port
        pytest.param(b"sctp 00000000 1F90 " + ONE.encode(), marks=ODD),
        pytest.param(b"tcp 000000 1F90 " + ONE.encode(), marks=ODD),
        pytest.param(b"\xff" * 10_000, marks=ODD),
        pytest.param(b"", marks=ODD),
    ],
)
def test_odd_lines_are_left_out(line: bytes) -> None:
    parser = Parser()
    sets = [each for piece in (line, b"\n" + WEB_LINE, b"end\n") for each in parser.feed(piece)]
    assert sets == [{WEB}]


@ODD
def test_a_set_is_bounded() -> None:
    lines = b"".join(b"tcp 00000000 %04X %s\n" % (port, ONE.encode()) for port in range(1, 3000))
    (sets,) = Parser().feed(lines + b"end\n")
    assert len(sets) == host_network.MAX_LISTENERS


@pytest.mark.parametrize(
    ("word", "address"),
    [
        ("0F02000A", "10.0.2.15"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_addresses_as_the_kernel_writes_them(word: str, address: str) -> None:
    assert address_of(word) == address


def test_containers_that_share_the_network_are_known_by_their_mode() -> None:
    others: list[dict[str, Any]] = [{"HostConfig": {"NetworkMode": "bridge"}}, {"HostConfig": None}, {}]
    source = engine_source("docker ps")
    assert not any(uses_host_network(JsonObject(one, source)) for one in others)
    assert uses_host_network(JsonObject({"HostConfig": {"NetworkMode": "host"}}, source))
