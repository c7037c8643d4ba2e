"""Relays of published ports, on real sockets of this computer's loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest

from backend.addresses import Protocol
from backend.errors import ProblemCode, WherryError
from backend.net.ports import relay_tcp, relay_udp
from backend.net.ports.relay import Relay

LOOPBACK = "127.0.0.1"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(within())


@contextlib.asynccontextmanager
async def tcp(handler: Handler, listen: str = LOOPBACK, **options: bool) -> AsyncIterator[Relay]:
    """A server, and a relay to it."""
    server = await asyncio.start_server(handler, LOOPBACK, 0)
    relay = await Relay.open(Protocol.TCP, listen, 0, server.sockets[0].getsockname()[:2], **options)
    try:
        yield relay
    finally:
        await relay.aclose()
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives everything back, and ends after its client did."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.002)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("listen", [LOOPBACK, "::1"])
def test_bytes_go_both_ways_and_each_side_ends_by_itself(listen: str) -> None:
    payload = bytes(range(256)) * 40_000

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        everything = await reader.read()  # to the end, which the client sends while it still listens
        writer.write(everything[::-1])
        writer.close()

    async def story() -> None:
        async with tcp(collect, listen) as relay:
            reader, writer = await asyncio.open_connection(listen, relay.port)
            writer.write(payload)
            writer.write_eof()
            assert await reader.read() == payload[::-1]
            writer.close()
            await until(lambda: relay.connections == 0)

    run(story)


def test_a_server_that_ends_first_still_hears_its_client() -> None:
    heard = bytearray()
    ended = asyncio.Event()

    async def ends_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.write_eof()
        heard.extend(await reader.read())
        ended.set()
        writer.close()

    async def story() -> None:
        async with tcp(ends_first) as relay:
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            assert await reader.read() == b"hello"
            writer.write(b"and goodbye")
            await writer.drain()
            writer.close()
            await ended.wait()
            assert bytes(heard) == b"and goodbye"
            await until(lambda: relay.connections == 0)

    run(story)


def test_what_a_receiver_does_not_take_makes_the_sender_wait() -> None:
    go = asyncio.Event()
    got = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        await go.wait()
        while data := await reader.read(1_048_576):
            got += len(data)
        writer.close()

    async def story() -> None:
        async with tcp(slow) as relay:
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            size = 64 * 1_048_576
            writer.write(bytes(size))
            before = -1
            while before != relay.received_bytes or before <= 0:  # until nothing moves any more
                before = relay.received_bytes
                await asyncio.sleep(0.1)
            assert before < size / 2, "the relay took what nobody read"
            go.set()
            writer.write_eof()
            assert await reader.read() == b""
            assert got == size
            writer.close()

    run(story)


def test_a_target_that_refuses_closes_the_client() -> None:
    async def story() -> None:
        relay = await Relay.open(Protocol.TCP, LOOPBACK, 0, (LOOPBACK, free_port()))
        reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
        writer.write(b"x" * 100)
        with pytest.raises(ConnectionError):
            assert await reader.read() == b""
            raise ConnectionResetError  # an end is as good
        writer.close()
        await until(lambda: relay.connections == 0)
        await relay.aclose()

    run(story)


def test_a_broken_server_is_no_ended_one() -> None:
    """A client that reads to the end must not take half an answer for a whole one."""

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"half")
        await writer.drain()
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def story() -> None:
        async with tcp(breaks) as relay:
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            writer.write(b"1")
            assert await reader.readexactly(4) == b"half"
            writer.write(b"2")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await until(lambda: relay.connections == 0)

    run(story)


def test_a_client_that_breaks_after_its_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is read any more then, so that no event tells."""
    monkeypatch.setattr(relay_tcp, "_LOOK_S", 0.02)
    looks, is_broken = 0, relay_tcp._Side.is_broken

    def counted(side: relay_tcp._Side) -> bool:
        nonlocal looks
        looks += 1
        return is_broken(side)

    monkeypatch.setattr(relay_tcp._Side, "is_broken", counted)
    broke = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        broke.clear()
        try:
            while True:
                writer.write(b"")
                await asyncio.sleep(0.01)
                if writer.transport.is_closing() or writer.get_extra_info("socket").getsockopt(
                    socket.SOL_SOCKET, socket.SO_ERROR
                ):
                    broke.set()
                    return
        finally:
            writer.close()

    async def story() -> None:
        async with tcp(waits) as relay:
            _, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            writer.write_eof()
            await until(lambda: relay.connections == 1)
            await until(lambda: looks >= 5)
            assert relay.connections == 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
            await broke.wait()
            await until(lambda: relay.connections == 0)

    run(story)


def test_counts_are_of_the_open_connections() -> None:
    async def story() -> None:
        async with tcp(echo) as relay:
            assert (relay.connections, relay.received_bytes, relay.sent_bytes) == (0, 0, 0)
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            writer.write(b"12345")
            assert await reader.readexactly(5) == b"12345"
            assert (relay.connections, relay.received_bytes, relay.sent_bytes) == (1, 5, 5)
            writer.close()
            await until(lambda: relay.connections == 0)
            assert relay.received_bytes == 0

    run(story)


def test_closing_breaks_connections_and_frees_the_port() -> None:
    async def story() -> None:
        async with tcp(echo) as relay:
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            writer.write(b"1")
            await reader.readexactly(1)
            await relay.aclose()
            await relay.aclose()
            with pytest.raises(ConnectionError):
                await reader.read()
                raise ConnectionResetError
            writer.close()
            again = await Relay.open(Protocol.TCP, LOOPBACK, relay.port, (LOOPBACK, 9))
            await again.aclose()

    run(story)


def test_a_taken_port_is_explained() -> None:
    async def story() -> None:
        with socket.create_server((LOOPBACK, 0)) as other, pytest.raises(WherryError) as caught:
            await Relay.open(Protocol.TCP, LOOPBACK, other.getsockname()[1], (LOOPBACK, 9))
        assert caught.value.problem.code is ProblemCode.PORT_TAKEN
        assert "python" in str(caught.value.problem.summary)

    run(story)


def test_ipv6_takes_ipv6_only() -> None:
    async def story() -> None:
        port = free_port()
        one = await Relay.open(Protocol.TCP, "0.0.0.0", port, (LOOPBACK, 9))
        other = await Relay.open(Protocol.TCP, "::", port, (LOOPBACK, 9))
        await one.aclose()
        await other.aclose()

    run(story)


def test_a_loopback_port_on_all_addresses_turns_others_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with tcp(echo, LOOPBACK, only_from_loopback=True) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.2", relay.port)  # it listens there as well
            writer.write(b"1")
            assert await reader.readexactly(1) == b"1"
            writer.close()
            # This computer may have no other address than loopback ones: the peer is made to look foreign.
            monkeypatch.setattr(relay_tcp._Pair, "_peer", lambda self, transport: "192.0.2.7")
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            with pytest.raises(ConnectionError):
                assert await reader.read() == b""
                raise ConnectionResetError
            writer.close()

    run(story)


def test_a_thousand_relays() -> None:
    async def story() -> None:
        server = await asyncio.start_server(echo, LOOPBACK, 0)
        target = server.sockets[0].getsockname()[:2]
        relays = [await Relay.open(Protocol.TCP, LOOPBACK, 0, target) for _ in range(1000)]
        for relay in relays[::100]:
            reader, writer = await asyncio.open_connection(LOOPBACK, relay.port)
            writer.write(b"1")
            assert await reader.readexactly(1) == b"1"
            writer.close()
        await asyncio.gather(*(relay.aclose() for relay in relays))
        server.close()

    run(story)


class EchoUdp(asyncio.DatagramProtocol):
    """Answers with the sender's port before the data."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(str(addr[1]).encode() + b" " + data, addr)


class UdpClient(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.got.put_nowait(data)


@contextlib.asynccontextmanager
async def udp(listen: str = LOOPBACK) -> AsyncIterator[Relay]:
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(EchoUdp, local_addr=(LOOPBACK, 0))
    relay = await Relay.open(Protocol.UDP, listen, 0, server.get_extra_info("sockname")[:2])
    try:
        yield relay
    finally:
        await relay.aclose()
        server.close()


@contextlib.asynccontextmanager
async def udp_client(
    relay: Relay, address: str = LOOPBACK
) -> AsyncIterator[tuple[asyncio.DatagramTransport, UdpClient]]:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(UdpClient, remote_addr=(address, relay.port))
    try:
        yield transport, client
    finally:
        transport.close()


@pytest.mark.parametrize("listen", [LOOPBACK, "::1"])
def test_each_udp_client_has_a_port_of_its_own(listen: str) -> None:
    async def story() -> None:
        async with (
            udp(listen) as relay,
            udp_client(relay, listen) as (one, first),
            udp_client(relay, listen) as (
                two,
                second,
            ),
        ):
            for number in range(3):
                one.sendto(b"one%d" % number)
            two.sendto(b"two")
            replies = [(await first.got.get()).split() for _ in range(3)]
            assert [text for _, text in replies] == [b"one0", b"one1", b"one2"]
            assert len({port for port, _ in replies}) == 1
            port, text = (await second.got.get()).split()
            assert text == b"two"
            assert port != replies[0][0]
            assert relay.connections == 2
            assert relay.received_bytes == 15

    run(story)


def test_silent_udp_clients_are_forgotten_and_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_udp, "IDLE_S", 0.1)

    async def story() -> None:
        async with udp() as relay, udp_client(relay) as (transport, client):
            transport.sendto(b"1")
            await client.got.get()
            await until(lambda: relay.connections == 0)
            transport.sendto(b"2")
            assert (await client.got.get()).endswith(b" 2")

    run(story)


def test_the_longest_silent_udp_client_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_udp, "MAX_CLIENTS", 2)

    async def story() -> None:
        async with udp() as relay, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(udp_client(relay)) for _ in range(3)]
            ports = []
            for transport, client in clients:
                transport.sendto(b"x")
                ports.append((await client.got.get()).split()[0])
                assert relay.connections <= 2
            transport, client = clients[1]
            transport.sendto(b"x")
            assert (await client.got.get()).split()[0] == ports[1]

    run(story)


def test_a_udp_target_that_is_not_there_yet_is_found_later() -> None:
    async def story() -> None:
        port = free_port(socket.SOCK_DGRAM)
        relay = await Relay.open(Protocol.UDP, LOOPBACK, 0, (LOOPBACK, port))
        async with udp_client(relay) as (transport, client):
            transport.sendto(b"lost")
            await until(lambda: relay.connections == 1)
            await asyncio.sleep(0.02)
            loop = asyncio.get_running_loop()
            server, _ = await loop.create_datagram_endpoint(EchoUdp, local_addr=(LOOPBACK, port))
            transport.sendto(b"found")
            assert (await client.got.get()).endswith(b"found")
            server.close()
        await relay.aclose()

    run(story)
