"""Which proxies this computer is set to, as each system keeps them. Parsing is pure and works on any system.

Environment variables go before the system's settings, as in the programs that people know. Nothing here evaluates a
PAC file (a script that names the proxy of each URL): it is told that there is one.
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
    """As they are written there, not checked yet."""

    http: str = ""
    """URL, or "host:port"."""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    """In the system's own way of writing: "*.local", "169.254/16", "<local>"."""
    pac: str = ""
    """Address of a PAC file that would decide; "automatic" where the system looks for one."""
    source: str = ""
    """Where they were found, as in "from ...": "the environment", "GNOME's settings"; "" when there are none."""


def from_environment() -> SystemProxies | None:
    """http_proxy and its like; None when none is set."""
    found = urllib.request.getproxies_environment()
    everything = found.get("all", "")
    http, https = found.get("http", everything), found.get("https", everything)
    if not http and not https:
        return None
    return SystemProxies(http=http, https=https, no_proxy=_words(found.get("no", "")), source="the environment")


def from_gnome() -> SystemProxies:
    """What GNOME's settings say, on a desktop that has them."""
    program = shutil.which("gsettings")
    return parse_gsettings(_output(program, *_GSETTINGS)) if program is not None else SystemProxies()


def from_macos() -> SystemProxies:
    """What the network that is in use is set to."""
    return parse_scutil(_output("/usr/sbin/scutil", "--proxy"))


def from_windows() -> SystemProxies:
    """What the user's Internet settings say."""
    import winreg  # only there

    values: dict[str, object] = {}
    # Its names are known to type checkers on Windows alone.
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
    """The output of `gsettings list-recursively org.gnome.system.proxy`."""
    values: dict[tuple[str, str], object] = {}
    for line in text.splitlines():
        schema, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        try:
            part = schema.removeprefix("org.gnome.system.proxy").lstrip(".")
            values[part, name] = ast.literal_eval(re.sub(r"^@\w+ ", "", value).replace("true", "True"))
        except (ValueError, SyntaxError):
            continue  # "false" and whatever else is none of what is read below
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
    found = SystemProxies(http=http or socks, https=server("https") or socks, no_proxy=bypass, source=source)
    return found if found.http or found.https else SystemProxies()


def parse_scutil(text: str) -> SystemProxies:
    """The output of `scutil --proxy`."""
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
    """Values of the registry's key. ProxyServer is "host:port", or "http=host:port;https=host:port;socks=..."."""
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
        return ""  # a desktop whose settings do not answer has none to offer
    return done.stdout if done.returncode == 0 else ""
