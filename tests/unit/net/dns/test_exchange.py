"""Queries over shared sockets: whose answers are taken, and when the sockets go."""

from __future__ import annotations

import asyncio
import socket

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.net.dns import exchange
from backend.net.dns.exchange import Exchange, question_of
from backend.settings.dns_servers import Server
from tests.fakes.loop import on_loop


class Liar(asyncio.DatagramProtocol):
    """Answers each query with `say`, and notes from which ports they came."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.queries: list[bytes] = []
        self.is_silent = False
        self.lies = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # asyncio's is no subclass

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.ports.append(addr[1])
        self.queries.append(data)
        if self.is_silent:
            return
        answer = bytes((*data[:2], 0x81, 0x80)) + data[4:]
        if self.lies:
            other = dns.message.make_query("evil.test", "A", id=int.from_bytes(data[:2], "big")).to_wire()
            wrong_id = bytes((data[0] ^ 1, *answer[1:]))
            for lie in (b"", b"x", data, wrong_id, bytes((*other[:2], 0x81, 0x80)) + other[4:], answer[:20]):
                self.transport.sendto(lie, addr)
        self.transport.sendto(answer.replace(b"name", b"NAME"), addr)


async def listening() -> tuple[Liar, Exchange]:
    loop = asyncio.get_running_loop()
    transport, liar = await loop.create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
    return liar, Exchange(Server(*transport.get_extra_info("sockname")))


async def end(liar: Liar, of: Exchange) -> None:
    of.retire()
    liar.transport.close()
    while of._sockets:
        await asyncio.sleep(0)


QUERY = dns.message.make_query("name.test", "A").to_wire()


@on_loop
async def test_only_the_answer_to_a_question_is_taken() -> None:
    liar, of = await listening()
    liar.lies = True
    answer = await of.ask(QUERY, timeout_s=10)
    assert answer[:2] == liar.queries[0][:2]
    assert question_of(answer) == question_of(QUERY).replace(b"name", b"NAME")
    await end(liar, of)


@on_loop
async def test_many_are_under_way_at_once_and_the_ports_change() -> None:
    liar, of = await listening()
    await asyncio.gather(*(of.ask(QUERY, timeout_s=10) for _ in range(200)))
    assert len(set(liar.ports)) == -(-200 // exchange._QUERIES)
    assert len({query[:2] for query in liar.queries}) > 150, "the IDs are random"
    assert len(of._sockets) == 1, "those that are of no more use are closed"
    await end(liar, of)


@on_loop
async def test_a_silent_server_costs_the_time_and_a_server_that_is_not_there_nothing() -> None:
    liar, of = await listening()
    liar.is_silent = True
    with pytest.raises(TimeoutError):
        await of.ask(QUERY, timeout_s=0.05)
    await end(liar, of)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    absent = Exchange(Server("127.0.0.1", port))
    with pytest.raises(ConnectionRefusedError):
        await absent.ask(QUERY, timeout_s=10)
    absent.retire()
    while absent._sockets:
        await asyncio.sleep(0)


@on_loop
async def test_who_still_waits_is_answered_after_it_is_retired() -> None:
    liar, of = await listening()
    liar.is_silent = True
    pending = asyncio.create_task(of.ask(QUERY, timeout_s=10))
    while not liar.queries:
        await asyncio.sleep(0.001)
    of.retire()
    data, port = liar.queries[0], liar.ports[0]
    liar.transport.sendto(bytes((*data[:2], 0x81, 0x80)) + data[4:], ("127.0.0.1", port))
    assert await pending
    await end(liar, of)


@given(st.binary(max_size=80))
def test_the_question_of_whatever_comes_is_whole_or_none(data: bytes) -> None:
    question = question_of(data)
    assert question == b"" or (question in data and len(question) >= 5)
