"""IPv6 between containers and the world: whether there is any, and what the engine is told then. Pure.

QEMU's user network carries it (fec0::/64), the engine gives containers unique local addresses and translates them. The
engine's rules for it are 60 of the 130 programs that it runs to start, so they are there only with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_ENABLE: Final = "com.docker.network.enable_ipv6"


def is_wanted(setting: str, *, host_has_it: Callable[[], bool]) -> bool:
    """Whether the machine has IPv6, by `network.ipv6`: "on", "off", or "auto" for as this computer."""
    return host_has_it() if setting == "auto" else setting == "on"


def with_ipv6(options: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's options, with IPv6 on its networks where the user's own options do not say otherwise.

    Args:
        options: daemon.json as it was to be.
        user: as the user wrote it.
    """
    if user.get("ip6tables") is False or user.get("ipv6") is False:
        return dict(options)
    networks = options.get("default-network-opts")
    networks = dict(networks) if isinstance(networks, Mapping) else {}
    bridge = networks.get("bridge")
    networks["bridge"] = {_ENABLE: "true", **(bridge if isinstance(bridge, Mapping) else {})}
    return {"ipv6": True, **options, "default-network-opts": networks}
