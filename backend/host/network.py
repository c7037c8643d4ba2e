"""Local network state: interface addresses and IPv6 support, cheap enough to poll for changes."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Final

import psutil

_REMOTE_ADDRESS: Final = ("2001:500:2f::f", 53)
"""Address of a DNS root server; nothing is sent to it."""
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")


def addresses() -> frozenset[tuple[str, str]]:
    """Pairs of interface name and address. Takes milliseconds: call it in a thread."""
    return frozenset(
        (name, entry.address)
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family != psutil.AF_LINK
    )


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
