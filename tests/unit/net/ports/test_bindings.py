"""What is published, read from what the engine says: addresses, policies, companions."""

from __future__ import annotations

from typing import Any

import pytest

from backend.addresses import Origin, Protocol
from backend.engine.engine_json import engine_source
from backend.json_reader import JsonObject, NotUnderstood
from backend.net.ports.bindings import Published, Reader
from backend.net.ports.host_network import GuestListener

ALIASES = {"127.66.0.1": "::1", "127.66.0.2": "::", "127.66.0.3": "192.0.2.7"}
HERE = Reader(publish_everywhere=False, host_address=lambda ip: ALIASES.get(ip, ip))
EVERYWHERE = Reader(publish_everywhere=True, host_address=lambda ip: ALIASES.get(ip, ip))


SOURCE = engine_source("docker inspect")


def inspected(asked: dict[str, Any], given: dict[str, Any] | None = None, *, running: bool = True) -> JsonObject:
    return JsonObject(
        {
            "Id": "c" * 64,
            "Name": "/web",
            "State": {"Running": running},
            "HostConfig": {"PortBindings": asked, "NetworkMode": "bridge"},
            "NetworkSettings": {"Ports": given or {}},
        },
        SOURCE,
    )


def row(ip: str, port: str | int) -> dict[str, str]:
    return {"HostIp": ip, "HostPort": str(port)}


def shown(published: tuple[Published, ...]) -> set[str]:
    return {f"{one.forward.address}>{one.forward.guest_ip}:{one.forward.guest_port}" for one in published}


@pytest.mark.parametrize(
    ("reader", "ask", "give", "expected"),
    [
        (HERE, "", "127.0.0.1", {"127.0.0.1:80/tcp>127.0.0.1:80", "[::1]:80/tcp>127.0.0.1:80"}),
        (HERE, "127.0.0.1", "127.0.0.1", {"127.0.0.1:80/tcp>127.0.0.1:80"}),
        (HERE, "127.0.0.9", "127.0.0.9", {"127.0.0.9:80/tcp>127.0.0.9:80"}),
        (HERE, "0.0.0.0", "0.0.0.0", {"0.0.0.0:80/tcp>:80"}),
        (HERE, "127.66.0.1", "127.66.0.1", {"[::1]:80/tcp>127.66.0.1:80"}),
        (HERE, "127.66.0.2", "127.66.0.2", {"[::]:80/tcp>127.66.0.2:80"}),
        (HERE, "127.66.0.3", "127.66.0.3", {"192.0.2.7:80/tcp>127.66.0.3:80"}),
        # A network that was made before publishing was restricted still has the engine say 0.0.0.0.
        (HERE, "", "0.0.0.0", {"127.0.0.1:80/tcp>:80", "[::1]:80/tcp>:80"}),
        (EVERYWHERE, "", "0.0.0.0", {"0.0.0.0:80/tcp>:80", "[::]:80/tcp>:80"}),
        (EVERYWHERE, "127.0.0.1", "127.0.0.1", {"127.0.0.1:80/tcp>127.0.0.1:80"}),
        # The guest's own IPv6 leads nowhere from the host.
        (HERE, "", "::", set()),
    ],
)
def test_where_a_port_is_published(reader: Reader, ask: str, give: str, expected: set[str]) -> None:
    web = inspected({"8080/tcp": [row(ask, 80)]}, {"8080/tcp": [row(give, 80)]})
    published = reader.given(web)
    assert shown(published) == expected
    assert all(one.owner_port == 8080 and one.owner_name == "web" and not one.is_chosen for one in published)


def test_a_host_without_ipv6_has_no_companions() -> None:
    reader = Reader(publish_everywhere=False, host_address=lambda ip: ALIASES.get(ip, ip), has_ipv6=False)
    asked = {"80/tcp": [row("", 80), row("127.66.0.1", 81)]}
    given = {"80/tcp": [row("127.0.0.1", 80), row("127.66.0.1", 81)]}
    expected = {"127.0.0.1:80/tcp>127.0.0.1:80", "[::1]:81/tcp>127.66.0.1:81"}  # which is asked for, and told of
    assert shown(reader.given(inspected(asked, given))) == expected


@pytest.mark.parametrize("service", [{"Endpoint": {"Ports": ["x", None]}}, {"Endpoint": 5}])
def test_services_of_another_shape_are_not_taken_for_services_without_ports(service: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood, match="understood"):
        HERE.services([JsonObject(service, SOURCE)])


def test_a_start_foresees_single_ports_as_they_will_be_given() -> None:
    web = inspected({"80/tcp": [row("", 8080)], "53/udp": [row("127.0.0.1", 53)]}, running=False)
    assert shown(HERE.asked(web)) == {
        "127.0.0.1:8080/tcp>127.0.0.1:8080",
        "[::1]:8080/tcp>127.0.0.1:8080",
        "127.0.0.1:53/udp>127.0.0.1:53",
    }
    assert HERE.given(web) == ()


def test_ports_that_the_engine_chooses_are_not_foreseen_and_are_known_as_such() -> None:
    asked = {"80/tcp": [row("", "")], "81/tcp": [row("", "8000-8010")], "82/tcp": [row("", "0")]}
    given = {"80/tcp": [row("127.0.0.1", 20000)], "81/tcp": [row("127.0.0.1", 8003)], "83/tcp": [row("127.0.0.1", 9)]}
    web = inspected(asked, given)
    assert HERE.asked(web) == ()
    assert {one.forward.host_port for one in HERE.given(web)} == {20000, 8003, 9}
    assert all(one.is_chosen for one in HERE.given(web))


def test_an_explicit_address_beside_a_default_one_gets_no_companion() -> None:
    asked = {"80/tcp": [row("", ""), row("127.0.0.1", 8085)]}
    given = {"80/tcp": [row("127.0.0.1", 20000), row("127.0.0.1", 8085)]}
    assert shown(HERE.given(inspected(asked, given))) == {
        "127.0.0.1:20000/tcp>127.0.0.1:20000",
        "[::1]:20000/tcp>127.0.0.1:20000",
        "127.0.0.1:8085/tcp>127.0.0.1:8085",
    }


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {"80/tcp": None},
        {"80/sctp": [row("", 80)]},
        {"x/tcp": [row("", 80)]},
        {"80/tcp": [row("", 70000)]},
    ],
)
def test_what_cannot_be_published_is_left_out(odd: Any) -> None:
    assert HERE.given(inspected(odd, odd)) == ()
    assert HERE.asked(inspected(odd)) == ()


@pytest.mark.parametrize("odd", [{"80/tcp": ["x"]}, {"80/tcp": "x"}, ["80/tcp"], {"80/tcp": [{"HostPort": 80}]}])
def test_what_is_not_understood_is_not_taken_for_nothing_published(odd: Any) -> None:
    with pytest.raises(NotUnderstood):
        HERE.given(inspected({}, odd))
    with pytest.raises(NotUnderstood):
        HERE.asked(inspected(odd))


def test_services_are_published_as_a_port_without_an_address() -> None:
    ports = [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
        {"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 8081, "PublishMode": "host"},
    ]
    services = HERE.services(
        JsonObject(dict(one), SOURCE)
        for one in ({"ID": "s1", "Spec": {"Name": "shop"}, "Endpoint": {"Ports": ports}}, {"ID": "s2"})
    )
    assert shown(services) == {"127.0.0.1:8080/tcp>:8080", "[::1]:8080/tcp>:8080"}
    assert {(one.origin, one.owner_name, one.owner_port) for one in services} == {(Origin.SERVICE, "shop", 80)}


def test_listeners_of_known_containers_with_the_hosts_network_are_published() -> None:
    def heard(ip: str, port: int, owner: str = "a") -> GuestListener:
        return GuestListener(protocol=Protocol.TCP, guest_ip=ip, port=port, container_id=owner)

    listeners = [
        heard("::", 80),
        heard("0.0.0.0", 80),
        heard("127.0.0.1", 81),
        heard("::1", 82),
        heard("0.0.0.0", 83, "b"),
    ]
    published = HERE.listeners(listeners, {"a": "web"})
    assert shown(published) == {
        "127.0.0.1:80/tcp>:80",
        "[::1]:80/tcp>:80",
        "127.0.0.1:81/tcp>127.0.0.1:81",
        "[::1]:81/tcp>127.0.0.1:81",
    }
