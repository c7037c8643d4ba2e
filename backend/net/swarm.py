"""What a swarm is told when it is made in the machine. Pure."""

from __future__ import annotations

from typing import Any, Final

OVERLAY_POOL: Final = "10.64.0.0/12"
"""4,096 networks of 256 addresses; none of the networks that lie between host and machine is in it."""


def give_pool(swarm: dict[str, Any]) -> bool:
    """Have a new swarm take its networks from `OVERLAY_POOL`, unless the request says from where.

    By itself it takes them from 10.0.0.0/8, in order and whatever the node has: the third is 10.0.2.0/24, in which the
    host and its resolver have their addresses. They would then be out of reach for containers of that network.

    Args:
        swarm: the body of `POST /swarm/init`; changed in place.

    Returns:
        Whether it was changed.
    """
    if swarm.get("DefaultAddrPool"):
        return False
    swarm["DefaultAddrPool"] = [OVERLAY_POOL]
    return True
