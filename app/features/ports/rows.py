"""Published ports as rows of a table: what belongs together is one row. Pure but for the texts.

A port is published once for IPv4 and once for IPv6; to the user that is one port, at "localhost".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.texts import _
from app.ui.ports import LOOPBACK, WILDCARD, bracketed, browser_url
from backend.api import PortOrigin, PortProtocol, PortState, PortStatus

CONFLICTS: Final = (PortState.TAKEN, PortState.REFUSED)
_WORST_FIRST: Final = (PortState.TAKEN, PortState.REFUSED, PortState.OPENING, PortState.OPEN)


@dataclass(frozen=True, slots=True)
class PortRow:
    """One published port, at one address or at the same one of IPv4 and IPv6."""

    statuses: tuple[PortStatus, ...]
    """One, or that of IPv4 and that of IPv6."""

    @property
    def key(self) -> str:
        """The same as long as it is the same port of the same container."""
        first = self.statuses[0]
        owner = first.container_id or first.container
        return f"{first.origin}:{owner}:{first.protocol}:{_kind(first.address)}:{first.port}:{first.container_port}"

    @property
    def protocol(self) -> PortProtocol:
        """What it speaks."""
        return self.statuses[0].protocol

    @property
    def port(self) -> int:
        """On this computer."""
        return self.statuses[0].port

    @property
    def origin(self) -> PortOrigin:
        """Why it is published."""
        return self.statuses[0].origin

    @property
    def container_id(self) -> str:
        """ "" for a service."""
        return self.statuses[0].container_id

    @property
    def container(self) -> str:
        """Name of the container or the service."""
        return self.statuses[0].container

    @property
    def container_port(self) -> int | None:
        """In the container."""
        return self.statuses[0].container_port

    @property
    def state(self) -> PortState:
        """The worst of its addresses."""
        return min((status.state for status in self.statuses), key=_WORST_FIRST.index)

    @property
    def is_conflict(self) -> bool:
        """Whether it is not there and will not be before somebody does something."""
        return self.state in CONFLICTS

    @property
    def is_everywhere(self) -> bool:
        """Whether other computers reach it."""
        return not all(status.address in LOOPBACK for status in self.statuses)

    @property
    def address(self) -> str:
        """To be shown and copied: "localhost:8080", "[::1]:8080"."""
        return f"{_host([status.address for status in self.statuses])}:{self.port}"

    @property
    def url(self) -> str | None:
        """For a browser; None for what is not TCP or does not answer."""
        answering = [status.address for status in self.statuses if status.state is PortState.OPEN]
        if self.protocol is not PortProtocol.TCP or not answering:
            return None
        return browser_url(_host(answering), self.port, self.container_port)

    @property
    def connections(self) -> int | None:
        """Open ones; None: not known."""
        return _sum(status.connections for status in self.statuses)

    @property
    def received_bytes(self) -> int | None:
        """By the container; None: not known."""
        return _sum(status.received_bytes for status in self.statuses)

    @property
    def sent_bytes(self) -> int | None:
        """By the container; None: not known."""
        return _sum(status.sent_bytes for status in self.statuses)

    @property
    def problem(self) -> str:
        """Who holds it, and what to do; with the address where it is only one of them."""
        told = [status for status in self.statuses if status.problem]
        if len({status.problem for status in told}) == 1 and len(told) == len(self.statuses):
            return told[0].problem
        return " ".join(
            _("{address}: {problem}", address=f"{bracketed(status.address)}:{status.port}", problem=status.problem)
            for status in told
        )


def port_rows(statuses: Iterable[PortStatus]) -> tuple[PortRow, ...]:
    """The rows, by port; a port of IPv4 comes before its twin of IPv6 within a row."""
    found: dict[tuple[object, ...], list[PortStatus]] = {}
    for status in statuses:
        owner = (status.origin, status.container_id, status.container)
        key = (*owner, status.protocol, status.port, status.container_port, _kind(status.address))
        found.setdefault(key, []).append(status)
    rows = (PortRow(tuple(sorted(twins, key=lambda one: ":" in one.address))) for twins in found.values())
    return tuple(sorted(rows, key=lambda row: (row.port, row.protocol, row.container, row.key)))


def same_ports(before: Sequence[PortRow], after: Sequence[PortRow]) -> bool:
    """Whether these are the same ports in the same order, whatever they look like."""
    return len(before) == len(after) and all(old.key == new.key for old, new in zip(before, after, strict=True))


def _host(addresses: Sequence[str]) -> str:
    """As it stands in an address of this computer's: "localhost", "[::1]", "192.0.2.7"."""
    several = len(addresses) > 1 or addresses[0] in WILDCARD
    return "localhost" if several else bracketed(addresses[0])


def _kind(address: str) -> str:
    return "loopback" if address in LOOPBACK else "any" if address in WILDCARD else address


def _sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
