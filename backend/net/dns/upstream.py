"""Queries that are forwarded to DNS servers: to those that the user names, or to those that this computer uses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.resolver
from dns.rcode import Rcode

from backend.net.dns.packets import PAYLOAD_BYTES, Question
from backend.net.dns.servers import MOST, Server

_TRY_S: Final = 1.5
_ROUNDS: Final = 2
_MOST_DOMAINS: Final = 6


class SystemConfig(NamedTuple):
    """How this computer's stub resolver is set up."""

    servers: tuple[Server, ...] = ()
    search: tuple[dns.name.Name, ...] = ()


def system_config() -> SystemConfig:
    """Read it, from resolv.conf or the registry. May take a second; never raises."""
    try:
        read = dns.resolver.Resolver(configure=True)
    except (dns.exception.DNSException, OSError, ValueError):
        return SystemConfig()
    search = read.search or ([read.domain] if read.domain != dns.name.root else [])
    return SystemConfig(
        tuple(Server(str(server), read.port) for server in read.nameservers)[:MOST], tuple(search)[:_MOST_DOMAINS]
    )


class Upstream:
    """Sends queries to one server after the other, beginning with the one that answered last."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = tuple(servers)
        self._first = 0

    async def ask(self, question: Question, name: dns.name.Name | None = None) -> dns.message.Message | None:
        """The answer to the question (for another `name`, if that is given); None when no server has one.

        The caller sets the deadline.
        """
        query = dns.message.make_query(name or question.name, question.type, use_edns=0, payload=PAYLOAD_BYTES)
        poor = None
        for number in range(len(self.servers) * _ROUNDS):
            at = (
                (self._first + number) % len(self.servers) if number < len(self.servers) else number % len(self.servers)
            )
            server = self.servers[at]
            try:
                message, _ = await dns.asyncquery.udp_with_fallback(
                    query, server.address, timeout=_TRY_S, port=server.port, ignore_unexpected=True, ignore_errors=True
                )
            except (dns.exception.DNSException, OSError, EOFError, ValueError):
                await asyncio.sleep(0)
                continue
            if message.rcode() in (Rcode.NOERROR, Rcode.NXDOMAIN):
                self._first = at
                return message
            poor = message
            if number >= len(self.servers) - 1:
                break  # all have been asked, and one said that it has no answer
        return poor


async def first_of(
    upstream: Upstream, question: Question, search: Sequence[dns.name.Name]
) -> dns.message.Message | None:
    """Ask as a stub resolver does for a name without dots: with each search domain, then as it is."""
    for domain in search:
        with contextlib.suppress(dns.exception.DNSException):  # too long with it
            name = question.name.relativize(dns.name.root).concatenate(domain)
            message = await upstream.ask(question, name)
            if message is not None and message.rcode() == Rcode.NOERROR and message.answer:
                return message
    return await upstream.ask(question)
