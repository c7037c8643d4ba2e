"""Resolving questions: caching, choice of source, and joining of equal questions.

Addresses come from the hosts file, then from the system's resolver (or from the DNS servers in the settings); all other
types are forwarded. Every question is answered within `ANSWER_S`, if necessary with an error; an answer that arrives
later is cached for the next question.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

import dns.name
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from backend.net.dns import packets, system
from backend.net.dns.hosts import Hosts
from backend.net.dns.packets import DnsAnswer, DnsQuestion
from backend.net.dns.system import DnsLookup, Verdict
from backend.net.dns.threads import BusyError, LookupThreads
from backend.net.dns.upstream import Upstream, first_of

_log = logging.getLogger(__name__)

ANSWER_S: Final = 3.8
"""dockerd gives up a query after 4 s, most programs after 5."""
GIVE_UP_S: Final = 15.0
ADDRESS_TTL_S: Final = 10
"""The system does not report how long an address is valid."""
NEGATIVE_S: Final = 5
FAILED_S: Final = 1
MOST_TTL_S: Final = 60
MOST_KEPT: Final = 4096
MOST_UNDER_WAY: Final = 1024

_ADDRESS_TYPES: Final = (RdataType.A, RdataType.AAAA)
SERVFAIL: Final = DnsAnswer(Rcode.SERVFAIL)
_NXDOMAIN: Final = DnsAnswer(Rcode.NXDOMAIN)
_NODATA: Final = DnsAnswer(Rcode.NOERROR)

LookUp = Callable[[bytes, bool], Coroutine[Any, Any, DnsLookup]]


class Sources(NamedTuple):
    """Where answers come from, according to the current network and settings."""

    system: LookUp
    """Looks up the addresses of a name, with or without IPv6. Raises BusyError."""
    upstream: Upstream
    """Answers what is forwarded."""
    search: tuple[dns.name.Name, ...] = ()
    """This computer's search domains."""
    hosts: Hosts = Hosts({})
    own_name: bytes = b""
    """This computer's host name."""
    only_upstream: bool = False
    """Whether addresses are queried from `upstream` instead of the system."""
    gateway: str = "10.0.2.2"
    """Address of this computer as seen by containers."""
    ipv6: bool = False
    """Whether containers can use IPv6."""


def system_look_up(threads: LookupThreads, *, tells_apart: bool) -> LookUp:
    """Create `Sources.system` for this operating system."""

    async def look_up(name: bytes, ipv6: bool) -> DnsLookup:
        return await threads.run(lambda: system.look_up(name, ipv6=ipv6, tells_apart=tells_apart))

    return look_up


class _CacheEntry(NamedTuple):
    answer: DnsAnswer
    since: float
    until: float


class Resolver:
    """Resolves names for the guest, with a cache."""

    def __init__(self, sources: Sources, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._kept: OrderedDict[DnsQuestion, _CacheEntry] = OrderedDict()
        self._under_way: dict[DnsQuestion, asyncio.Task[DnsAnswer]] = {}
        self._pending_lookups: dict[tuple[bytes, bool], asyncio.Task[DnsLookup]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        """All pending tasks, including those that new questions no longer join."""

    def use(self, sources: Sources) -> None:
        """Use other sources and clear the cache."""
        if sources.upstream is not self._sources.upstream:
            self._sources.upstream.retire()
        self._sources = sources
        self._kept.clear()
        # Pending lookups still answer their callers, but no new question joins them.
        self._under_way = {}
        self._pending_lookups = {}

    async def aclose(self) -> None:
        """Cancel pending lookups."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sources.upstream.retire()
        await asyncio.sleep(0)  # the loop closes sockets in its next iteration

    def known(self, question: DnsQuestion) -> tuple[DnsAnswer, float] | None:
        """The cached answer and its age in seconds; None when there is none."""
        entry = self._kept.get(question)
        now = self._clock()
        if entry is None or entry.until <= now:
            return None
        self._kept.move_to_end(question)
        return entry.answer, now - entry.since

    async def resolve(self, question: DnsQuestion) -> tuple[DnsAnswer, float]:
        """Return the answer and its age in seconds. Raises nothing but CancelledError."""
        known = self.known(question)
        if known is not None:
            return known
        task = self._under_way.get(question)
        if task is None:
            if len(self._tasks) >= MOST_UNDER_WAY:
                return SERVFAIL, 0.0
            task = asyncio.create_task(self._find(question), name="resolve")
            self._tasks.add(task)
            self._under_way[question] = task
            task.add_done_callback(lambda done: self._ended(question, done))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.shield(task), 0.0
        except TimeoutError:
            return SERVFAIL, 0.0

    def _ended(self, question: DnsQuestion, task: asyncio.Task[DnsAnswer]) -> None:
        self._tasks.discard(task)
        if self._under_way.get(question) is task:
            del self._under_way[question]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("internal error while resolving a name", exc_info=error)

    async def _find(self, question: DnsQuestion) -> DnsAnswer:
        sources = self._sources
        try:
            async with asyncio.timeout(GIVE_UP_S):
                answer, keep_s = await self._ask(question, sources)
        except (TimeoutError, BusyError):
            return SERVFAIL
        except Exception:  # noqa: BLE001 -- logged; the client gets an answer
            _log.exception("internal error while resolving a name")
            return SERVFAIL
        if sources is self._sources and keep_s > 0:
            now = self._clock()
            self._kept[question] = _CacheEntry(answer, now, now + keep_s)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return answer

    # -- choice of the source --------------------------------------------------------------------------------------
    async def _ask(self, question: DnsQuestion, sources: Sources) -> tuple[DnsAnswer, float]:
        """Query the sources. Returns the answer and the seconds to cache it. Raises BusyError."""
        name = question.text
        plain = system.is_host_name(name)
        if plain and system.is_number(name):
            return _NXDOMAIN, NEGATIVE_S
        if plain and (entry := sources.hosts.find(name)) is not None:
            if question.type not in _ADDRESS_TYPES:
                return _NODATA, NEGATIVE_S
            ipv4 = (*entry.ipv4, sources.gateway) if entry.is_here else entry.ipv4
            return _addresses(question, DnsLookup(Verdict.EXISTS, ipv4, entry.ipv6 if sources.ipv6 else ()))
        if question.type not in _ADDRESS_TYPES or not plain or sources.only_upstream:
            return await self._forward(question, sources, plain=plain)
        lookup = await self._look_up(name, sources)
        if lookup.verdict is Verdict.NO_NAME_OR_ADDRESS:
            message = await sources.upstream.ask(question)
            exists = message is not None and message.rcode() == Rcode.NOERROR
            lookup = DnsLookup(Verdict.EXISTS if exists else Verdict.NO_NAME)
        if name.lower() == sources.own_name and _all_loopback(lookup):
            lookup = DnsLookup(Verdict.EXISTS, (sources.gateway,))
        return _addresses(question, lookup)

    async def _forward(self, question: DnsQuestion, sources: Sources, *, plain: bool) -> tuple[DnsAnswer, float]:
        single = plain and len(question.name.labels) == 2
        pending = first_of(sources.upstream, question, sources.search) if single else sources.upstream.ask(question)
        message = await pending
        if message is None or message.rcode() not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            return SERVFAIL, FAILED_S
        answer, keep_s = packets.from_message(message, question, most_ttl_s=MOST_TTL_S)
        if not sources.ipv6 and question.type in (RdataType.AAAA, RdataType.ANY):
            answer = packets.without(answer, RdataType.AAAA)
        positive = answer.rcode == Rcode.NOERROR and bool(answer.sections[0])
        if (
            answer.rcode == Rcode.NXDOMAIN
            and question.type is RdataType.HTTPS
            and await self._exists(question, sources)
        ):
            answer = _NODATA  # the system resolves more names than its servers do
        return answer, keep_s if positive else min(keep_s, NEGATIVE_S)

    async def _exists(self, question: DnsQuestion, sources: Sources) -> bool:
        """Whether the system's resolver finds an address for the name."""
        if sources.only_upstream or not system.is_host_name(question.text):
            return False
        with contextlib.suppress(BusyError):
            return (await self._look_up(question.text, sources)).verdict is Verdict.EXISTS
        return False

    async def _look_up(self, name: bytes, sources: Sources) -> DnsLookup:
        """Look up addresses with the system's resolver; parallel A and AAAA queries share it. Raises BusyError."""
        key = (name, sources.ipv6)
        task = self._pending_lookups.get(key)
        if task is None:
            task = asyncio.create_task(sources.system(name, sources.ipv6), name="look a name up")
            self._tasks.add(task)
            self._pending_lookups[key] = task
            task.add_done_callback(lambda done: self._lookup_done(key, done))
        return await asyncio.shield(task)

    def _lookup_done(self, key: tuple[bytes, bool], task: asyncio.Task[DnsLookup]) -> None:
        self._tasks.discard(task)
        if self._pending_lookups.get(key) is task:
            del self._pending_lookups[key]
        if not task.cancelled():
            task.exception()  # the awaiting caller raises it, if there is still one


def _addresses(question: DnsQuestion, lookup: DnsLookup) -> tuple[DnsAnswer, float]:
    match lookup.verdict:
        case Verdict.EXISTS:
            mine = lookup.ipv4 if question.type is RdataType.A else lookup.ipv6
            return packets.addresses(question, mine, ttl_s=ADDRESS_TTL_S), ADDRESS_TTL_S if mine else NEGATIVE_S
        case Verdict.NO_NAME | Verdict.NO_NAME_OR_ADDRESS:
            return _NXDOMAIN, NEGATIVE_S
        case Verdict.FAILED:
            return SERVFAIL, FAILED_S


def _all_loopback(lookup: DnsLookup) -> bool:
    every = (*lookup.ipv4, *lookup.ipv6)
    return bool(every) and all(ipaddress.ip_address(address).is_loopback for address in every)
