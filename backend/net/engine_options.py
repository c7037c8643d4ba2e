"""Default options of dockerd, for those not set in the user's daemon.json. Pure.

Ports without an address are published on the guest's 127.0.0.1 by default, so that what the engine tells its clients
matches the host. The userland proxy is off: QEMU's network reaches the guest's loopback directly, the kernel forwards
the rest, and published ports need no processes (measured with it: two of 4 MB for each port, 840 MB for 100).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LOOPBACK: Final = "127.0.0.1"
_HOST_BINDING: Final = "com.docker.network.bridge.host_binding_ipv4"


def publishing(user: Mapping[str, object], *, publish_everywhere: bool) -> dict[str, object]:
    """Add the options for publishing ports to the user's options.

    Args:
        user: the user's daemon.json, which takes precedence.
        publish_everywhere: whether ports published without an address listen on all of the host's addresses.
    """
    options: dict[str, object] = {"userland-proxy": False}
    if not publish_everywhere and "ip" not in user:
        options["ip"] = _LOOPBACK
        options["default-network-opts"] = {"bridge": {_HOST_BINDING: _LOOPBACK}}
    options.update(user)
    theirs = user.get("default-network-opts")
    if isinstance(theirs, dict) and "ip" in options and "ip" not in user:
        bridge = theirs.get("bridge")
        own = bridge if isinstance(bridge, dict) else {}
        options["default-network-opts"] = {**theirs, "bridge": {_HOST_BINDING: _LOOPBACK, **own}}
    return options


def merged(user_options: Mapping[str, object], *defaults: Mapping[str, object]) -> dict[str, object]:
    """Merge options: the user's, then those of each default in order; earlier ones take precedence."""
    result: dict[str, object] = {}
    for options in (user_options, *defaults):
        for name, value in options.items():
            result.setdefault(name, value)
    return result


def with_loopback_registries(options: Mapping[str, object], gateway: str) -> dict[str, object]:
    """Allow registries on this computer's loopback without TLS, as dockerd does for its own 127.0.0.0/8.

    For the engine that loopback is `gateway`, and the name host.docker.internal, which dockerd resolves.
    """
    named = options.get("insecure-registries")
    return {**options, "insecure-registries": [*(named if isinstance(named, list) else []), loopback_range(gateway)]}


def loopback_range(gateway: str) -> str:
    """This computer's loopback as the engine names it."""
    return f"{gateway}/32"
