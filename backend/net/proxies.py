"""The proxies for the engine, builds and containers: selection, validation, and conversion for the guest. Pure.

A proxy on this computer's loopback becomes the gateway for the guest, and addresses that must never use a proxy (the
engine's networks, this computer) are always in NO_PROXY. A proxy's URL may contain user name and password: `masked`
removes them from everything that is shown.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from backend.host.proxies import SystemProxies
from backend.messages import Message, message, sentences
from backend.settings.proxy_syntax import check_setting, proxy_error, with_scheme

if TYPE_CHECKING:
    from backend.settings.config import NetworkSection
    from backend.vm.spec import UserNetwork

_ALWAYS_DIRECT: Final = ("localhost", "127.0.0.0/8", "::1", "host.docker.internal", "gateway.docker.internal")
DEFAULT_POOLS: Final = ("172.16.0.0/12", "192.168.0.0/16")
"""Address ranges of the engine's networks, unless its options set others."""
_HIDDEN: Final = "[hidden]"
_SHORT_CIDR: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})/(\d{1,2})")
_STAR_ADDRESS: Final = re.compile(r"((?:\d{1,3}\.){1,3})\*(?:\.\*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxies in use."""

    http: str = ""
    """URL with its scheme; "" for none."""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    """Exceptions in the syntax of HTTP clients: names, ".domain" for all names below it, addresses, CIDRs, "*"."""
    source: str = ""
    """Where they come from: "the settings", "the environment"."""
    notes: tuple[Message, ...] = ()
    """Settings that could not be used, and why, as sentences."""
    pac: str = ""
    """URL of the system's PAC file, which is not supported; "" for none."""

    @property
    def any(self) -> bool:
        """Whether any proxy is set."""
        return bool(self.http or self.https) and "*" not in self.no_proxy


def choose(network: NetworkSection, system: SystemProxies) -> Proxies:
    """Select the proxies from the settings and the system.

    Raises:
        WherryError: BAD_REQUEST, an invalid proxy in the settings.
    """
    if network.proxy == "none":
        return Proxies(source="the settings, which turn them off")
    if network.proxy == "manual":
        for key in ("http_proxy", "https_proxy"):
            check_setting(f"network.{key}", getattr(network, key))
        bypass, unclear = bypass_entries([network.no_proxy])
        return Proxies(
            http=with_scheme(network.http_proxy),
            https=with_scheme(network.https_proxy),
            no_proxy=bypass,
            source="the settings",
            notes=_unclear_notes(unclear),
        )
    bypass, unclear = bypass_entries(system.no_proxy)
    notes = list(_unclear_notes(unclear))
    usable = {}
    for key, url in (("http", system.http), ("https", system.https)):
        wrong = proxy_error(url) if url else None
        if wrong is not None:
            notes.append(
                message(
                    "The {key} proxy from {source} isn't used. {reason}", key=key, source=system.source, reason=wrong
                )
            )
        usable[key] = with_scheme(url) if wrong is None else ""
    if system.pac:
        found = (
            message("Automatic proxy discovery is set in {source}.", source=system.source)
            if system.pac == "automatic"
            else message("A PAC file is set in {source}: {file}.", source=system.source, file=_pac(system))
        )
        unsupported = message(
            "Wherry doesn't support PAC files. If a proxy is needed, set network.proxy to manual, and set "
            "network.http_proxy and network.https_proxy."
        )
        notes.append(sentences(found, unsupported))
    return Proxies(
        http=usable["http"],
        https=usable["https"],
        no_proxy=bypass,
        source=system.source,
        notes=tuple(notes),
        pac=system.pac,
    )


def with_engine_options(proxies: Proxies, options: Mapping[str, object]) -> Proxies:
    """Apply the proxies in the user's daemon.json, which take precedence for dockerd."""
    own = options.get("proxies")
    if not isinstance(own, Mapping):
        return proxies
    configured = {key: str(value) for key, value in own.items() if isinstance(value, str) and value}
    if not configured.keys() & {"http-proxy", "https-proxy", "no-proxy"}:
        return proxies
    bypass, _ = bypass_entries([configured["no-proxy"]]) if "no-proxy" in configured else (proxies.no_proxy, ())
    return replace(
        proxies,
        http=configured.get("http-proxy", proxies.http),
        https=configured.get("https-proxy", proxies.https),
        no_proxy=bypass,
        source="daemon.json" if not proxies.any else f"daemon.json and {proxies.source}",
    )


def pools(options: Mapping[str, object]) -> tuple[str, ...]:
    """The address ranges of container networks, according to the engine's options."""
    own = options.get("default-address-pools")
    listed = [pool.get("base") for pool in (own if isinstance(own, list) else ()) if isinstance(pool, Mapping)]
    candidates = [*(listed or DEFAULT_POOLS), options.get("bip"), options.get("fixed-cidr")]
    networks = []
    for text in candidates:
        try:
            networks.append(str(ipaddress.ip_network(str(text), strict=False)))
        except ValueError:
            continue  # not set, or invalid, which dockerd reports
    return tuple(dict.fromkeys(networks))


def environment(proxies: Proxies, network: UserNetwork, engine_pools: Sequence[str]) -> dict[str, str]:
    """The environment variables for programs in the guest, in upper and lower case; empty without a proxy."""
    if not proxies.any:
        return {}
    direct = dict.fromkeys([*_ALWAYS_DIRECT, str(network.net), *engine_pools, *proxies.no_proxy])
    values = {
        "HTTP_PROXY": for_guest(proxies.http, network.gateway),
        "HTTPS_PROXY": for_guest(proxies.https, network.gateway),
        "NO_PROXY": ",".join(direct),
    }
    chosen = {name: value for name, value in values.items() if value}
    return chosen | {name.lower(): value for name, value in chosen.items()}


def for_guest(url: str, gateway: str) -> str:
    """A proxy's URL as seen from the guest: this computer's loopback becomes the gateway."""
    if not url:
        return ""
    parts = urlsplit(url)
    name = (parts.hostname or "").rstrip(".")
    if not (name == "localhost" or name.endswith(".localhost") or _is_own_address(name)):
        return url
    user, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port is not None else ""
    return parts._replace(netloc=f"{user}{at}{gateway}{port}").geturl()


def masked(url: str) -> str:
    """The URL with user and password hidden: "http://[hidden]@proxy:3128"."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{_HIDDEN if at else ''}{at}{place}"


def secrets_of(url: str) -> list[str]:
    """The secrets in a proxy's URL: "user:password", and the password alone."""
    rest = url.partition("://")[2] or url
    account, at, _ = rest.rpartition("@")
    return [account, account.partition(":")[2]] if at else []


def bypass_entries(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Convert exceptions from any system's syntax. Returns (entries for HTTP clients, entries without equivalent)."""
    entries: dict[str, None] = {}
    unclear: list[str] = []
    for text in texts:
        for word in re.split(r"[,;|\s]+", text):
            if not word or word.lower() in ("<local>", "<-loopback>"):
                continue  # names without a dot are resolved in the guest, which does not know the host's
            entry = _bypass_entry(word)
            if entry is None:
                unclear.append(word)
            else:
                entries[entry] = None
    return tuple(entries), tuple(unclear)


def _bypass_entry(word: str) -> str | None:
    word = re.sub(r"^[a-z]+://", "", word, flags=re.IGNORECASE).rstrip("/")
    if word == "*":
        return word
    if short := _SHORT_CIDR.fullmatch(word):
        word = f"{short[1]}{'.0' * (3 - short[1].count('.'))}/{short[2]}"
    if star := _STAR_ADDRESS.fullmatch(word):
        count = star[1].count(".")
        word = f"{star[1].rstrip('.')}{'.0' * (4 - count)}/{count * 8}"
    if word.startswith("*"):
        word = word.lstrip("*")
    try:
        return str(ipaddress.ip_network(word, strict=False)) if "/" in word else _plain_host(word)
    except ValueError:
        return None


def _plain_host(word: str) -> str:
    if "*" in word or not word.strip(".") or any(not character.isprintable() for character in word):
        raise ValueError(word)
    if word.startswith("[") and word.endswith("]"):
        return str(ipaddress.ip_address(word[1:-1]))
    return word


def _is_own_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _pac(system: SystemProxies) -> str:
    return masked(system.pac)[:200]


def _unclear_notes(unclear: Sequence[str]) -> tuple[Message, ...]:
    if not unclear:
        return ()
    return (message("Some proxy exceptions can't be used in the machine: {names}.", names=tuple(unclear)),)
