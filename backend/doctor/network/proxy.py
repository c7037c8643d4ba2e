"""Which proxy a connection goes by, decided as the engine does (Go's httpproxy package). Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy."""

    scheme: str
    host: str
    port: int
    authorization: str = ""
    """Value of Proxy-Authorization; MUST NOT be shown."""

    def __str__(self) -> str:
        """Without user and password."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """What one side uses."""

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    source: str = ""
    """Where they come from, for the user: "the settings"."""

    def choose(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for a connection; None: it goes directly.

        Raises:
            ValueError: the proxy's address cannot be read.
        """
        url = self.https if scheme == "https" else self.http
        if not url or _goes_directly(host, port, self.no_proxy):
            return None
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if not parts.hostname:
            raise ValueError("it names no host")
        authorization = ""
        if parts.username is not None:
            account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(account.encode()).decode()
        default = {"https": 443, "socks5": 1080, "socks5h": 1080}.get(parts.scheme, 80)
        return Proxy(scheme=parts.scheme, host=parts.hostname, port=parts.port or default, authorization=authorization)


def _goes_directly(host: str, port: int, no_proxy: tuple[str, ...]) -> bool:
    host = host.lower().rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry.lower(), host, port, address) for entry in no_proxy)


def _matches(entry: str, host: str, port: int, address: object) -> bool:
    if entry == "*":
        return True
    if address is not None and "/" in entry:
        try:
            return address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and ":" not in name.strip("[]"):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*")
    if address is not None:
        return entry == host
    # ".domain" means what is below it, "domain" the domain itself too.
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
