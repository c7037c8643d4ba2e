"""Which ranges of addresses the machine takes, so that containers reach everything that this computer reaches: pure.

A range that the machine itself uses hides what has the same addresses outside. Nothing of the machine's is in this
computer's routes, so a clash harms nobody but containers, and these only where they want to go there.

What counts as needed is every route of this computer but:
- the default route, and the halves and larger parts that VPNs write instead of it (all shorter than /8);
- the bridges of a container engine on this computer: what is on them is published, or meant for that engine alone.
  A route *through* one, or an address on one that the settings name (a proxy, a DNS server), counts.

Where all private ranges are taken (a VPN with 10/8, 172.16/12 and 192.168/16), the range whose clash is with the widest
route is chosen: the wider a route, the less likely that something is at just these addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING, Any, Final

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
            "100.117.213.0/24",  # of carriers
            "198.18.213.0/24",  # of test benches
        )
    ),
)
"""Private ranges that routers, clouds and VPNs rarely choose, best first."""

_POOLS: Final = (
    *((net, 16) for net in IPv4Network("172.16.0.0/12").subnets(new_prefix=16) if net.network_address.packed[1] > 16),
    *((net, 20) for net in IPv4Network("192.168.0.0/16").subnets(new_prefix=20)),
)
"""Where dockerd takes networks from when nothing is said, in its order, each with the length of a network there."""
_SPARE_POOLS: Final = tuple(
    (IPv4Network(text), 24)
    for text in ("10.201.0.0/16", "10.86.0.0/16", "10.143.0.0/16", "100.101.0.0/16", "198.19.0.0/16")
)
_ENOUGH: Final = 8
"""Networks that are left of dockerd's own pools, below which the spare ones are added."""

_WIDEST_NEEDED: Final = 8
_ADDRESS: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w./])")
_ENGINE_BRIDGE: Final = re.compile(r"(docker0|docker_gwbridge|br-[0-9a-f]{12}|podman\d+|cni-podman\d+|nerdctl\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """One range of the machine's that a route of this computer needs."""

    name: str
    """Of the docker network; "" for the network between host and machine."""
    net: IPv4Network
    route: Route


def named(section: NetworkSection) -> tuple[Route, ...]:
    """Ways to what the settings name by its address: DNS servers and proxies, which containers have to reach.

    An address in the default network stands for this computer as the machine sees it, and needs no way.
    """
    found = _ADDRESS.findall(f"{section.dns} {section.http_proxy} {section.https_proxy}")
    return tuple(
        route
        for route in as_routes(found, interface="the settings")
        if isinstance(route.net, IPv4Network) and not route.net.overlaps(DEFAULT_NET)
    )


def needed(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Those that count, see the module."""
    return tuple(
        route
        for route in routes
        if isinstance(route.net, IPv4Network)
        and route.net.prefixlen >= _WIDEST_NEEDED
        and (route.gateway or not _ENGINE_BRIDGE.fullmatch(route.interface))
    )


def hit(net: IPv4Network, routes: Iterable[Route]) -> Route | None:
    """The narrowest of the routes that shares addresses with the net; None: none does."""
    met = [route for route in routes if isinstance(route.net, IPv4Network) and route.net.overlaps(net)]
    return max(met, key=lambda route: route.net.prefixlen, default=None)


def choose_user_network(routes: Iterable[Route], *, wanted: str = "") -> IPv4Network:
    """The network between host and machine.

    Args:
        routes: all of this computer's.
        wanted: the setting, which wins; "": the first candidate that no route needs, or whose clash matters least.

    Raises:
        WherryError: BAD_REQUEST, for a setting that cannot be used.
    """
    if wanted.strip():
        return parse_subnet(wanted)
    counted = needed(routes)
    return min(_CANDIDATES, key=lambda net: _harm(net, counted))  # of equal ones the first


def _harm(net: IPv4Network, routes: Sequence[Route]) -> int:
    met = hit(net, routes)
    return 0 if met is None else met.net.prefixlen


def engine_options(routes: Iterable[Route], *, user_network: IPv4Network) -> dict[str, Any]:
    """The part of daemon.json that keeps docker's networks away from this computer's routes.

    Returns:
        {} when dockerd's own choice clashes with nothing; else "default-address-pools". The default bridge is taken by
        dockerd from the first of these that is free, so that it never lands on a network that the user has made.
    """
    taken = (*needed(routes), Route(net=user_network, interface="net0"))
    free = [(net, size) for net, size in _POOLS if hit(net, taken) is None]
    if len(free) == len(_POOLS):
        return {}
    if len(free) < _ENOUGH:
        spare = [(net, size) for net, size in _SPARE_POOLS if hit(net, taken) is None]
        free += spare or [min(_SPARE_POOLS, key=lambda pool: _harm(pool[0], taken))]
    pools: list[dict[str, Any]] = []
    for size in dict.fromkeys(size for _, size in free):
        merged = collapse_addresses(net for net, of_size in free if of_size == size)
        pools += [{"base": str(net), "size": size} for net in merged]
    return {"default-address-pools": pools}


def clashes(
    routes: Iterable[Route], *, user_network: IPv4Network, user_network_fixed: bool, docker: Iterable[tuple[str, str]]
) -> tuple[Clash, ...]:
    """What of the running machine hides something that this computer's routes lead to.

    Args:
        routes: all of this computer's, now.
        user_network: the one in use.
        user_network_fixed: whether the settings name it, so that it stays whatever is said.
        docker: name and range of each docker network; ranges that are not IPv4 are passed over.

    Returns:
        The network between host and machine only where another one would be better.
    """
    counted = needed(routes)
    found: list[Clash] = []
    met = hit(user_network, counted)
    better = user_network_fixed or _harm(choose_user_network(counted), counted) < _harm(user_network, counted)
    if met is not None and better:
        found.append(Clash(name="", net=user_network, route=met))
    for name, text in docker:
        try:
            net = IPv4Network(text, strict=False)
        except ValueError:
            continue
        met = hit(net, counted)
        if met is not None:
            found.append(Clash(name=name, net=net, route=met))
    return tuple(found)
