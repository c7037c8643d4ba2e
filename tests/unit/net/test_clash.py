"""What is said of a clash: what hides what, and the way out that there is for each."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

import pytest

from backend.engine.engine_json import engine_source
from backend.errors import Action, Problem
from backend.host.routes import Route
from backend.json_reader import Json, NotUnderstood
from backend.net.clash import DockerNetwork, problem_of, read_networks
from backend.net.subnets import Clash

VPN = Route(net=ip_network("172.16.0.0/12"), interface="tun0")
USER = Clash(name="", net=IPv4Network("10.0.2.0/24"), route=Route(net=ip_network("10.0.0.0/8"), interface="tun0"))
BRIDGE = Clash(name="bridge", net=IPv4Network("172.17.0.0/16"), route=VPN)
WEB = Clash(name="web_default", net=IPv4Network("172.18.0.0/16"), route=VPN)
LAB = Clash(name="my lab", net=IPv4Network("172.19.0.0/16"), route=VPN)
NETWORKS = (DockerNetwork(name="web_default", ranges=(), project="web"), DockerNetwork(name="my lab", ranges=()))


def told(*clashes: Clash, subnet_is_set: bool = False, bridge_is_set: bool = False) -> Problem:
    problem = problem_of(clashes, NETWORKS, subnet_is_set=subnet_is_set, bridge_is_set=bridge_is_set)
    assert problem is not None
    return problem


def test_nothing_to_tell() -> None:
    assert problem_of((), NETWORKS, subnet_is_set=False, bridge_is_set=False) is None


def test_what_a_restart_moves_has_one_as_its_action() -> None:
    problem = told(USER, BRIDGE, WEB)
    assert problem.action is Action.RESTART
    assert str(problem.summary).endswith(
        "10.0.0.0/8 (tun0) overlaps the machine's network (10.0.2.0/24), 172.16.0.0/12 (tun0) overlaps "
        "the default bridge (172.17.0.0/16), the docker network web_default (172.18.0.0/16)."
    )
    assert problem.hint is not None
    assert "to move the machine's network, the default bridge." in str(problem.hint)
    assert "Then recreate your own networks: docker compose -p web down && docker compose -p web up -d" in (
        str(problem.hint)
    )


def test_the_users_own_networks_are_the_users_to_move() -> None:
    problem = told(WEB, LAB)
    assert problem.action is None
    assert problem.hint is not None
    assert "docker compose -p web down" in str(problem.hint)
    assert "docker network rm 'my lab' && docker network create 'my lab'" in str(problem.hint)
    many = told(*(Clash(name=f"n{number}", net=LAB.net, route=VPN) for number in range(7)))
    assert "(and 2 more)" in (str(many.hint) or "")


def test_what_the_user_has_set_is_not_moved_by_a_restart() -> None:
    problem = told(USER, BRIDGE, subnet_is_set=True, bridge_is_set=True)
    assert problem.action is None
    assert "network.subnet" in (str(problem.hint) or "")
    assert "daemon.json" in (str(problem.hint) or "")
    half = told(USER, BRIDGE, subnet_is_set=True)
    assert half.action is Action.RESTART
    assert "to move the default bridge." in (str(half.hint) or "")


def test_the_engines_answer_is_read() -> None:
    answer = [
        {"Name": "web\x1b[2J", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}, {"Subnet": None}]},
         "Labels": {"com.docker.compose.project": "web"}},
        {"Name": "host", "IPAM": {"Config": None}, "Labels": None},
    ]  # fmt: skip
    networks = read_networks(Json(answer, engine_source("GET /networks")))
    assert [network.ranges for network in networks] == [("172.18.0.0/16",), ()]
    assert networks[0].project == "web"
    assert "\x1b" not in networks[0].name


@pytest.mark.parametrize(
    "answer",
    [
        *({"message": "no"}, ["what"], [{"Name": 7}], [{}], [{"Name": "odd", "IPAM": []}]),
        [{"Name": "odd", "IPAM": {"Config": [{"Subnet": 7}]}}],
    ],
)
def test_an_answer_that_is_not_understood_is_no_list_without_networks(answer: object) -> None:
    with pytest.raises(NotUnderstood):
        read_networks(Json(answer, engine_source("GET /networks")))
