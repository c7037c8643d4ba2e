"""Which ranges the machine takes, beside the routes that people have."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ProblemCode, WherryError
from backend.host.routes import Route
from backend.net import subnets
from backend.net.engine_options import merged
from backend.settings.config import NetworkSection
from backend.settings.subnet_syntax import parse_subnet

HOME = ("192.168.1.0/24", "wlan0", "")
DEFAULT_ROUTE = ("0.0.0.0/0", "wlan0", "192.168.1.1")
ALL_PRIVATE = (("10.0.0.0/8", "tun0", ""), ("172.16.0.0/12", "tun0", ""), ("192.168.0.0/16", "tun0", ""))


def routes(*given_routes: tuple[str, str, str]) -> tuple[Route, ...]:
    return tuple(Route(net=ip_network(net), interface=name, gateway=via) for net, name, via in given_routes)


def pools(options: dict[str, Any]) -> list[IPv4Network]:
    return [IPv4Network(pool["base"]) for pool in options["default-address-pools"]]


@pytest.mark.parametrize(
    ("given_routes", "chosen"),
    [
        ((), "10.0.2.0/24"),
        ((DEFAULT_ROUTE, HOME), "10.0.2.0/24"),
        ((("0.0.0.0/1", "tun0", "10.8.0.1"), ("128.0.0.0/1", "tun0", "10.8.0.1")), "10.0.2.0/24"),
        ((("8.0.0.0/5", "utun3", ""),), "10.0.2.0/24"),  # a part of the default route in a VPN's words
        ((("10.0.2.0/24", "eth0", ""),), "10.213.77.0/24"),  # this computer is a virtual machine itself
        ((("10.0.2.77/32", "tun0", ""),), "10.213.77.0/24"),
        ((("10.0.0.0/8", "tun0", "10.8.0.1"),), "192.168.213.0/24"),
        ((*ALL_PRIVATE,), "100.117.213.0/24"),
        ((*ALL_PRIVATE, ("100.64.0.0/10", "tailscale0", ""), ("198.18.0.0/15", "tun1", "")), "10.0.2.0/24"),
        ((("10.0.2.0/24", "br-0123456789ab", ""),), "10.0.2.0/24"),  # a docker network of this computer
        ((("10.0.2.0/24", "br-0123456789ab", "172.18.0.2"),), "10.213.77.0/24"),  # a way through a container
        ((("10.0.2.0/24", "br-lan", ""),), "10.213.77.0/24"),  # a bridge that no engine made
    ],
)
def test_the_network_between_host_and_machine(given_routes: tuple[tuple[str, str, str], ...], chosen: str) -> None:
    assert str(subnets.choose_user_network(routes(*given_routes))) == chosen


def test_what_the_settings_name_by_its_address_is_not_hidden() -> None:
    section = NetworkSection(
        dns="192.0.2.53#5353, 10.0.2.3", http_proxy="http://ann:1.2.3.4x@172.17.0.1:3128", https_proxy="proxy.example"
    )
    ways = subnets.routes_in_settings(section)
    assert [str(way.net) for way in ways] == ["192.0.2.53/32", "172.17.0.1/32"]
    options = subnets.engine_options(
        (*routes(("172.17.0.0/16", "docker0", "")), *ways), user_network=IPv4Network("10.0.2.0/24")
    )
    assert str(pools(options)[0]) == "172.18.0.0/15"  # a proxy on this computer's own docker bridge
    assert subnets.routes_in_settings(NetworkSection()) == ()


def test_the_setting_wins_and_a_bad_one_is_refused() -> None:
    taken = routes(("10.9.8.0/24", "tun0", ""))
    assert str(subnets.choose_user_network(taken, wanted=" 10.9.8.0/24 ")) == "10.9.8.0/24"
    for bad, why in (
        ("10.0.2.1/24", "host bits"),
        ("10.0.0.0/16", "/16"),
        ("8.8.8.0/24", "private"),
        ("127.0.0.0/24", "private"),
        ("169.254.3.0/24", "private"),
        ("10.0.2", "10.0.2"),
        ("fd00::/64", "fd00"),
    ):
        with pytest.raises(WherryError) as caught:
            subnets.choose_user_network((), wanted=bad)
        assert caught.value.problem.code is ProblemCode.BAD_REQUEST
        assert why in str(caught.value.problem.summary)
    assert str(parse_subnet("100.64.7.0/24")) == "100.64.7.0/24"


def test_dockerd_chooses_for_itself_where_nothing_clashes() -> None:
    net = IPv4Network("10.0.2.0/24")
    own_engine = ("172.17.0.0/16", "docker0", ""), ("172.18.0.0/16", "br-0123456789ab", "")
    assert (
        subnets.engine_options(routes(DEFAULT_ROUTE, ("10.0.0.0/8", "tun0", ""), *own_engine), user_network=net) == {}
    )


def test_a_home_network_takes_one_network_out_of_dockers_last_pool() -> None:
    options = subnets.engine_options(routes(DEFAULT_ROUTE, HOME), user_network=IPv4Network("10.0.2.0/24"))
    assert options["default-address-pools"][0] == {"base": "172.17.0.0/16", "size": 16}
    assert sum(net.num_addresses for net in pools(options)) == 15 * 65536 + 65536 - 4096


def test_a_vpn_with_the_range_of_the_default_bridge_moves_it() -> None:
    options = subnets.engine_options(routes(("172.17.4.0/22", "tun0", "")), user_network=IPv4Network("10.0.2.0/24"))
    assert str(pools(options)[0]) == "172.18.0.0/15"
    assert options["default-address-pools"][0]["size"] == 16


def test_with_all_private_ranges_taken_there_still_are_networks() -> None:
    vpn = routes(*ALL_PRIVATE, HOME)
    options = subnets.engine_options(vpn, user_network=subnets.choose_user_network(vpn))
    assert [str(net) for net in pools(options)] == ["100.101.0.0/16", "198.19.0.0/16"]
    everything = routes(*ALL_PRIVATE, ("100.64.0.0/10", "a", ""), ("198.18.0.0/15", "b", ""))
    options = subnets.engine_options(everything, user_network=subnets.choose_user_network(everything))
    assert [str(net) for net in pools(options)] == ["10.201.0.0/16"]  # the widest route's harm is the least


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32), st.sampled_from(["tun0", "docker0", "eth0"])),
        max_size=12,
    )
)
def test_the_pools_avoid_every_route_that_counts_if_anything_can(given_routes: list[tuple[int, int, str]]) -> None:
    made = tuple(
        Route(net=IPv4Network((address, length), strict=False), interface=name)
        for address, length, name in given_routes
    )
    net = subnets.choose_user_network(made)
    counted = subnets.relevant_routes(made)
    options = subnets.engine_options(made, user_network=net)
    if options and subnets.overlapping_route(IPv4Network("10.201.0.0/16"), counted) is None:
        for pool in pools(options):
            assert subnets.overlapping_route(pool, counted) is None
            assert not pool.overlaps(net)
    if not options:
        assert subnets.overlapping_route(IPv4Network("192.168.0.0/16"), counted) is None


def test_clashes_name_what_is_hidden_and_only_what_can_be_helped() -> None:
    docker = [("bridge", "172.17.0.0/16"), ("web_default", "172.18.0.0/16"), ("six", "fd00::/64")]
    net = IPv4Network("10.0.2.0/24")

    def found(*given_routes: tuple[str, str, str], fixed: bool = False) -> list[tuple[str, str]]:
        seen = subnets.clashes(routes(*given_routes), user_network=net, user_network_fixed=fixed, docker=docker)
        return [(clash.name, str(clash.route.net)) for clash in seen]

    assert found(DEFAULT_ROUTE, HOME, ("172.18.0.0/16", "br-0123456789ab", "")) == []
    assert found(("10.0.0.0/8", "tun0", "")) == [("", "10.0.0.0/8")]
    assert found(("172.16.0.0/12", "tun0", ""), ("172.18.9.0/24", "tun1", "")) == [
        ("bridge", "172.16.0.0/12"),
        ("web_default", "172.18.9.0/24"),
    ]
    everything = (*ALL_PRIVATE, ("100.64.0.0/10", "a", ""), ("198.18.0.0/15", "b", ""))
    assert [name for name, _ in found(*everything)] == ["bridge", "web_default"]  # no other range would be better
    assert [name for name, _ in found(*everything, fixed=True)] == ["", "bridge", "web_default"]


def test_the_users_options_win() -> None:
    assert merged({"a": 1}, {"a": 2, "b": 3}, {"b": 4, "c": 5}) == {"a": 1, "b": 3, "c": 5}
