"""What Wherry has dockerd do where the user's daemon.json says nothing of it: pure.

The engine publishes on the guest's 127.0.0.1 unless told otherwise, so that what it tells its clients is true of the
host. Its userland proxy is off: QEMU's network reaches the guest's loopback itself, the kernel does the rest, and each
published port costs no process (two of 4 MB each with it, 840 MB for 100 ports measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_LOOPBACK: Final = "127.0.0.1"
_HOST_BINDING: Final = "com.docker.network.bridge.host_binding_ipv4"


def publishing(user: Mapping[str, Any], *, publish_everywhere: bool) -> dict[str, Any]:
    """The user's options, with those for publishing.

    Args:
        user: daemon.json as the user wrote it; what it says stays.
        publish_everywhere: whether ports whose `-p` names no address are published on all of the host's.
    """
    options: dict[str, Any] = {"userland-proxy": False}
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


def merged(user_options: Mapping[str, Any], *defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The user's options, with those of the defaults that they do not mention; of two defaults the first."""
    result: dict[str, Any] = {}
    for options in (user_options, *defaults):
        for name, value in options.items():
            result.setdefault(name, value)
    return result


def with_loopback_registries(options: Mapping[str, Any], gateway: str) -> dict[str, Any]:
    """The same, and registries on this computer's loopback need no TLS, as dockerd has it for its own 127.0.0.0/8.

    For the engine that loopback is `gateway`, and the name host.docker.internal, which dockerd looks up.
    """
    named = options.get("insecure-registries")
    return {**options, "insecure-registries": [*(named if isinstance(named, list) else []), f"{gateway}/32"]}
