"""Selection of the machine's address ranges, so that containers reach everything that this computer reaches. Pure.

A range used inside the machine hides the same addresses outside it. The machine's ranges are not in this computer's
routing table, so a clash affects only containers, and only when they connect to those addresses.

All routes of this computer count except:
- the default route, and the halves and large parts that VPNs add instead of it (all shorter than /8);
- bridges of a container engine on this computer: containers there are published, or meant for that engine only. A route
  *through* such a bridge, or an address on it in the settings (a proxy, a DNS server), counts.

When all private ranges are in use (a VPN with 10/8, 172.16/12 and 192.168/16), the range that clashes with the widest
route is chosen: the wider a route, the less likely it is that these addresses are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Final

from backend.host.routes import Route, as_routes
from backend.settings.subnet_syntax import parse_subnet
from backend.vm.spec import DEFAULT_NET

if TYPE_CHECKING:
    from backend.settings.config import NetworkSection

_CANDIDATES: Final = (
    DEFAULT_NET,
    *(
        IPv4Network(text)
        for text in (
            "10.213.77.0/24",
            "10.91.138.0/24",
            "10.157.46.0/24",
            "192.168.213.0/24",
            "192.168.179.0/24",
            "172.31.213.0/24",
            "172.30.91.0/24",
            "100.117.213.0/24",  # carrier-grade NAT
            "198.18.213.0/24",  # benchmark tests
        )
    ),
)
"""Private ranges that routers, clouds and VPNs rarely use, best first."""

_POOLS: Final = (
    *((net, 16) for net in IPv4Network("172.16.0.0/12").subnets(new_prefix=16) if net.network_address.packed[1] > 16),
    *((net, 20) for net in IPv4Network("192.168.0.0/16").subnets(new_prefix=20)),
)
"""dockerd's default address pools, in its order, each with the prefix length of its networks."""
_SPARE_POOLS: Final = tuple(
    (IPv4Network(text), 24)
    for text in ("10.201.0.0/16", "10.86.0.0/16", "10.143.0.0/16", "100.101.0.0/16", "198.19.0.0/16")
)
_ENOUGH: Final = 8
"""When fewer networks of dockerd's own pools remain, the spare ones are added."""

_WIDEST_NEEDED: Final = 8
_ADDRESS: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w./])")
_ENGINE_BRIDGE: Final = re.compile(r"(docker0|docker_gwbridge|br-[0-9a-f]{12}|podman\d+|cni-podman\d+|nerdctl\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A range of the machine that overlaps a route of this computer."""

    name: str
    """Name of the docker network; "" for the network between host and machine."""
    net: IPv4Network
    route: Route


def routes_in_settings(section: NetworkSection) -> tuple[Route, ...]:
    """Routes to addresses in the settings, DNS servers and proxies, which containers have to reach.

    An address in the default network means this computer as seen by the machine, and needs no route.
    """
    routes = _ADDRESS.findall(f"{section.dns} {section.http_proxy} {section.https_proxy}")
    return tuple(
        route
        for route in as_routes(routes, interface="the settings")
        if isinstance(route.net, IPv4Network) and not route.net.overlaps(DEFAULT_NET)
    )


def relevant_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes that count; see the module's docstring."""
    return tuple(
        route
        for route in routes
        if isinstance(route.net, IPv4Network)
        and route.net.prefixlen >= _WIDEST_NEEDED
        and (route.gateway or not _ENGINE_BRIDGE.fullmatch(route.interface))
    )


def overlapping_route(net: IPv4Network, routes: Iterable[Route]) -> Route | None:
    """The narrowest route that overlaps the network; None when there is none."""
    met = [route for route in routes if isinstance(route.net, IPv4Network) and route.net.overlaps(net)]
    return max(met, key=lambda route: route.net.prefixlen, default=None)


def choose_user_network(routes: Iterable[Route], *, wanted: str = "") -> IPv4Network:
    """Select the network between host and machine.

    Args:
        routes: all routes of this computer.
        wanted: the setting, which takes precedence; "": the first candidate without a clash, or with the least harmful
            one.

    Raises:
        WherryError: BAD_REQUEST, an invalid setting.
    """
    if wanted.strip():
        return parse_subnet(wanted)
    counted = relevant_routes(routes)
    return min(_CANDIDATES, key=lambda net: _harm(net, counted))  # the first of equal ones


def _harm(net: IPv4Network, routes: Sequence[Route]) -> int:
    met = overlapping_route(net, routes)
    return 0 if met is None else met.net.prefixlen


def engine_options(routes: Iterable[Route], *, user_network: IPv4Network) -> dict[str, list[dict[str, str | int]]]:
    """The part of daemon.json that keeps docker's networks away from this computer's routes.

    Returns:
        {} when dockerd's default choice clashes with nothing; else "default-address-pools". dockerd also takes the
        default
        bridge from the first free one, so that it never overlaps a network that the user has created.
    """
    occupied = (*relevant_routes(routes), Route(net=user_network, interface="net0"))
    free = [(net, size) for net, size in _POOLS if overlapping_route(net, occupied) is None]
    if len(free) == len(_POOLS):
        return {}
    if len(free) < _ENOUGH:
        spare = [(net, size) for net, size in _SPARE_POOLS if overlapping_route(net, occupied) is None]
        free += spare or [min(_SPARE_POOLS, key=lambda pool: _harm(pool[0], occupied))]
    pools: list[dict[str, str | int]] = []
    for size in dict.fromkeys(size for _, size in free):
        merged = collapse_addresses(net for net, of_size in free if of_size == size)
        pools += [{"base": str(net), "size": size} for net in merged]
    return {"default-address-pools": pools}


def clashes(
    routes: Iterable[Route], *, user_network: IPv4Network, user_network_fixed: bool, docker: Iterable[tuple[str, str]]
) -> tuple[Clash, ...]:
    """The ranges of the running machine that overlap routes of this computer.

    Args:
        routes: all current routes of this computer.
        user_network: the network in use between host and machine.
        user_network_fixed: whether the settings fix that network.
        docker: name and range of each docker network; ranges that are not IPv4 are skipped.

    Returns:
        The clashes; the network between host and machine only when another one would be better.
    """
    counted = relevant_routes(routes)
    overlapping: list[Clash] = []
    met = overlapping_route(user_network, counted)
    better = user_network_fixed or _harm(choose_user_network(counted), counted) < _harm(user_network, counted)
    if met is not None and better:
        overlapping.append(Clash(name="", net=user_network, route=met))
    for name, text in docker:
        try:
            net = IPv4Network(text, strict=False)
        except ValueError:
            continue
        met = overlapping_route(net, counted)
        if met is not None:
            overlapping.append(Clash(name=name, net=net, route=met))
    return tuple(overlapping)
