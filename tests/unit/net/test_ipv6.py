"""Whether there is IPv6, and what the engine is told then."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from backend.host import network
from backend.net.engine_options import publishing
from backend.net.ipv6 import is_wanted, with_ipv6

ENABLE = "com.docker.network.enable_ipv6"


@pytest.mark.parametrize(
    ("setting", "host", "wanted"),
    [("on", False, True), ("off", True, False), ("auto", True, True), ("auto", False, False)],
)
def test_the_setting_or_the_host_decides(setting: str, host: bool, wanted: bool) -> None:
    assert is_wanted(setting, host_has_it=lambda: host) is wanted


def test_networks_have_it_beside_what_they_had() -> None:
    options: dict[str, Any] = with_ipv6(publishing({}, publish_everywhere=False), {})
    assert options["ipv6"] is True
    assert options["default-network-opts"]["bridge"][ENABLE] == "true"
    assert options["default-network-opts"]["bridge"]["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"


@pytest.mark.parametrize("user", [{"ip6tables": False}, {"ipv6": False}])
def test_who_turned_it_off_in_daemon_json_has_the_last_word(user: dict[str, object]) -> None:
    assert with_ipv6(user, user) == user


def test_the_users_own_options_of_networks_stay() -> None:
    user = {"default-network-opts": {"bridge": {ENABLE: "false", "x": "y"}, "overlay": {"z": "1"}}}
    assert with_ipv6(user, user) == {"ipv6": True, **user}


class _Socket:
    def __init__(self, address: str | None) -> None:
        self._address = address

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def connect(self, _address: object) -> None:
        if self._address is None:
            raise OSError("unreachable")

    def getsockname(self) -> tuple[str | None, int, int, int]:
        return (self._address, 0, 0, 0)


@pytest.mark.parametrize(
    ("address", "has"), [(None, False), ("2001:db8::5", True), ("fd00::2", False), ("fe80::1%eth0", False)]
)
def test_a_host_has_it_with_a_global_address_and_a_way(
    monkeypatch: pytest.MonkeyPatch, address: str | None, has: bool
) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: _Socket(address))
    assert network.has_ipv6() is has
