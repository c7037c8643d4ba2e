"""The resolver's port with real sockets, and packets that nobody should send."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from backend.net.dns import packets, server
from backend.net.dns.packets import DnsAnswer, DnsQuestion
from backend.net.dns.server import Answers, DnsServer
from tests.fakes.loop import on_loop

FEW = DnsAnswer(Rcode.NOERROR, ((dns.rrset.from_text("db.test.", 60, "IN", "A", "192.0.2.1"),), ()))
MANY = DnsAnswer(
    Rcode.NOERROR,
    ((dns.rrset.from_text("many.test.", 60, "IN", "TXT", *(f'"{n} {"x" * 200}"' for n in range(40))),), ()),
)


class Known:
    """Answers by name; `held` waits."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.asked: list[str] = []

    def known(self, question: DnsQuestion) -> tuple[DnsAnswer, float] | None:
        return (FEW, 20.0) if question.name == dns.name.from_text("kept.test") else None

    async def resolve(self, question: DnsQuestion) -> tuple[DnsAnswer, float]:
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if name == "held.test":
            await self.held.wait()
        if name == "defect.test":
            raise ZeroDivisionError
        return {"db.test": FEW, "many.test": MANY}.get(name, DnsAnswer(Rcode.NXDOMAIN)), 0.0


@asynccontextmanager
async def serving(known: Known | None = None) -> AsyncIterator[DnsServer]:
    known = known or Known()
    made = DnsServer(Answers(known.known, known.resolve))
    await made.start(None)
    try:
        yield made
    finally:
        await made.aclose()


async def udp(of: DnsServer, query: dns.message.Message) -> dns.message.Message:
    assert of.port
    return await dns.asyncquery.udp(query, "127.0.0.1", port=of.port, timeout=10)


async def tcp(of: DnsServer, query: dns.message.Message) -> dns.message.Message:
    assert of.port
    return await dns.asyncquery.tcp(query, "127.0.0.1", port=of.port, timeout=10)


@on_loop
async def test_it_answers_over_udp_and_tcp_with_the_question_as_it_was_written() -> None:
    async with serving() as of:
        for ask in (udp, tcp):
            query = dns.message.make_query("Db.TEST", "A")
            answer = await ask(of, query)
            assert answer.rcode() == Rcode.NOERROR
            assert answer.question[0].name.labels == query.question[0].name.labels
            assert answer.answer[0][0].to_text() == "192.0.2.1"
            assert answer.flags & dns.flags.RA
            assert (await ask(of, dns.message.make_query("no.test", "A"))).rcode() == Rcode.NXDOMAIN


@on_loop
async def test_what_is_kept_is_told_with_the_time_that_is_left() -> None:
    async with serving() as of:
        assert (await udp(of, dns.message.make_query("kept.test", "A"))).answer[0].ttl == 40


@pytest.mark.parametrize(("payload", "most"), [(None, 512), (900, 900), (4096, packets.PAYLOAD_BYTES)])
@on_loop
async def test_an_answer_too_large_for_a_datagram_is_cut_and_whole_over_tcp(payload: int | None, most: int) -> None:
    async with serving() as of:
        query = dns.message.make_query(
            "many.test", "TXT", use_edns=None if payload is None else 0, payload=payload or 0
        )
        cut = await udp(of, query)
        assert cut.flags & dns.flags.TC
        assert len(cut.to_wire()) <= most
        response = await tcp(of, query)
        assert len(response.answer[0]) == 40


@on_loop
async def test_what_is_not_for_us_is_refused() -> None:
    async with serving() as of:
        chaos = dns.message.make_query("version.bind", "TXT", dns.rdataclass.CH)
        assert (await udp(of, chaos)).rcode() == Rcode.REFUSED
        assert (await tcp(of, dns.message.make_query("db.test", "AXFR"))).rcode() == Rcode.REFUSED
        newer = dns.message.make_query("db.test", "A", use_edns=1)
        assert (await udp(of, newer)).rcode() == Rcode.BADVERS
        assert of.port
        notify = dns.message.make_query("db.test", "SOA")
        notify.set_opcode(dns.opcode.NOTIFY)
        reply = await raw(of.port, notify.to_wire())
        assert reply is not None
        assert reply[3] & 0xF == Rcode.NOTIMP


async def raw(port: int, data: bytes, *, within_s: float = 5) -> bytes | None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, data)
        try:
            async with asyncio.timeout(within_s):
                return await loop.sock_recv(client, 65_535)
        except TimeoutError:
            return None


@on_loop
async def test_answers_and_scraps_get_no_answer() -> None:
    async with serving() as of:
        assert of.port
        answer = dns.message.make_response(dns.message.make_query("db.test", "A")).to_wire()
        for data in (answer, b"", b"x" * 11):
            assert await raw(of.port, data, within_s=0.1) is None
        assert (await udp(of, dns.message.make_query("db.test", "A"))).answer


@given(st.binary(min_size=12, max_size=600))
def test_whatever_comes_is_read_without_a_fault(data: bytes) -> None:
    check(data)


def check(data: bytes) -> None:
    query = packets.read(data)
    if query is None:
        assert len(data) < 12 or data[2] & 0x80
    elif isinstance(query, bytes):
        assert query[:2] == data[:2]
        assert query[2] & 0x80
        assert len(query) == 12
    else:
        wire = query.to_wire(FEW, datagram=True) if query.question else query.refuse(query.refusal)
        assert wire[:2] == data[:2]
        assert len(wire) <= packets.PAYLOAD_BYTES


def test_damaged_queries_are_answered_or_passed_over() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        data = bytearray(dns.message.make_query("Some.name.test", "A", use_edns=0).to_wire())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        check(bytes(data[: chance.randint(1, len(data))]))


@on_loop
async def test_garbage_over_tcp_ends_that_connection_alone() -> None:
    async with serving() as of:
        assert of.port
        for data in (b"GET / HTTP/1.1\r\n\r\n" * 2000, b"\0\0", b"\xff\xff" + bytes(70_000), b"\0\x05abcde"):
            reader, writer = await asyncio.open_connection("127.0.0.1", of.port)
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(10):
                await reader.read()
            writer.close()
        assert (await tcp(of, dns.message.make_query("db.test", "A"))).answer


@on_loop
@pytest.mark.expect_log("internal error while answering a query")
async def test_a_defect_and_too_many_queries_are_servfail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_DATAGRAMS", 1)
    known = Known()
    async with serving(known) as of:
        assert (await udp(of, dns.message.make_query("defect.test", "A"))).rcode() == Rcode.SERVFAIL
        holding = asyncio.create_task(udp(of, dns.message.make_query("held.test", "A")))
        while "held.test" not in known.asked:
            await asyncio.sleep(0.001)
        assert (await udp(of, dns.message.make_query("db.test", "A"))).rcode() == Rcode.SERVFAIL
        known.held.set()
        assert (await holding).rcode() == Rcode.NXDOMAIN


@on_loop
async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    async with serving() as of:
        assert of.port
        held = [await asyncio.open_connection("127.0.0.1", of.port) for _ in range(2)]
        for reader, writer in held:  # one that is answered is counted
            query = dns.message.make_query("db.test", "A").to_wire()
            writer.write(len(query).to_bytes(2, "big") + query)
            assert await reader.readexactly(2)
        reader, writer = await asyncio.open_connection("127.0.0.1", of.port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        for _, open_writer in (*held, (reader, writer)):
            open_writer.close()


@on_loop
async def test_the_wanted_port_is_taken_where_it_is_free_and_another_where_not() -> None:
    async with serving() as first:
        assert first.port
        second = DnsServer(Answers(Known().known, Known().resolve))
        other = await second.start(first.port)
        assert other != first.port
        await second.aclose()
        assert await second.start(other) == other
        await second.aclose()


@on_loop
async def test_it_listens_on_the_loopback_alone() -> None:
    async with serving() as of:
        assert of.port
        with socket.socket() as elsewhere, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            elsewhere.bind(("127.0.0.2", of.port))  # free on every other address
            datagrams.bind(("127.0.0.2", of.port))


def test_a_query_is_read_whatever_its_letters() -> None:
    query = packets.read(dns.message.make_query("A.B-c", "AAAA").to_wire())
    assert isinstance(query, packets.DnsQuery)
    assert query.question == DnsQuestion(dns.name.from_text("a.b-c"), dns.rdatatype.AAAA)
    assert dns.rcode.to_text(query.refusal) == "NOERROR"


@pytest.mark.parametrize("payload", [None, 512, 1232])
def test_a_datagram_holds_as_many_addresses_as_every_client_takes(payload: int | None) -> None:
    texts = tuple(f"192.0.2.{number}" for number in range(100))
    alias = dns.rrset.from_text("many.test.", 60, "IN", "CNAME", "other.test.")
    found = DnsAnswer(Rcode.NOERROR, ((alias, dns.rrset.from_text("other.test.", 60, "IN", "A", *texts)), ()))
    asked = dns.message.make_query("many.test", "A", use_edns=payload is not None, payload=payload or 0)
    query = packets.read(asked.to_wire())
    assert isinstance(query, packets.DnsQuery)
    wire = query.to_wire(found, datagram=True)
    answer = dns.message.from_wire(wire)
    assert 512 - 16 < len(wire) <= 512, "not one more would fit"
    assert not answer.flags & dns.flags.TC
    assert answer.answer[0] == alias
    assert {record.to_text() for record in answer.answer[1]} <= set(texts)
    assert len(answer.answer[1]) >= 26
    whole = dns.message.from_wire(query.to_wire(found, datagram=False))
    assert (len(whole.answer[1]), whole.flags & dns.flags.TC) == (100, 0)


@pytest.mark.parametrize("payload", [None, 900, 1232])
def test_a_datagram_holds_as_many_other_records_as_fit(payload: int | None) -> None:
    texts = [f'"{number:02} {"x" * 47}"' for number in range(40)]
    found = DnsAnswer(Rcode.NOERROR, ((dns.rrset.from_text("many.test.", 60, "IN", "TXT", *texts),), ()))
    asked = dns.message.make_query("many.test", "TXT", use_edns=payload is not None, payload=payload or 0)
    query = packets.read(asked.to_wire())
    assert isinstance(query, packets.DnsQuery)
    wire = query.to_wire(found, datagram=True)
    answer = dns.message.from_wire(wire)
    assert (payload or 512) - 63 < len(wire) <= (payload or 512), "not one more would fit"
    assert answer.flags & dns.flags.TC
    assert {record.to_text() for record in answer.answer[0]} <= set(texts)


def test_a_record_that_is_too_large_by_itself_is_left_to_tcp() -> None:
    large = dns.rrset.from_text("many.test.", 60, "IN", "TXT", " ".join(f'"{"x" * 250}"' for _ in range(4)))
    query = packets.read(dns.message.make_query("many.test", "TXT", use_edns=False).to_wire())
    assert isinstance(query, packets.DnsQuery)
    answer = dns.message.from_wire(query.to_wire(DnsAnswer(Rcode.NOERROR, ((large,), ())), datagram=True))
    assert (answer.answer, bool(answer.flags & dns.flags.TC)) == ([], True)
