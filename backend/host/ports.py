"""Which program uses a port of this computer, as far as the system shows it to an unprivileged user."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from backend.addresses import Holder, Protocol, address_of

_LSOF_S: Final = 8.0
_FRESH_S: Final = 1.0
_read: dict[Protocol, tuple[float, dict[int, list[_Socket]]]] = {}
"""Cache for each protocol: time of the last read (monotonic seconds), and the sockets by port."""
_LISTENING: Final = "0A"  # TCP_LISTEN in /proc/net/tcp
_PUBLISHERS: Final = {
    "docker-proxy": "Docker Engine",
    "com.docker.backend": "Docker Desktop",
    "com.docker.backend.exe": "Docker Desktop",
    "vpnkit-bridge": "Docker Desktop",
    "rootlessport": "Podman",
    "rootlessport-child": "Podman",
    "conmon": "Podman",
    "gvproxy": "Podman",
    "gvproxy.exe": "Podman",
    "win-sshproxy.exe": "Podman",
    "pasta": "Podman",
    "pasta.avx2": "Podman",
    "rootlesskit": "a rootless engine",
    "limactl": "Lima",
    "OrbStack Helper": "OrbStack",
    "host-switch.exe": "Rancher Desktop",
    "wslrelay.exe": "WSL",
}
"""Programs that publish the ports of other engines' containers."""


class _Socket(NamedTuple):
    address: str
    pid: int | None
    listens: bool


def port_holder(protocol: Protocol, address: str, port: int) -> Holder | None:
    """Find the program that keeps a port from being bound at `address`.

    May take seconds: call it in a thread. The proxy of another container engine is named with its product, as in
    "docker-proxy of Docker Engine".

    Args:
        address: as `ipaddress` writes it. A wildcard address conflicts with every address, and the other way round.

    Returns:
        None when the port is free or the system does not say. `Holder.pid` is None when only the user is known.
    """
    sockets = [entry for entry in _sockets(protocol, port) if _conflict(entry.address, address)]
    # A listening socket blocks the port; a connection matters only when nothing listens.
    sockets.sort(key=lambda entry: (not entry.listens, entry.pid is None))
    if not sockets:
        return None
    pid = sockets[0].pid
    if pid is None:
        return _foreign_proxy(port) or Holder(pid=None, name=_owner(protocol, address, port))
    with contextlib.suppress(psutil.Error):
        return Holder(pid=pid, name=_titled(psutil.Process(pid).name()))
    return Holder(pid=pid, name="")


def _sockets(protocol: Protocol, port: int) -> Iterator[_Socket]:
    """The sockets at a port. A recent list is reused for ports that are in it: callers ask for hundreds in a row."""
    read_at, connections = _read.get(protocol, (0.0, {}))
    if port not in connections or time.monotonic() - read_at > _FRESH_S:
        connections = {}
        try:
            for connection in psutil.net_connections(kind=protocol.value):
                if connection.laddr:
                    # A datagram socket listens unless it is bound to one peer.
                    listens = connection.status == psutil.CONN_LISTEN or (
                        protocol is Protocol.UDP and not connection.raddr
                    )
                    entry = _Socket(connection.laddr.ip, connection.pid, listens)
                    connections.setdefault(connection.laddr.port, []).append(entry)
        except psutil.AccessDenied:  # macOS: only root sees other users' sockets
            yield from _by_lsof(protocol, port)
            return
        except (psutil.Error, OSError, RuntimeError):
            return
        _read[protocol] = (time.monotonic(), connections)
    yield from connections.get(port, ())


def _by_lsof(protocol: Protocol, port: int) -> Iterator[_Socket]:
    """The sockets at a port by `lsof`, which shows only this user's processes unless we are root."""
    program = shutil.which("lsof") or shutil.which("lsof", path="/usr/sbin:/usr/bin")
    if program is None:
        return
    try:
        answer = subprocess.run(
            [program, "-nP", f"-i{protocol.value.upper()}:{port}", "-FpnT"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LSOF_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    yield from parse_lsof(answer.stdout, port)


def parse_lsof(output: str, port: int) -> Iterator[_Socket]:
    """Parse the output of `lsof -FpnT`: one field a line; "p" starts a process, "f" a file, "n" is a file's name."""
    pid: int | None = None
    name = ""
    listens = True

    def complete() -> Iterator[_Socket]:
        local, arrow, _ = name.partition("->")
        address, _, number = local.rpartition(":")
        if number == str(port):
            address = address.strip("[]")
            yield _Socket("0.0.0.0" if address == "*" else address, pid, listens and not arrow)

    for line in output.splitlines():
        field, value = line[:1], line[1:]
        if field in ("p", "f"):
            yield from complete()
            name, listens = "", True
        if field == "p":
            pid = int(value) if value.isdigit() else None
        elif field == "n":
            name = value
        elif field == "T" and value.startswith("ST="):
            listens = value == "ST=LISTEN"
    yield from complete()


def _conflict(one: str, other: str) -> bool:
    """Whether two addresses cannot both be bound at the same port."""
    try:
        first, second = ipaddress.ip_address(one.partition("%")[0]), ipaddress.ip_address(other.partition("%")[0])
    except ValueError:
        return False
    if isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped is not None:
        first = first.ipv4_mapped
    if first == second:
        return True
    # "::" includes IPv4 unless the socket has IPV6_V6ONLY.
    return (first.is_unspecified and (first.version == 6 or second.version == 4)) or (
        second.is_unspecified and first.version == second.version
    )


def _titled(name: str) -> str:
    engine = _PUBLISHERS.get(name)
    return f"{name} of {engine}" if engine is not None else name


def _foreign_proxy(port: int) -> Holder | None:
    """The proxy of an engine that runs as root: the system hides who owns its socket, but not its arguments."""
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "docker-proxy":
                arguments = process.cmdline()
                if ("-host-port", str(port)) in itertools.pairwise(arguments):
                    return Holder(pid=process.pid, name=_titled("docker-proxy"))
    return None


def _owner(protocol: Protocol, address: str, port: int) -> str:
    """As in "a program of the user root"; "" when the user is not known either."""
    for path in (Path(f"/proc/net/{protocol.value}"), Path(f"/proc/net/{protocol.value}6")):
        with contextlib.suppress(OSError):
            owner = owner_in(path.read_text(encoding="ascii", errors="replace"), protocol, address, port)
            if owner is not None:
                return f"a program of {_user(owner)}"
    return ""


def owner_in(table: str, protocol: Protocol, address: str, port: int) -> int | None:
    """The user id that owns a port, from the text of /proc/net/tcp, tcp6, udp or udp6; None when it is not listed."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or (protocol is Protocol.TCP and fields[3] != _LISTENING):
            continue
        local, _, number = fields[1].partition(":")
        if not re.fullmatch(r"[0-9A-F]{8}|[0-9A-F]{32}", local) or int(number, 16) != port:
            continue
        if _conflict(address_of(local), address) and fields[7].isdigit():
            return int(fields[7])
    return None


def _user(uid: int) -> str:
    try:
        import pwd  # not on Windows, where this module must still be importable

        return f"the user {pwd.getpwuid(uid).pw_name}"
    except (ImportError, KeyError):
        return f"user {uid}"
