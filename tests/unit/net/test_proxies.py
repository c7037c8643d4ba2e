"""Proxies: found as each system keeps them, chosen by the settings, written for the guest, shown without passwords."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import WherryError
from backend.host import proxies as found_in
from backend.host.proxies import SystemProxies
from backend.net import proxies
from backend.net.proxies import Proxies
from backend.settings.config import NetworkSection
from backend.settings.proxy_syntax import check_setting, proxy_error
from backend.vm.spec import UserNetwork

NETWORK = UserNetwork(net=IPv4Network("10.7.8.0/24"))

GNOME = """\
org.gnome.system.proxy autoconfig-url 'http://wpad/proxy.pac'
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1', '*.corp.test']
org.gnome.system.proxy mode '{mode}'
org.gnome.system.proxy use-same-proxy true
org.gnome.system.proxy.ftp host ''
org.gnome.system.proxy.ftp port 0
org.gnome.system.proxy.http authentication-password 'p@ss/word'
org.gnome.system.proxy.http authentication-user 'me'
org.gnome.system.proxy.http enabled false
org.gnome.system.proxy.http host 'proxy.corp.test'
org.gnome.system.proxy.http port 3128
org.gnome.system.proxy.http use-authentication {authentication}
org.gnome.system.proxy.https host ''
org.gnome.system.proxy.https port 0
org.gnome.system.proxy.socks host '{socks}'
org.gnome.system.proxy.socks port 1080
"""
SCUTIL = """\
<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
    1 : 169.254/16
  }
  ExcludeSimpleHostnames : 1
  FTPPassive : 1
  HTTPEnable : 1
  HTTPPort : 8080
  HTTPProxy : proxy.corp.test
  HTTPSEnable : 0
  HTTPSProxy : old.corp.test
  HTTPSPort : 8443
  ProxyAutoConfigEnable : 1
  ProxyAutoConfigURLString : http://wpad/proxy.pac
}
"""


def test_the_environment_goes_first_and_lower_case_before_upper(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert found_in.from_environment() is None
    monkeypatch.setenv("ALL_PROXY", "socks5://s:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://upper:1")
    monkeypatch.setenv("https_proxy", "http://lower:1")
    monkeypatch.setenv("no_proxy", "a, b c;d")
    settings = found_in.from_environment()
    assert settings == SystemProxies(
        http="socks5://s:1", https="http://lower:1", no_proxy=("a", "b", "c", "d"), source="the environment"
    )


def test_gnome() -> None:
    plain = found_in.parse_gsettings(GNOME.format(mode="manual", authentication="false", socks=""))
    assert (plain.http, plain.https) == ("proxy.corp.test:3128", "")
    assert plain.no_proxy == ("localhost", "127.0.0.0/8", "::1", "*.corp.test")
    known = found_in.parse_gsettings(GNOME.format(mode="manual", authentication="true", socks="s"))
    assert known.http == "http://me:p%40ss%2Fword@proxy.corp.test:3128"
    assert known.https == "socks5://s:1080"
    script = found_in.parse_gsettings(GNOME.format(mode="auto", authentication="false", socks=""))
    assert (script.http, script.pac) == ("", "http://wpad/proxy.pac")
    assert found_in.parse_gsettings(GNOME.format(mode="none", authentication="false", socks="")) == SystemProxies()
    assert found_in.parse_gsettings("No schemas installed\n") == SystemProxies()


def test_macos() -> None:
    settings = found_in.parse_scutil(SCUTIL)
    assert (settings.http, settings.https, settings.pac) == ("proxy.corp.test:8080", "", "http://wpad/proxy.pac")
    assert settings.no_proxy == ("*.local", "169.254/16")
    assert found_in.parse_scutil("<dictionary> {\n  FTPPassive : 1\n}\n") == SystemProxies()


@pytest.mark.parametrize(
    ("values", "http", "https"),
    [
        ({"ProxyEnable": 1, "ProxyServer": "p:8080"}, "p:8080", "p:8080"),
        ({"ProxyEnable": 1, "ProxyServer": "http=p:80;https=q:81"}, "p:80", "q:81"),
        ({"ProxyEnable": 1, "ProxyServer": "socks=s:1080"}, "socks5://s:1080", "socks5://s:1080"),
        ({"ProxyEnable": 0, "ProxyServer": "p:8080"}, "", ""),
        ({}, "", ""),
    ],
)
def test_windows(values: dict[str, object], http: str, https: str) -> None:
    settings = found_in.parse_internet_settings({**values, "ProxyOverride": "<local>;*.corp.test;10.*"})
    assert (settings.http, settings.https) == (http, https)
    if http:
        assert settings.no_proxy == ("<local>", "*.corp.test", "10.*")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("localhost", "localhost"),
        ("*.corp.test", ".corp.test"),
        (".corp.test", ".corp.test"),
        ("*corp.test", "corp.test"),
        ("https://corp.test/", "corp.test"),
        ("corp.test:8443", "corp.test:8443"),
        ("169.254/16", "169.254.0.0/16"),
        ("10/8", "10.0.0.0/8"),
        ("192.168.*", "192.168.0.0/16"),
        ("10.*.*.*", "10.0.0.0/8"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("fd00::/8", "fd00::/8"),
        ("[::1]", "::1"),
        ("*", "*"),
    ],
)
def test_exceptions_are_written_as_http_clients_read_them(written: str, read: str) -> None:
    assert proxies.bypass_entries([written]) == ((read,), ())


def test_exceptions_in_lists_and_those_that_have_no_form() -> None:
    entries, unclear = proxies.bypass_entries(["<local>;a|b, c", "a 10.0.0.1-10.0.0.9/x pro*y"])
    assert entries == ("a", "b", "c")
    assert unclear == ("10.0.0.1-10.0.0.9/x", "pro*y")


@given(st.text(max_size=60))
def test_no_exception_makes_two_entries_or_a_line(text: str) -> None:
    entries, _ = proxies.bypass_entries([text])
    assert all(entry.isprintable() and "," not in entry and entry for entry in entries)


def test_the_guest_reaches_a_proxy_on_this_computers_loopback_by_its_gateway() -> None:
    for name in ("127.0.0.1", "localhost", "127.8.8.8", "0.0.0.0", "[::1]", "LOCALHOST"):
        assert proxies.for_guest(f"http://u:p%40@{name}:3128/", NETWORK.gateway) == "http://u:p%40@10.7.8.2:3128/"
    assert proxies.for_guest("socks5://localhost", "10.0.2.2") == "socks5://10.0.2.2"
    for url in ("http://proxy:3128", "http://192.0.2.1", ""):
        assert proxies.for_guest(url, NETWORK.gateway) == url


def test_what_the_guest_is_given() -> None:
    settings = NetworkSection(
        proxy="manual", http_proxy="localhost:3128", https_proxy="http://proxy:1", no_proxy="*.corp.test"
    )
    chosen = proxies.choose(settings, SystemProxies(http="not:1"))
    values = proxies.environment(chosen, NETWORK, proxies.pools({}))
    assert set(values) == {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
    assert values["http_proxy"] == "http://10.7.8.2:3128"
    assert values["HTTPS_PROXY"] == "http://proxy:1"
    assert values["NO_PROXY"].split(",") == [
        *("localhost", "127.0.0.0/8", "::1", "host.docker.internal", "gateway.docker.internal"),
        *("10.7.8.0/24", "172.16.0.0/12", "192.168.0.0/16", ".corp.test"),
    ]
    assert proxies.environment(Proxies(http="http://p:1", no_proxy=("*",)), NETWORK, ()) == {}
    assert proxies.environment(Proxies(no_proxy=("a",)), NETWORK, ()) == {}
    only = proxies.environment(Proxies(https="http://p:1"), NETWORK, ())
    assert set(only) == {"HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy"}


def test_pools_follow_the_engines_options() -> None:
    options = {"default-address-pools": [{"base": "10.200.0.0/16", "size": 24}, "?"], "bip": "10.99.0.1/24"}
    assert proxies.pools(options) == ("10.200.0.0/16", "10.99.0.0/24")
    assert proxies.pools({"bip": "nonsense"}) == proxies.DEFAULT_POOLS


def test_the_systems_proxies_are_used_as_far_as_they_can_be() -> None:
    system = SystemProxies(http="p:1", https="ftp://p", no_proxy=("a*b",), pac="http://u:pw@wpad/x.pac", source="it")
    chosen = proxies.choose(NetworkSection(), system)
    assert (chosen.http, chosen.https, chosen.source) == ("http://p:1", "", "it")
    notes = " ".join(str(one) for one in chosen.notes)
    assert "not “ftp”" in notes
    assert "a*b" in notes
    assert "PAC file is set in it: http://[hidden]@wpad/x.pac" in notes
    assert "pw" not in notes
    assert proxies.choose(NetworkSection(proxy="none"), system).any is False


@pytest.mark.parametrize(
    "url", ["http://", "ftp://p:1", "p:99999", "p p:1", "http://p:0", "http://p:1\nX=1", "http://[::1"]
)
def test_a_proxy_in_the_settings_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(WherryError) as caught:
        proxies.choose(NetworkSection(proxy="manual", https_proxy=url), SystemProxies())
    assert "network.https_proxy" in str(caught.value.problem.summary)
    with pytest.raises(WherryError) as caught:
        check_setting("network.http_proxy", "http://user:s3cr3t@host:port")
    assert "s3cr3t" not in caught.value.problem.as_text()


@pytest.mark.parametrize("url", ["p:1", "http://p", "https://u:p@h:1/", "socks5://[fd00::1]:1080"])
def test_proxies_that_can_be_used(url: str) -> None:
    assert proxy_error(url) is None


def test_daemon_json_goes_before_what_was_found() -> None:
    settings = Proxies(http="http://a:1", https="http://b:1", no_proxy=("x",), source="the environment")
    own: dict[str, Any] = {"proxies": {"https-proxy": "http://mine:1", "no-proxy": "*.y"}}
    both = proxies.with_engine_options(settings, own)
    assert (both.http, both.https, both.no_proxy) == ("http://a:1", "http://mine:1", (".y",))
    assert both.source == "daemon.json and the environment"
    assert proxies.with_engine_options(settings, {}) is settings
    assert proxies.with_engine_options(Proxies(), own).source == "daemon.json"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@h:1/", "http://[hidden]@h:1/"),
        ("u:p@h:1", "[hidden]@h:1"),
        ("http://u:p@ss@h", "http://[hidden]@h"),
        ("http://u:a/b@h", "http://[hidden]@h"),
        ("http://h:1", "http://h:1"),
        ("", ""),
    ],
)
def test_what_is_shown_has_no_password(url: str, shown: str) -> None:
    assert proxies.masked(url) == shown


def test_what_of_a_proxy_is_secret() -> None:
    assert proxies.secrets_of("http://u:p@ss@h:1") == ["u:p@ss", "p@ss"]
    assert proxies.secrets_of("u:pw@h") == ["u:pw", "pw"]
    assert proxies.secrets_of("http://h") == []
