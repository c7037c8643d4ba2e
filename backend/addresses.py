"""Published ports, as frozen values shared by agent, command line and window.

A port is published in two steps. In the guest the engine listens on the address of the container's `-p` (127.0.0.1 by
default); on the host a `Forward` listens on the same address and port and forwards to it. `PortStatus` is its state.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.messages import Message

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})


class Protocol(StrEnum):
    """Transport protocol of a port."""

    TCP = "tcp"
    UDP = "udp"


class Origin(StrEnum):
    """Why a port is published."""

    CONTAINER = "container"  # its -p, or -P
    SERVICE = "service"  # a swarm service
    HOST_NETWORK = "host-network"  # a container with --network host listens


class PortState(StrEnum):
    """State of a published port on the host."""

    OPEN = "open"
    TAKEN = "taken"  # another program uses it; retried until it is free
    REFUSED = "refused"  # the system does not permit it: a port below 1024, an address that the host does not have
    OPENING = "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """An address and port of the host, and its target in the guest. Forwards with equal values are the same."""

    protocol: Protocol
    host_ip: str
    """As `ipaddress` writes it: "127.0.0.1", "0.0.0.0", "::1", "::"."""
    host_port: int
    guest_ip: str
    """Address in the guest: "127.0.0.1", "127.66.0.1", or "" for its address in the user network."""
    guest_port: int

    @property
    def address(self) -> str:
        """For messages: "127.0.0.1:8080/tcp" or "[::1]:8080/tcp"."""
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{self.host_port}/{self.protocol.value}"

    def conflicts_with(self, other: Forward) -> bool:
        """Whether the host cannot listen on both, because they accept the same connections."""
        if (self.protocol, self.host_port) != (other.protocol, other.host_port):
            return False
        is_one_family = (":" in self.host_ip) == (":" in other.host_ip)
        return self.host_ip == other.host_ip or (is_one_family and bool({self.host_ip, other.host_ip} & _EVERYWHERE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The program that uses a port of the host."""

    pid: int | None
    """None when the system does not say, because it belongs to another user."""
    name: str
    """Name of its executable: "nginx"; "" when unknown."""

    def __str__(self) -> str:
        """For messages: "nginx (process 4711)"."""
        if self.pid is None:
            return self.name or "a program of another user"
        return f"{self.name or 'a program'} (process {self.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStatus:
    """A published port, for `ports.list`."""

    protocol: Protocol
    address: str
    """Address on the host, as in `Forward.host_ip`."""
    port: int
    state: PortState
    origin: Origin
    container_id: str = ""
    """"" for a service."""
    container: str = ""
    """Name of the container or the service."""
    container_port: int | None = None
    connections: int | None = None
    """Number of open connections; None: unknown, or UDP."""
    received_bytes: int | None = None
    """Bytes received by the container on open connections; None: unknown."""
    sent_bytes: int | None = None
    problem: Message | None = None
    """Why it is not open, and what to do, as in "nginx (process 4711) listens there"."""


def address_of(word: str) -> str:
    """Convert an address of /proc/net/tcp, tcp6, udp or udp6: 8 or 32 hex digits, each four bytes little-endian.

    Raises:
        ValueError: invalid length or digits.
    """
    packed = b"".join(bytes.fromhex(word[at : at + 8])[::-1] for at in range(0, len(word), 8))
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
