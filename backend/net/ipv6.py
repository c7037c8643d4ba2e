"""IPv6 for containers: whether to enable it, and the engine options for it. Pure.

QEMU's user network carries it (fec0::/64), the engine gives containers unique local addresses and translates them. The
engine starts 60 of its 130 programs only to set up IPv6 rules, so it is enabled only when useful.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_ENABLE: Final = "com.docker.network.enable_ipv6"


def is_wanted(setting: str, *, host_has_it: Callable[[], bool]) -> bool:
    """Whether to enable IPv6, by the setting `network.ipv6`: "on", "off", or "auto" (if the host has it)."""
    return host_has_it() if setting == "auto" else setting == "on"


def with_ipv6(options: Mapping[str, object], user: Mapping[str, object]) -> dict[str, object]:
    """Add IPv6 to the engine's options, unless the user's own options decide it.

    Args:
        options: the options so far.
        user: the user's daemon.json.
    """
    if user.get("ip6tables") is False or user.get("ipv6") is False:
        return dict(options)
    networks = options.get("default-network-opts")
    networks = dict(networks) if isinstance(networks, Mapping) else {}
    bridge = networks.get("bridge")
    networks["bridge"] = {_ENABLE: "true", **(bridge if isinstance(bridge, Mapping) else {})}
    return {"ipv6": True, **options, "default-network-opts": networks}
