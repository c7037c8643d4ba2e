"""Published ports as everybody sees them: frozen values, nothing that acts.

A port is published in two steps. In the guest the engine listens where the container's `-p` says (on 127.0.0.1 where
it says nothing); on the host something listens at the same address and port and leads there. `Forward` is that
something, `PortStatus` what became of it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})


class Protocol(StrEnum):
    """What a port speaks."""

    TCP = "tcp"
    UDP = "udp"


class Origin(StrEnum):
    """Why a port is published."""

    CONTAINER = "container"  # its -p, or -P
    SERVICE = "service"  # a swarm service's
    HOST_NETWORK = "host-network"  # a container with --network host listens


class PortState(StrEnum):
    """What became of a port on the host."""

    OPEN = "open"
    TAKEN = "taken"  # another program listens there; tried again until it leaves
    REFUSED = "refused"  # the system does not let us: a port below 1024, an address that the host has not
    OPENING = "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One address and port of the host, and where it leads in the guest. Equal forwards are the same."""

    protocol: Protocol
    host_ip: str
    """As `ipaddress` writes it: "127.0.0.1", "0.0.0.0", "::1", "::"."""
    host_port: int
    guest_ip: str
    """Of the guest's own: "127.0.0.1", "127.66.0.1", or "" for its address in the user network."""
    guest_port: int

    @property
    def address(self) -> str:
        """As in "127.0.0.1:8080/tcp" and "[::1]:8080/tcp"."""
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{self.host_port}/{self.protocol.value}"

    def meets(self, other: Forward) -> bool:
        """Whether the host cannot have both, because they take the same connections."""
        if (self.protocol, self.host_port) != (other.protocol, other.host_port):
            return False
        is_one_family = (":" in self.host_ip) == (":" in other.host_ip)
        return self.host_ip == other.host_ip or (is_one_family and bool({self.host_ip, other.host_ip} & _EVERYWHERE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The program that has a port of the host."""

    pid: int | None
    """None: the system does not say, because it is another user's."""
    name: str
    """Of its executable: "nginx"; "" when not known."""

    def __str__(self) -> str:
        """As in a sentence: "nginx (process 4711)"."""
        if self.pid is None:
            return self.name or "a program of another user"
        return f"{self.name or 'a program'} (process {self.pid})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStatus:
    """One published port, for `ports.list`."""

    protocol: Protocol
    address: str
    """Of the host, as in `Forward.host_ip`."""
    port: int
    state: PortState
    origin: Origin
    container_id: str = ""
    """"" for a service."""
    container: str = ""
    """Name of the container or the service."""
    container_port: int | None = None
    connections: int | None = None
    """Open ones, now; None: not known (UDP has none)."""
    received_bytes: int | None = None
    """By the container, of the open connections; None: not known."""
    sent_bytes: int | None = None
    problem: str = ""
    """Why it is not open, with what to do: "nginx (process 4711) listens there."."""


def address_of(word: str) -> str:
    """An address of /proc/net/tcp, tcp6, udp or udp6: 8 or 32 hex digits, each four bytes in little-endian order.

    Raises:
        ValueError: it is of another length, or no hexadecimal number.
    """
    packed = b"".join(bytes.fromhex(word[at : at + 8])[::-1] for at in range(0, len(word), 8))
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
