"""Defaults for a new swarm. Pure."""

from __future__ import annotations

from typing import Final

OVERLAY_POOL: Final = "10.64.0.0/12"
"""4,096 networks of 256 addresses; it does not overlap any of the networks between host and machine."""


SUBNET_SIZE: Final = 24
"""Prefix length of each network. The docker command sends it always, other clients only with a pool. With a pool and
without a size the engine has no overlay networks at all, and dockerd ends at the first service with published ports."""


def give_pool(swarm: dict[str, object]) -> bool:
    """Make a new swarm use `OVERLAY_POOL` for its networks, unless the request sets a pool.

    Its default is 10.0.0.0/8, in order and whatever the node uses: the third network is 10.0.2.0/24, which contains the
    addresses of the host and its resolver. Containers in that network could not reach them.

    Args:
        swarm: the body of `POST /swarm/init`; changed in place.

    Returns:
        Whether it was changed.
    """
    if swarm.get("DefaultAddrPool"):
        return False
    swarm["DefaultAddrPool"] = [OVERLAY_POOL]
    swarm["SubnetSize"] = swarm.get("SubnetSize") or SUBNET_SIZE
    return True
