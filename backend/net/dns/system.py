"""Address lookups by the system's own resolver, with the same results as `ping NAME` on this computer."""

from __future__ import annotations

import re
import socket
from enum import Enum
from typing import Final, NamedTuple

MOST_ADDRESSES: Final = 64
_LOOKED_UP: Final = re.compile(rb"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_NUMBER: Final = re.compile(rb"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_WSANO_DATA: Final = 11004


class Verdict(Enum):
    """The kind of result."""

    EXISTS = "the name exists"  # with these addresses, possibly none
    NO_NAME = "there is no such name"
    NO_NAME_OR_ADDRESS = "there is no such name, or it has no address"  # some systems do not distinguish these
    FAILED = "it could not be found out"


class DnsLookup(NamedTuple):
    """Result of a lookup."""

    verdict: Verdict
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()


def is_host_name(name: bytes) -> bool:
    """Whether the system's resolver can be queried for it: letters, digits, "-" and "_", separated by dots."""
    return _LOOKED_UP.fullmatch(name) is not None


def is_number(name: bytes) -> bool:
    """Whether the system would parse it as an address ("10", "1.2.3.4", "0x7f.1")."""
    return _NUMBER.fullmatch(name) is not None


def look_up(name: bytes, *, ipv6: bool, tells_apart: bool) -> DnsLookup:
    """Look up a name. Blocks for seconds when servers do not answer.

    The name has no final dot, so that the system's search domains apply.

    Args:
        name: one for which `is_host_name` holds.
        ipv6: whether to look up IPv6 addresses too.
        tells_apart: whether this system distinguishes a missing name from one without addresses.
    """
    family = socket.AF_UNSPEC if ipv6 else socket.AF_INET
    try:
        entries = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return DnsLookup(_verdict(error.errno, tells_apart=tells_apart))
    except (OSError, UnicodeError):
        return DnsLookup(Verdict.FAILED)
    ipv4, v6 = [], []
    for entry in entries[:MOST_ADDRESSES]:
        address = str(entry[4][0])
        if entry[0] == socket.AF_INET:
            ipv4.append(address)
        elif entry[0] == socket.AF_INET6 and "%" not in address:  # a scope has no meaning for a container
            v6.append(address)
    return DnsLookup(Verdict.EXISTS, tuple(dict.fromkeys(ipv4)), tuple(dict.fromkeys(v6)))


def _verdict(error: int | None, *, tells_apart: bool) -> Verdict:
    if error == socket.EAI_NONAME:
        return Verdict.NO_NAME if tells_apart else Verdict.NO_NAME_OR_ADDRESS
    without = {getattr(socket, name, None) for name in ("EAI_NODATA", "EAI_ADDRFAMILY")} | {_WSANO_DATA}
    return Verdict.EXISTS if error in without else Verdict.FAILED
