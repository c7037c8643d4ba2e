"""A swarm's networks stay out of the way of the network between host and machine."""

from __future__ import annotations

import asyncio
import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import cast

import pytest

from backend.net import subnets
from backend.net.aliases import Aliases
from backend.net.front_hooks import NetworkHooks
from backend.net.ports.publisher import Publisher
from backend.net.swarm import OVERLAY_POOL
from backend.stream import ByteStream


async def nobody() -> ByteStream:
    raise AssertionError("the engine is not asked")


@pytest.mark.parametrize("target", ["/swarm/init", "/v1.51/swarm/init"])
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"ListenAddr": "0.0.0.0:2377", "DefaultAddrPool": None}, {"SubnetSize": 24}),
        ({}, {"SubnetSize": 24}),  # of other clients than the docker command
        ({"SubnetSize": 0}, {"SubnetSize": 24}),
        ({"SubnetSize": 26}, {"SubnetSize": 26}),
        ({"DefaultAddrPool": ["10.20.0.0/16"]}, None),
    ],
)
def test_a_new_swarm_gets_a_pool_unless_it_says_one(
    tmp_path: Path, target: str, asked: dict[str, object], given: dict[str, object] | None
) -> None:
    hooks = NetworkHooks(cast("Publisher", None), Aliases(tmp_path / "published"), nobody)
    assert hooks.wants_body("POST", target)
    body = asyncio.run(hooks.rewrite_request("POST", target, (), json.dumps(asked).encode()))
    pool = {"DefaultAddrPool": [OVERLAY_POOL]}
    assert (body and json.loads(body)) == (None if given is None else asked | pool | given)


def test_the_pool_holds_no_network_of_the_machine() -> None:
    assert not any(IPv4Network(OVERLAY_POOL).overlaps(net) for net in subnets._CANDIDATES)
