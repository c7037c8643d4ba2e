"""What the resolver answers, whom it asks, and what it keeps: with a system that tests play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.name
import dns.rcode
import pytest
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from backend.net.dns import hosts, resolver
from backend.net.dns.packets import DnsAnswer, DnsQuestion
from backend.net.dns.resolver import Resolver, Sources
from backend.net.dns.system import DnsLookup, Verdict
from backend.net.dns.threads import BusyError
from backend.net.dns.upstream import Upstream
from backend.settings.dns_servers import Server
from tests.fakes.dns import ZoneServer
from tests.fakes.loop import on_loop, turns

DB = DnsLookup(Verdict.EXISTS, ("192.0.2.7",), ("2001:db8::7",))


class System:
    """The host's resolver as a test has it."""

    def __init__(self, **names: DnsLookup) -> None:
        self.names = {name.encode(): result for name, result in names.items()}
        self.asked: list[tuple[bytes, bool]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.busy = False

    async def __call__(self, name: bytes, ipv6: bool) -> DnsLookup:
        self.asked.append((name, ipv6))
        await self.go.wait()
        if self.busy:
            raise BusyError
        result = self.names.get(name, DnsLookup(Verdict.NO_NAME))
        return result if ipv6 else result._replace(ipv6=())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def question(name: str, type_: str = "A") -> DnsQuestion:
    return DnsQuestion(dns.name.from_text(name).canonicalize(), RdataType.from_text(type_))


@asynccontextmanager
async def resolving(system: System, clock: Clock | None = None, **sources: Any) -> AsyncIterator[Resolver]:
    sources.setdefault("upstream", Upstream(()))
    made = Resolver(Sources(system, **sources), clock=clock or Clock())
    try:
        yield made
    finally:
        await made.aclose()


def texts(answer: DnsAnswer) -> list[str]:
    return [rdata.to_text() for rrset in answer.sections[0] for rdata in rrset]


async def ask(of: Resolver, name: str, type_: str = "A") -> tuple[str, list[str]]:
    answer, _ = await of.resolve(question(name, type_))
    return dns.rcode.to_text(answer.rcode), texts(answer)


@on_loop
async def test_addresses_come_from_the_system() -> None:
    system = System(db=DB)
    async with resolving(system, ipv6=True) as of:
        assert await ask(of, "DB") == ("NOERROR", ["192.0.2.7"])
        assert await ask(of, "db", "AAAA") == ("NOERROR", ["2001:db8::7"])
        assert await ask(of, "no.db") == ("NXDOMAIN", [])


@on_loop
async def test_without_ipv6_the_system_is_not_asked_for_it_and_a_name_is_still_there() -> None:
    system = System(db=DB, only6=DnsLookup(Verdict.EXISTS, (), ("2001:db8::6",)))
    async with resolving(system) as of:
        assert await ask(of, "db", "AAAA") == ("NOERROR", [])
        assert await ask(of, "only6") == ("NOERROR", [])
        assert await ask(of, "none", "AAAA") == ("NXDOMAIN", [])
    assert not any(ipv6 for _, ipv6 in system.asked)


@on_loop
async def test_equal_questions_and_both_families_are_looked_up_once() -> None:
    system = System(db=DB)
    system.go.clear()
    async with resolving(system, ipv6=True) as of:
        pending = [asyncio.create_task(ask(of, "db", type_)) for type_ in ("A", "AAAA", "A", "AAAA")]
        await turns()  # all four wait
        system.go.set()
        assert [texts_ for _, texts_ in await asyncio.gather(*pending)] == [["192.0.2.7"], ["2001:db8::7"]] * 2
    assert len(system.asked) == 1


@on_loop
async def test_what_is_known_is_kept_for_its_time_and_ages() -> None:
    system, clock = System(db=DB), Clock()
    async with resolving(system, clock) as of:
        for _ in range(3):
            await ask(of, "db")
            await ask(of, "none")
        assert len(system.asked) == 2
        clock.now += resolver.NEGATIVE_S
        await ask(of, "none")
        await ask(of, "db")
        assert len(system.asked) == 3
        known = of.known(question("db"))
        assert known is not None
        assert known[1] == resolver.NEGATIVE_S
        clock.now += resolver.ADDRESS_TTL_S
        assert of.known(question("db")) is None


@on_loop
async def test_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MOST_KEPT", 3)
    async with resolving(System()) as of:
        for number in range(5):
            await ask(of, f"n{number}.test")
        assert [of.known(question(f"n{number}.test")) is not None for number in range(5)] == [False] * 2 + [True] * 3


@on_loop
async def test_a_slow_system_costs_a_refusal_in_time_and_its_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ANSWER_S", 0.05)
    system = System(db=DB)
    system.go.clear()
    async with resolving(system) as of:
        assert await ask(of, "db") == ("SERVFAIL", [])
        pending = asyncio.create_task(ask(of, "db"))
        system.go.set()
        assert await pending == ("NOERROR", ["192.0.2.7"])
        assert of.known(question("db")) is not None
    assert len(system.asked) == 1


@on_loop
async def test_the_number_of_questions_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MOST_UNDER_WAY", 4)
    monkeypatch.setattr(resolver, "ANSWER_S", 0.2)
    system = System()
    system.go.clear()
    async with resolving(system) as of:
        results = await asyncio.gather(*(ask(of, f"n{number}.test") for number in range(50)))
        assert results == [("SERVFAIL", [])] * 50
        assert len(system.asked) <= 4


@pytest.mark.parametrize("busy", [True, False])
@on_loop
async def test_what_cannot_be_found_out_is_said_so_and_not_kept_long(busy: bool) -> None:
    system, clock = System(db=DnsLookup(Verdict.FAILED)), Clock()
    system.busy = busy
    async with resolving(system, clock) as of:
        assert await ask(of, "db") == ("SERVFAIL", [])
        system.busy = False
        system.names[b"db"] = DB
        clock.now += resolver.FAILED_S
        assert await ask(of, "db") == ("NOERROR", ["192.0.2.7"])


@pytest.mark.parametrize("name", ["10", "1.2.3.4", "127.1", "0x7f.1", "a.0x", "7"])
@on_loop
async def test_a_number_is_no_name(name: str) -> None:
    system = System()
    async with resolving(system) as of:
        assert await ask(of, name) == ("NXDOMAIN", [])
    assert not system.asked, "the system would take it for an address"


@on_loop
async def test_names_that_lead_to_this_computer_lead_containers_to_its_gateway() -> None:
    known = hosts.parse(b"127.0.0.1 localhost shop.test\n::1 six.test\n192.0.2.9 nas # old\n0.0.0.0 ads.test\nbad\n")
    system = System(me=DnsLookup(Verdict.EXISTS, ("127.0.1.1",)), db=DB)
    async with resolving(system, hosts=known, own_name=b"me", gateway="10.1.2.2") as of:
        assert await ask(of, "Shop.test") == ("NOERROR", ["10.1.2.2"])
        assert await ask(of, "shop.test", "AAAA") == ("NOERROR", [])
        assert await ask(of, "shop.test", "HTTPS") == ("NOERROR", [])
        assert await ask(of, "six.test") == ("NOERROR", ["10.1.2.2"])
        assert await ask(of, "nas") == ("NOERROR", ["192.0.2.9"])
        assert await ask(of, "ads.test") == ("NOERROR", ["0.0.0.0"])
        assert await ask(of, "me") == ("NOERROR", ["10.1.2.2"])
        assert system.asked == [(b"me", False)]


@on_loop
async def test_a_change_of_the_network_drops_what_was_kept_and_what_is_under_way() -> None:
    old, new = System(db=DB), System(db=DnsLookup(Verdict.EXISTS, ("198.51.100.1",)))
    async with resolving(old) as of:
        await ask(of, "db")
        old.go.clear()
        slow = asyncio.create_task(ask(of, "slow"))
        while (b"slow", False) not in old.asked:
            await asyncio.sleep(0)
        of.use(Sources(new, Upstream(())))
        assert await ask(of, "db") == ("NOERROR", ["198.51.100.1"])
        assert await ask(of, "slow") == ("NXDOMAIN", [])
        old.names[b"slow"] = DB
        old.go.set()
        assert await slow == ("NOERROR", ["192.0.2.7"]), "who asked before gets what was found"
        assert await ask(of, "slow") == ("NXDOMAIN", []), "but that is not kept"


RECORDS = [
    ("db.corp.test", 300, "A", "192.0.2.1"),
    ("db.corp.test", 300, "AAAA", "2001:db8::1"),
    ("www.test", 300, "CNAME", "db.corp.test"),
    ("a_b.test", 7, "TXT", '"one"'),
    ("big.test", 300, "TXT", " ".join(f'"{"x" * 250}"' for _ in range(20))),
    ("7.2.0.192.in-addr.arpa", 300, "PTR", "db.corp.test."),
    ("vpn", 300, "A", "192.0.2.3"),
]


@on_loop
async def test_other_types_are_forwarded() -> None:
    with ZoneServer(RECORDS) as server:
        system = System(known=DB)
        async with resolving(system, upstream=Upstream([Server("127.0.0.1", server.port)])) as of:
            assert await ask(of, "a_b.test", "TXT") == ("NOERROR", ['"one"'])
            assert await ask(of, "7.2.0.192.in-addr.arpa", "PTR") == ("NOERROR", ["db.corp.test."])
            assert await ask(of, "a_b.test", "MX") == ("NOERROR", [])
            assert await ask(of, "nix.test", "MX") == ("NXDOMAIN", [])
            rcode, result = await ask(of, "big.test", "TXT")
            assert (rcode, len(result[0])) == ("NOERROR", len(RECORDS[4][3])), "over TCP where a datagram is too small"
            assert await ask(of, "known", "HTTPS") == ("NOERROR", []), "the name is there, says the system"


@on_loop
async def test_named_servers_are_asked_for_everything() -> None:
    with ZoneServer(RECORDS) as server:
        upstream = Upstream([Server("127.0.0.1", server.port)])
        search = (dns.name.from_text("lab.test"), dns.name.from_text("corp.test"))
        system = System()
        async with resolving(system, upstream=upstream, search=search, only_upstream=True) as of:
            assert await ask(of, "db") == ("NOERROR", ["192.0.2.1"])
            answer, _ = await of.resolve(question("db"))
            assert answer.sections[0][0].name == dns.name.from_text("db"), "for the name that was asked"
            assert await ask(of, "vpn") == ("NOERROR", ["192.0.2.3"])
            assert await ask(of, "www.test") == ("NOERROR", ["db.corp.test.", "192.0.2.1"])
            assert await ask(of, "db.corp.test", "AAAA") == ("NOERROR", []), "of no use without IPv6"
            assert await ask(of, "corp.test") == ("NOERROR", [])
            assert await ask(of, "nix.test") == ("NXDOMAIN", [])
        assert not system.asked


@on_loop
async def test_ttls_are_the_servers_own_up_to_a_bound() -> None:
    with ZoneServer(RECORDS) as server:
        clock = Clock()
        upstream = Upstream([Server("127.0.0.1", server.port)])
        async with resolving(System(), clock, upstream=upstream, only_upstream=True) as of:
            long, _ = await of.resolve(question("db.corp.test"))
            short, _ = await of.resolve(question("a_b.test", "TXT"))
            assert [long.sections[0][0].ttl, short.sections[0][0].ttl] == [resolver.MOST_TTL_S, 7]
            clock.now += 7
            assert of.known(question("a_b.test", "TXT")) is None
            assert of.known(question("db.corp.test")) is not None


@on_loop
async def test_the_next_server_is_asked_where_one_is_silent_or_refuses() -> None:
    with ZoneServer(RECORDS) as silent, ZoneServer(RECORDS) as refusing, ZoneServer(RECORDS) as good:
        silent.is_silent = True
        refusing.rcode = Rcode.REFUSED
        ports = (silent.port, refusing.port, good.port)
        upstream = Upstream([Server("127.0.0.1", port) for port in ports])
        async with resolving(System(), upstream=upstream, only_upstream=True) as of:
            assert await ask(of, "vpn") == ("NOERROR", ["192.0.2.3"])
            assert await ask(of, "www.test") == ("NOERROR", ["db.corp.test.", "192.0.2.1"])
        assert len(silent.asked) == 1, "the one that answered is asked first from then on"


@pytest.mark.parametrize("confirms", [True, False])
@on_loop
async def test_a_system_that_does_not_tell_no_name_from_no_address_is_checked(confirms: bool) -> None:
    system = System(
        **{"corp.test": DnsLookup(Verdict.NO_NAME_OR_ADDRESS), "x.test": DnsLookup(Verdict.NO_NAME_OR_ADDRESS)}
    )
    with ZoneServer(RECORDS) as server:
        upstream = Upstream([Server("127.0.0.1", server.port)] if confirms else [])
        async with resolving(system, upstream=upstream) as of:
            assert await ask(of, "corp.test") == ("NOERROR" if confirms else "NXDOMAIN", [])
            assert await ask(of, "x.test") == ("NXDOMAIN", [])
