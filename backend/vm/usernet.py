"""The forwards of QEMU's user network, as its monitor takes and lists them: pure text.

There is no QMP command for them up to QEMU 11: they are words for the human monitor, which answers in words. What is
listed (libslirp, slirp_connection_info) is one row for each socket of the host: listeners (HOST_FORWARD), the
connections that came in by them (whose source is the listener's own address), and the guest's connections outwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from backend.addresses import Protocol
from backend.vm.spec import NETDEV

_ROW: Final = re.compile(
    r"^\s*(TCP|UDP)\[([^\]]+)\]\s+(-?\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+\d+\s+\d+\s*$", re.MULTILINE
)
_OPEN_STATES: Final = frozenset({"ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "SYN_SENT", "SYN_RCVD"})
_LISTENING: Final = "HOST_FORWARD"


@dataclass(frozen=True, slots=True)
class HostForward:
    """One listener of QEMU on the host."""

    protocol: Protocol
    host_ip: str
    host_port: int
    guest_ip: str
    guest_port: int
    descriptor: int = field(default=-1, compare=False)
    """Of its socket, in QEMU's process; -1 before it is listed."""


@dataclass(frozen=True, slots=True)
class UserNetTable:
    """What `info usernet` lists."""

    forwards: tuple[HostForward, ...]
    connections: dict[tuple[str, int], int]
    """(host address, host port) of a TCP listener -> how many connections came in by it and are open."""


def parse(untrusted_table: str) -> UserNetTable:
    """Read the answer to `info usernet`; what is no row of it is passed over, as QEMU's versions differ in the rest."""
    forwards: list[HostForward] = []
    seen: list[tuple[str, int]] = []
    for protocol, state, descriptor, host_ip, host_port, guest_ip, guest_port in _ROW.findall(untrusted_table):
        address = "0.0.0.0" if host_ip == "*" else host_ip
        if state == _LISTENING:
            forwards.append(
                HostForward(
                    Protocol(protocol.lower()), address, int(host_port), guest_ip, int(guest_port), int(descriptor)
                )
            )
        elif protocol == "TCP" and state in _OPEN_STATES:
            seen.append((address, int(host_port)))
    listening = {(one.host_ip, one.host_port) for one in forwards if one.protocol is Protocol.TCP}
    everywhere = {port for address, port in listening if address == "0.0.0.0"}
    connections: dict[tuple[str, int], int] = {}
    for address, port in seen:
        # A connection to a listener on every address is listed with the address that it came to.
        key = (address, port) if (address, port) in listening or port not in everywhere else ("0.0.0.0", port)
        if key in listening:
            connections[key] = connections.get(key, 0) + 1
    return UserNetTable(tuple(forwards), connections)


def add_command(forward: HostForward) -> str:
    """The line that makes a forward. A host port of 0 lets the kernel choose."""
    return f"hostfwd_add {NETDEV} {_host(forward)}-{forward.guest_ip}:{forward.guest_port}"


def remove_command(forward: HostForward) -> str:
    """The line that removes it."""
    return f"hostfwd_remove {NETDEV} {_host(forward)}"


def _host(forward: HostForward) -> str:
    return f"{forward.protocol.value}:{forward.host_ip}:{forward.host_port}"
