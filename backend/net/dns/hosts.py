"""The hosts file, adapted for containers.

A name that points to this computer itself ("127.0.0.1 shop.test") would point a container to itself. It is given the
gateway's address instead, through which this computer's loopback is reached.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

MOST_BYTES: Final = 8 * 1024 * 1024
"""Limit for reading: block lists can be large. Names beyond it are resolved by the system only."""
_EVERYBODYS_OWN: Final = frozenset({b"localhost", b"localhost.localdomain", b"ip6-localhost", b"ip6-loopback"})


class Entry(NamedTuple):
    """The addresses of a name."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    is_here: bool = False
    """Whether it also points to this computer's loopback."""


class Hosts:
    """The entries of the file."""

    def __init__(self, entries: dict[bytes, Entry]) -> None:
        self._entries = entries

    def find(self, name: bytes) -> Entry | None:
        """The entry of a name without its final dot; None when there is none."""
        return self._entries.get(name.lower())


def load(path: Path) -> Hosts:
    """Read the file; a missing one has no entries."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
    except OSError:
        content = b""
    return parse(content)


def parse(content: bytes) -> Hosts:
    """Parse the file's content; invalid lines are skipped."""
    ipv4: dict[bytes, list[str]] = {}
    ipv6: dict[bytes, list[str]] = {}
    here: set[bytes] = set()
    for line in content.splitlines():
        words = line.split(b"#", 1)[0].split()
        if len(words) < 2:
            continue
        try:
            address = ipaddress.ip_address(words[0].decode("ascii"))
        except ValueError:
            continue
        for name in _names(words[1:]):
            if address.is_loopback:
                here.add(name)
            elif "%" in str(address):
                continue
            elif address.version == 4:
                ipv4.setdefault(name, []).append(str(address))
            else:
                ipv6.setdefault(name, []).append(str(address))
    return Hosts(
        {
            name: Entry(tuple(ipv4.get(name, ())), tuple(ipv6.get(name, ())), name in here)
            for name in {*ipv4, *ipv6, *here}
        }
    )


def _names(words: Iterable[bytes]) -> Iterable[bytes]:
    for word in words:
        name = word.rstrip(b".").lower()
        if name and name not in _EVERYBODYS_OWN:
            yield name


def own_name() -> str:
    """This computer's host name."""
    return socket.gethostname()
