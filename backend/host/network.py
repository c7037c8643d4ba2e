"""What this computer's network looks like from inside: enough to see that it has changed."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Final

import psutil

_SOMEWHERE: Final = ("2001:500:2f::f", 53)
"""A root server, which does not move."""
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")


def addresses() -> frozenset[tuple[str, str]]:
    """Each network card's addresses, by its name. Takes milliseconds; not for the loop."""
    return frozenset(
        (name, entry.address)
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family != psutil.AF_LINK
    )


def file_mark(path: Path) -> tuple[int, ...]:
    """Changes when the file does; empty when there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def has_ipv6_loopback() -> bool:
    """Whether this computer has the address "::1": IPv6 may be built in and turned off."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


def has_ipv6() -> bool:
    """Whether this computer has a global IPv6 address and a way to everywhere from it. Sends nothing."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
            asking.connect(_SOMEWHERE)  # of a datagram socket: the system only chooses way and address
            address = ipaddress.IPv6Address(asking.getsockname()[0])
    except (OSError, ValueError):
        return False
    return address in _GLOBAL
