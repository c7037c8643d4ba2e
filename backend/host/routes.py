"""The routing table of this computer, parsed from each system's own output. The parsers are pure.

Only routes to other networks are kept: no loopback, multicast, link-local, broadcast or reject entries, and none of
the neighbours that macOS lists among its routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from backend.errors import ProblemCode, WherryError, fail
from backend.messages import message

Net = IPv4Network | IPv6Network

LIST_TIMEOUT_S: Final = 10
_RTF_UP: Final = 0x0001
_RTF_GATEWAY: Final = 0x0002
_RTF_REJECT: Final = 0x0200
_RTF_CACHE: Final = 0x0100_0000
_RTF_LOCAL: Final = 0x8000_0000
_MAC_SKIPPED_FLAGS: Final = frozenset("BRWbm")
"""Flags of macOS to skip: black hole, reject, cloned from another route (a neighbour), broadcast, multicast."""
_WINDOWS_ROUTE: Final = re.compile(
    r"^\s+(?P<net>\d+\.\d+\.\d+\.\d+)\s+(?P<mask>\d+\.\d+\.\d+\.\d+)\s+(?P<gateway>\S.*?)\s+"
    r"(?P<interface>\d+\.\d+\.\d+\.\d+)\s+\d+\s*$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An entry of the routing table."""

    net: Net
    interface: str
    """Name of the interface: "eth0", "utun3"; on Windows its address."""
    gateway: str = ""
    """Address of the next hop; "" when the network is directly connected."""

    def __str__(self) -> str:
        """For messages: "10.0.0.0/8 (tun0)"."""
        return f"{self.net} ({self.interface})"


def _leads_elsewhere(net: Net) -> bool:
    first = net.network_address
    if net.prefixlen == 0:
        return True
    return not (first.is_loopback or first.is_multicast or first.is_link_local or str(net) == "255.255.255.255/32")


def parse_linux_v4(text: str) -> tuple[Route, ...]:
    """Parse /proc/net/route: one route a line, numbers in hexadecimal, addresses in little-endian byte order."""
    routes = []
    for line in text.splitlines()[1:]:
        words = line.split()
        try:
            interface, flags = words[0], int(words[3], 16)
            destination, gateway, mask = (_swapped(words[at]) for at in (1, 2, 7))
            net = IPv4Network((destination, str(mask)))
        except (IndexError, ValueError):
            continue
        if flags & _RTF_UP and not flags & _RTF_REJECT and interface != "lo" and _leads_elsewhere(net):
            via = str(gateway) if flags & _RTF_GATEWAY else ""
            routes.append(Route(net=net, interface=interface, gateway=via))
    return tuple(routes)


def _swapped(word: str) -> IPv4Address:
    return IPv4Address(bytes.fromhex(word)[::-1])


def parse_linux_v6(text: str) -> tuple[Route, ...]:
    """Parse /proc/net/ipv6_route."""
    routes = []
    for line in text.splitlines():
        words = line.split()
        try:
            net = IPv6Network((bytes.fromhex(words[0]), int(words[1], 16)))
            gateway = IPv6Address(bytes.fromhex(words[4]))
            flags, interface = int(words[8], 16), words[9]
        except (IndexError, ValueError):
            continue
        if flags & (_RTF_REJECT | _RTF_CACHE | _RTF_LOCAL) or not flags & _RTF_UP or interface == "lo":
            continue
        if _leads_elsewhere(net):
            routes.append(Route(net=net, interface=interface, gateway=str(gateway) if flags & _RTF_GATEWAY else ""))
    return tuple(routes)


def parse_mac(text: str) -> tuple[Route, ...]:
    """Parse `netstat -rn` of macOS: networks are shortened ("10", "172.16/12"), and neighbours are listed too."""
    routes = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        net = _mac_net(words[0])
        if net is None or _MAC_SKIPPED_FLAGS & set(words[2]) or "U" not in words[2] or words[3].startswith("lo"):
            continue
        if not _leads_elsewhere(net):
            continue
        gateway = words[1].partition("%")[0]
        try:
            via = str(ip_address(gateway)) if "G" in words[2] else ""
        except ValueError:  # "link#12", or a hardware address
            via = ""
        routes.append(Route(net=net, interface=words[3], gateway=via))
    return tuple(routes)


def _mac_net(word: str) -> Net | None:
    address, slash, length = word.partition("/")
    address = address.partition("%")[0]
    if address == "default":
        return None  # the family is on another line
    try:
        if ":" in address:
            return IPv6Network((address, int(length) if slash else 128), strict=False)
        parts = address.split(".")
        bits = int(length) if slash else 32 if len(parts) == 4 else 8 * len(parts)
        return IPv4Network((".".join([*parts, "0", "0", "0"][:4]), bits), strict=False)
    except ValueError:
        return None


def parse_windows(text: str) -> tuple[Route, ...]:
    """Parse `route print -4` in any language: lines of active routes are recognised by their columns.

    Persistent routes have fewer columns and are skipped; those in use are listed among the active ones too.
    """
    routes = []
    for line in text.splitlines():
        match = _WINDOWS_ROUTE.match(line)
        if match is None:
            continue
        try:
            net = IPv4Network((match["net"], match["mask"]))
        except ValueError:
            continue
        if not _leads_elsewhere(net) or match["interface"].startswith("127."):
            continue
        own = net.prefixlen == 32 and match["net"] == match["interface"]
        broadcast = net.prefixlen == 32 and match["net"].endswith(".255")
        if own or broadcast:
            continue
        try:
            via = str(IPv4Address(match["gateway"]))
        except ValueError:  # "On-link", in the system's language
            via = ""
        routes.append(Route(net=net, interface=match["interface"], gateway=via))
    return tuple(routes)


def run_and_parse(argv: Sequence[str], parse: Callable[[str], tuple[Route, ...]]) -> tuple[Route, ...]:
    """Run a program and parse its output.

    Raises:
        WherryError: TOOL_MISSING, it did not run, failed or took more than LIST_TIMEOUT_S.
    """
    import subprocess

    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=LIST_TIMEOUT_S, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise routes_unreadable(" ".join(argv), str(error)) from error
    return parse(done.stdout)


def routes_unreadable(command: str, why: str) -> WherryError:
    """The error for routes that cannot be read."""
    return fail(
        ProblemCode.TOOL_MISSING,
        message("The routes of this computer can't be read: {error}.", error=why.rstrip(".")),
        command=command,
        hint=message("Set a subnet that nothing else uses: wherry config set network.subnet 10.0.2.0/24"),
    )


def as_routes(texts: Iterable[str], *, interface: str) -> tuple[Route, ...]:
    """Routes to addresses or networks (as text) that have to stay reachable; invalid texts are skipped."""
    routes = []
    for text in texts:
        try:
            routes.append(Route(net=ip_network(text), interface=interface))
        except ValueError:
            continue
    return tuple(routes)
