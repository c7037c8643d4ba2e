"""The proxies in this computer's settings. The parsers are pure and work on any system.

Environment variables take precedence over the system's settings, as in common programs. A PAC file (a script that
chooses the proxy for each URL) is reported, but not evaluated.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TIMEOUT_S: Final = 5.0
_GSETTINGS: Final = ("list-recursively", "org.gnome.system.proxy")
_INTERNET_SETTINGS: Final = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProxies:
    """Proxy settings as written in the system, not validated."""

    http: str = ""
    """URL, or "host:port"."""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    """Exceptions in the system's own syntax: "*.local", "169.254/16", "<local>"."""
    pac: str = ""
    """URL of the PAC file in use; "automatic" when the system discovers one."""
    source: str = ""
    """Where the settings come from, to follow "from": "the environment", "GNOME's settings"; "" when there are none."""


def from_environment() -> SystemProxies | None:
    """Settings from http_proxy, https_proxy, all_proxy and no_proxy; None when no proxy is set."""
    variables = urllib.request.getproxies_environment()
    everything = variables.get("all", "")
    http, https = variables.get("http", everything), variables.get("https", everything)
    if not http and not https:
        return None
    return SystemProxies(http=http, https=https, no_proxy=_words(variables.get("no", "")), source="the environment")


def from_gnome() -> SystemProxies:
    """Settings of GNOME; empty on other desktops."""
    program = shutil.which("gsettings")
    return parse_gsettings(_output(program, *_GSETTINGS)) if program is not None else SystemProxies()


def from_macos() -> SystemProxies:
    """Settings of the active network on macOS."""
    return parse_scutil(_output("/usr/sbin/scutil", "--proxy"))


def from_windows() -> SystemProxies:
    """The user's Internet settings on Windows."""
    import winreg  # only there

    values: dict[str, object] = {}
    # Type checkers know these names only on Windows.
    open_key, query = getattr(winreg, "OpenKey"), getattr(winreg, "QueryValueEx")  # noqa: B009
    try:
        with open_key(getattr(winreg, "HKEY_CURRENT_USER"), _INTERNET_SETTINGS) as key:  # noqa: B009
            for name in ("ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL"):
                try:
                    values[name] = query(key, name)[0]
                except FileNotFoundError:
                    continue
    except OSError:
        return SystemProxies()
    return parse_internet_settings(values)


def parse_gsettings(text: str) -> SystemProxies:
    """Parse the output of `gsettings list-recursively org.gnome.system.proxy`."""
    values: dict[tuple[str, str], object] = {}
    for line in text.splitlines():
        schema, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        try:
            part = schema.removeprefix("org.gnome.system.proxy").lstrip(".")
            values[part, name] = ast.literal_eval(re.sub(r"^@\w+ ", "", value).replace("true", "True"))
        except (ValueError, SyntaxError):
            continue  # "false", and values that are not used below
    mode = values.get(("", "mode"))
    source = "GNOME's settings"
    if mode == "auto":
        return SystemProxies(pac=str(values.get(("", "autoconfig-url")) or "automatic"), source=source)
    if mode != "manual":
        return SystemProxies()

    def server(kind: str) -> str:
        host, port = values.get((kind, "host")), values.get((kind, "port"))
        return _address(host, port, "socks5://" if kind == "socks" else "")

    http = server("http")
    if http and values.get(("http", "use-authentication")) is True:
        user = urllib.parse.quote(str(values.get(("http", "authentication-user")) or ""), safe="")
        password = urllib.parse.quote(str(values.get(("http", "authentication-password")) or ""), safe="")
        http = f"http://{user}:{password}@{http}"
    socks = server("socks")
    ignored = values.get(("", "ignore-hosts"))
    bypass = tuple(str(one) for one in ignored) if isinstance(ignored, list) else ()
    result = SystemProxies(http=http or socks, https=server("https") or socks, no_proxy=bypass, source=source)
    return result if result.http or result.https else SystemProxies()


def parse_scutil(text: str) -> SystemProxies:
    """Parse the output of `scutil --proxy`."""
    values = dict(re.findall(r"^\s+(\w+) : (.*\S)\s*$", text, re.MULTILINE))
    exceptions = re.search(r"ExceptionsList : <array> \{(.*?)\}", text, re.DOTALL)
    bypass = tuple(re.findall(r"^\s+\d+ : (\S+)", exceptions[1], re.MULTILINE)) if exceptions else ()

    def server(kind: str, scheme: str = "") -> str:
        if values.get(f"{kind}Enable") != "1":
            return ""
        return _address(values.get(f"{kind}Proxy"), values.get(f"{kind}Port"), scheme)

    socks = server("SOCKS", "socks5://")
    pac = ""
    if values.get("ProxyAutoConfigEnable") == "1":
        pac = values.get("ProxyAutoConfigURLString", "automatic")
    elif values.get("ProxyAutoDiscoveryEnable") == "1":
        pac = "automatic"
    http, https = server("HTTP") or socks, server("HTTPS") or socks
    if not (http or https or pac):
        return SystemProxies()
    return SystemProxies(http=http, https=https, no_proxy=bypass, pac=pac, source="the system's network settings")


def parse_internet_settings(values: Mapping[str, object]) -> SystemProxies:
    """Read registry values. ProxyServer is "host:port", or "http=host:port;https=host:port;socks=..."."""
    pac = str(values.get("AutoConfigURL") or "")
    server = str(values.get("ProxyServer") or "") if values.get("ProxyEnable") == 1 else ""
    parts = dict(part.strip().split("=", 1) for part in server.split(";") if "=" in part)
    if "=" not in server:
        parts = dict.fromkeys(("http", "https"), server)
    socks = parts.get("socks", "")
    if socks and "://" not in socks:
        socks = f"socks5://{socks}"
    http, https = parts.get("http", socks), parts.get("https", socks)
    if not (http or https or pac):
        return SystemProxies()
    bypass = tuple(part for part in str(values.get("ProxyOverride") or "").split(";") if part)
    return SystemProxies(http=http, https=https, no_proxy=bypass, pac=pac, source="Windows' Internet settings")


def _address(host: object, port: object, scheme: str) -> str:
    if not host or str(port or "0") == "0":
        return ""
    name = f"[{host}]" if ":" in str(host) and not str(host).startswith("[") else str(host)
    return f"{scheme}{name}:{port}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,;\s]+", text) if word)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""  # settings that cannot be queried count as empty
    return done.stdout if done.returncode == 0 else ""
