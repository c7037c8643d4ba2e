"""Parsing of the setting `network.dns`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from backend.errors import ProblemCode, fail

MOST: Final = 8


class Server(NamedTuple):
    """Address and port of a DNS server."""

    address: str
    port: int = 53


def parse(text: str) -> tuple[Server, ...]:
    """Parse servers: "192.0.2.1, 192.0.2.2#5353, fe80::1%eth0"; empty for "".

    Raises:
        WherryError: BAD_REQUEST.
    """
    servers = []
    for part in text.split(","):
        if not part.strip():
            continue
        address, mark, port_text = part.strip().partition("#")
        port = 53
        if mark:
            if not (port_text.isascii() and port_text.isdecimal() and 0 < int(port_text[:6]) < 65_536):
                raise _bad(part)
            port = int(port_text)
        try:
            parsed: IPv4Address | IPv6Address = ip_address(address)
        except ValueError as error:
            raise _bad(part) from error
        if parsed.is_unspecified or parsed.is_multicast:
            raise _bad(part)
        servers.append(Server(str(parsed), port))
    if len(servers) > MOST:
        raise fail(ProblemCode.BAD_REQUEST, f"network.dns names more than {MOST} servers.", hint="Leave some out.")
    return tuple(servers)


def _bad(part: str) -> Exception:
    return fail(
        ProblemCode.BAD_REQUEST,
        f"{part.strip()[:80]!r} in network.dns is not the address of a DNS server.",
        hint='Write addresses with commas between, each with #PORT if it is not 53: "192.0.2.1, 192.0.2.2#5353".',
    )
