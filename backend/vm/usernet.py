"""Port forwards of QEMU's user network: building and parsing the monitor's text.

Up to QEMU 11 there is no QMP command for them, only commands of the human monitor, which answers with text. Its table
(libslirp, slirp_connection_info) has one row for each socket of the host: listeners (HOST_FORWARD), connections through
them (with the listener's own address as source), and the guest's outgoing connections.
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
    """A port on which QEMU listens on the host."""

    protocol: Protocol
    host_ip: str
    host_port: int
    guest_ip: str
    guest_port: int
    descriptor: int = field(default=-1, compare=False)
    """File descriptor of its socket in QEMU's process; -1 before it is listed."""


@dataclass(frozen=True, slots=True)
class UserNetTable:
    """Contents of `info usernet`."""

    forwards: tuple[HostForward, ...]
    connections: dict[tuple[str, int], int]
    """Number of open connections by (host address, host port) of their TCP listener."""


def parse(untrusted_table: str) -> UserNetTable:
    """Parse the output of `info usernet`. Other lines, which differ between versions of QEMU, are skipped."""
    forwards: list[HostForward] = []
    inbound: list[tuple[str, int]] = []
    for protocol, state, descriptor, host_ip, host_port, guest_ip, guest_port in _ROW.findall(untrusted_table):
        address = "0.0.0.0" if host_ip == "*" else host_ip
        if state == _LISTENING:
            forwards.append(
                HostForward(
                    Protocol(protocol.lower()), address, int(host_port), guest_ip, int(guest_port), int(descriptor)
                )
            )
        elif protocol == "TCP" and state in _OPEN_STATES:
            inbound.append((address, int(host_port)))
    listening = {(one.host_ip, one.host_port) for one in forwards if one.protocol is Protocol.TCP}
    everywhere = {port for address, port in listening if address == "0.0.0.0"}
    connections: dict[tuple[str, int], int] = {}
    for address, port in inbound:
        # A connection to a wildcard listener is listed with the address that it came to.
        key = (address, port) if (address, port) in listening or port not in everywhere else ("0.0.0.0", port)
        if key in listening:
            connections[key] = connections.get(key, 0) + 1
    return UserNetTable(tuple(forwards), connections)


def add_command(forward: HostForward) -> str:
    """The command that adds a forward. A host port of 0 lets the kernel choose."""
    return f"hostfwd_add {NETDEV} {_host(forward)}-{forward.guest_ip}:{forward.guest_port}"


def remove_command(forward: HostForward) -> str:
    """The command that removes a forward."""
    return f"hostfwd_remove {NETDEV} {_host(forward)}"


def _host(forward: HostForward) -> str:
    return f"{forward.protocol.value}:{forward.host_ip}:{forward.host_port}"
