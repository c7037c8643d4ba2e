"""Local network state: interface addresses and IPv6 support, cheap enough to poll for changes."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

_REMOTE_ADDRESS: Final = ("2001:500:2f::f", 53)
"""Address of a DNS root server; nothing is sent to it."""
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")


_SYSFS: Final = Path("/sys/class/net")
_LINUX_ROUTES: Final = Path("/proc/net/route")
_RTF_GATEWAY: Final = 0x0002


def addresses() -> frozenset[tuple[str, str]]:
    """Pairs of interface name and address, of interfaces that may lead to another network.

    Not those that container engines and virtual machines make by the dozen: links that have only an address of their
    own, and bridges that lead nowhere else. Takes milliseconds: call it in a thread.
    """
    found = frozenset(
        (name, entry.address)
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family != psutil.AF_LINK
    )
    return leading_elsewhere(found, bridges=_bridges(), gateways=_interfaces_with_gateway)


def leading_elsewhere(
    found: frozenset[tuple[str, str]], *, bridges: frozenset[str], gateways: Callable[[], frozenset[str]]
) -> frozenset[tuple[str, str]]:
    """Those pairs of interface and address that `addresses` returns.

    Args:
        found: of all interfaces.
        bridges: names of the interfaces that are bridges.
        gateways: finds the interfaces that a route with a gateway uses. Called only if it matters.
    """
    inner = {name for name, _ in found} & bridges
    inner -= gateways() if inner else frozenset()
    return frozenset((name, address) for name, address in found if name not in inner and not _is_link_local(address))


def _is_link_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_link_local
    except ValueError:
        return False


def _bridges() -> frozenset[str]:
    """On macOS they have names of their own; where neither is true, none is known."""
    names = {name for _, name in socket.if_nameindex()} if hasattr(socket, "if_nameindex") else set()
    return frozenset(name for name in names if (_SYSFS / name / "bridge").is_dir() or name.startswith("bridge"))


def _interfaces_with_gateway() -> frozenset[str]:
    found = set()
    try:
        lines = _LINUX_ROUTES.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return frozenset()
    for line in lines:
        words = line.split()
        if len(words) > 3 and int(words[3], 16) & _RTF_GATEWAY:
            found.add(words[0])
    return frozenset(found)


def file_fingerprint(path: Path) -> tuple[int, ...]:
    """Modification time (ns), size and inode, to notice that a file changed; empty when it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def has_ipv6_loopback() -> bool:
    """Whether "::1" can be used: IPv6 may be supported and still turned off."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def has_ipv6() -> bool:
    """Whether this computer has a global IPv6 address and a default route. Sends nothing."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(_REMOTE_ADDRESS)  # a datagram socket: connecting only selects route and source address
            address = ipaddress.IPv6Address(probe.getsockname()[0])
    except (OSError, ValueError):
        return False
    return address in _GLOBAL
