"""Groups published ports into table rows. No I/O.

A port is published once for IPv4 and once for IPv6; to the user that is one port, at "localhost".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.texts import _, say
from app.ui.ports import LOOPBACK, WILDCARD, bracketed, browser_url
from backend.api import PortOrigin, PortProtocol, PortState, PortStatus

CONFLICTS: Final = (PortState.TAKEN, PortState.REFUSED)
_WORST_FIRST: Final = (PortState.TAKEN, PortState.REFUSED, PortState.OPENING, PortState.OPEN)


@dataclass(frozen=True, slots=True)
class PortRow:
    """One published port, at one address or at the same one of IPv4 and IPv6."""

    statuses: tuple[PortStatus, ...]
    """One status, or two: for IPv4 and for IPv6."""

    @property
    def key(self) -> str:
        """Identifies the same port of the same container across refreshes."""
        first = self.statuses[0]
        owner = first.container_id or first.container
        return f"{first.origin}:{owner}:{first.protocol}:{_kind(first.address)}:{first.port}:{first.container_port}"

    @property
    def protocol(self) -> PortProtocol:
        """TCP or UDP."""
        return self.statuses[0].protocol

    @property
    def port(self) -> int:
        """The port number on this computer."""
        return self.statuses[0].port

    @property
    def origin(self) -> PortOrigin:
        """What published it: a container, a service or a network."""
        return self.statuses[0].origin

    @property
    def container_id(self) -> str:
        """Id of the container; "" for a service."""
        return self.statuses[0].container_id

    @property
    def container(self) -> str:
        """Name of the container or the service."""
        return self.statuses[0].container

    @property
    def container_port(self) -> int | None:
        """The port number in the container."""
        return self.statuses[0].container_port

    @property
    def state(self) -> PortState:
        """The worst state of its addresses."""
        return min((status.state for status in self.statuses), key=_WORST_FIRST.index)

    @property
    def is_conflict(self) -> bool:
        """Whether it cannot be reached until the user acts."""
        return self.state in CONFLICTS

    @property
    def is_everywhere(self) -> bool:
        """Whether other computers can reach it."""
        return not all(status.address in LOOPBACK for status in self.statuses)

    @property
    def address(self) -> str:
        """The address to show and copy: "localhost:8080", "[::1]:8080"."""
        return f"{_host([status.address for status in self.statuses])}:{self.port}"

    @property
    def url(self) -> str | None:
        """URL for a browser; None if the port is not TCP or not reachable."""
        answering = [status.address for status in self.statuses if status.state is PortState.OPEN]
        if self.protocol is not PortProtocol.TCP or not answering:
            return None
        return browser_url(_host(answering), self.port, self.container_port)

    @property
    def connections(self) -> int | None:
        """Number of open connections; None if unknown."""
        return _sum(status.connections for status in self.statuses)

    @property
    def received_bytes(self) -> int | None:
        """Bytes received by the container; None if unknown."""
        return _sum(status.received_bytes for status in self.statuses)

    @property
    def sent_bytes(self) -> int | None:
        """Bytes sent by the container; None if unknown."""
        return _sum(status.sent_bytes for status in self.statuses)

    @property
    def problem(self) -> str:
        """Why it cannot be reached, with the address if only one of two is affected; "" if it can."""
        affected = [(status, status.problem) for status in self.statuses if status.problem is not None]
        if len({problem for _status, problem in affected}) == 1 and len(affected) == len(self.statuses):
            return say(affected[0][1])
        return " ".join(
            _("{address}: {problem}", address=f"{bracketed(status.address)}:{status.port}", problem=problem)
            for status, problem in affected
        )


def port_rows(statuses: Iterable[PortStatus]) -> tuple[PortRow, ...]:
    """The rows, sorted by port; within a row IPv4 comes before IPv6."""
    groups: dict[tuple[object, ...], list[PortStatus]] = {}
    for status in statuses:
        owner = (status.origin, status.container_id, status.container)
        key = (*owner, status.protocol, status.port, status.container_port, _kind(status.address))
        groups.setdefault(key, []).append(status)
    rows = (PortRow(tuple(sorted(twins, key=lambda one: ":" in one.address))) for twins in groups.values())
    return tuple(sorted(rows, key=lambda row: (row.port, row.protocol, row.container, row.key)))


def same_ports(before: Sequence[PortRow], after: Sequence[PortRow]) -> bool:
    """Whether both are the same ports in the same order; their states may differ."""
    return len(before) == len(after) and all(old.key == new.key for old, new in zip(before, after, strict=True))


def _host(addresses: Sequence[str]) -> str:
    """The host part of an address to show: "localhost", "[::1]", "192.0.2.7"."""
    several = len(addresses) > 1 or addresses[0] in WILDCARD
    return "localhost" if several else bracketed(addresses[0])


def _kind(address: str) -> str:
    return "loopback" if address in LOOPBACK else "any" if address in WILDCARD else address


def _sum(figures: Iterable[int | None]) -> int | None:
    values = [figure for figure in figures if figure is not None]
    return sum(values) if values else None
