"""Which changes of interfaces are a change of the network that names are resolved in."""

from __future__ import annotations

import pytest

from backend.host import network

USUAL = frozenset({("lo", "127.0.0.1"), ("wlan0", "192.0.2.7"), ("wlan0", "fe80::1%wlan0"), ("wlan0", "2001:db8::7")})
BRIDGES = frozenset({"docker0", "br-5f3a", "br0", "bridge100"})


def seen(*more: tuple[str, str]) -> frozenset[tuple[str, str]]:
    gateways = frozenset({"wlan0", "br0"})
    return network.leading_elsewhere(USUAL | frozenset(more), bridges=BRIDGES, gateways=lambda: gateways)


@pytest.mark.parametrize(
    "more",
    [
        ("veth1a2b", "fe80::42:acff:fe11:2%veth1a2b"),
        ("docker0", "172.17.0.1"),
        ("br-5f3a", "172.18.0.1"),
        ("br-5f3a", "fc00:f853::1"),
        ("bridge100", "192.168.64.1"),
        ("usb0", "169.254.3.4"),
    ],
)
def test_what_engines_and_virtual_machines_make_is_none(more: tuple[str, str]) -> None:
    assert seen(more) == seen()


@pytest.mark.parametrize(
    "more",
    [
        ("eth0", "198.51.100.4"),
        ("wlan0", "192.0.2.8"),
        ("tun0", "10.8.0.2"),
        ("wg0", "10.9.0.2"),
        ("utun4", "100.64.0.1"),
        ("br0", "198.51.100.9"),
    ],
)
def test_a_cable_a_vpn_and_a_bridge_to_the_outside_are_one(more: tuple[str, str]) -> None:
    assert seen(more) != seen()


def test_this_computers_own_addresses_are_found() -> None:
    assert ("lo", "127.0.0.1") in network.addresses() or network.addresses()
