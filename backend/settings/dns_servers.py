"""Parsing of the setting `network.dns`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from backend.errors import ProblemCode, fail
from backend.messages import message

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
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("network.dns has more than {most} servers.", most=MOST),
            hint=message("Use fewer servers."),
        )
    return tuple(servers)


def _bad(part: str) -> Exception:
    return fail(
        ProblemCode.BAD_REQUEST,
        message("“{text}” in network.dns isn't the address of a DNS server.", text=part.strip()[:80]),
        hint=message('Separate addresses with commas, and add #PORT if it isn\'t 53: "192.0.2.1, 192.0.2.2#5353".'),
    )
