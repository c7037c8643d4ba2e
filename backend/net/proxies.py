"""Which proxies the engine, builds and containers use: chosen, checked, and written as the guest needs them. Pure.

A proxy on this computer's loopback is the gateway for the guest, and what must never go by a proxy (the engine's own
networks, this computer) is always in NO_PROXY. User names and passwords are part of a proxy's URL: `masked` takes them
out of everything that is shown.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backend.host.proxies import SystemProxies
from backend.settings.proxy_syntax import check_setting, with_scheme, wrong_with

if TYPE_CHECKING:
    from backend.settings.config import NetworkSection
    from backend.vm.spec import UserNetwork

_ALWAYS_DIRECT: Final = ("localhost", "127.0.0.0/8", "::1", "host.docker.internal", "gateway.docker.internal")
DEFAULT_POOLS: Final = ("172.16.0.0/12", "192.168.0.0/16")
"""Where the engine's own networks are, unless its options say otherwise."""
_HIDDEN: Final = "[hidden]"
_SHORT_CIDR: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})/(\d{1,2})")
_STAR_ADDRESS: Final = re.compile(r"((?:\d{1,3}\.){1,3})\*(?:\.\*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """What is in force."""

    http: str = ""
    """URL with its scheme; "" for none."""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    """As HTTP clients read it: names, ".domain" for all below it, addresses, CIDRs, "*"."""
    source: str = ""
    """Where they come from: "the settings", "the environment"."""
    notes: tuple[str, ...] = ()
    """What could not be used of what was found, and why, in sentences."""
    pac: str = ""
    """A PAC file that the system has, and that cannot be followed."""

    @property
    def any(self) -> bool:
        """Whether anything goes by a proxy."""
        return bool(self.http or self.https) and "*" not in self.no_proxy


def choose(network: NetworkSection, system: SystemProxies) -> Proxies:
    """What the settings ask for.

    Raises:
        WherryError: BAD_REQUEST, for a proxy in the settings that is none.
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
        wrong = wrong_with(url) if url else None
        if wrong is not None:
            notes.append(f"The proxy for {key} in {system.source} is not used: {wrong}.")
        usable[key] = with_scheme(url) if wrong is None else ""
    if system.pac:
        where = "looks for a PAC file by itself" if system.pac == "automatic" else f"names a PAC file ({_pac(system)})"
        notes.append(
            f"{system.source[:1].upper()}{system.source[1:]} {where}, a script that names the proxy for each address; "
            "Wherry cannot follow one. Where a proxy is needed, name it: wherry config set network.proxy manual, and "
            "network.http_proxy and network.https_proxy"
        )
    return Proxies(
        http=usable["http"],
        https=usable["https"],
        no_proxy=bypass,
        source=system.source,
        notes=tuple(notes),
        pac=system.pac,
    )


def with_engine_options(proxies: Proxies, options: Mapping[str, Any]) -> Proxies:
    """The same, where the user's daemon.json has proxies of its own: dockerd lets each of those go first."""
    own = options.get("proxies")
    if not isinstance(own, Mapping):
        return proxies
    said = {key: str(value) for key, value in own.items() if isinstance(value, str) and value}
    if not said.keys() & {"http-proxy", "https-proxy", "no-proxy"}:
        return proxies
    bypass, _ = bypass_entries([said["no-proxy"]]) if "no-proxy" in said else (proxies.no_proxy, ())
    return replace(
        proxies,
        http=said.get("http-proxy", proxies.http),
        https=said.get("https-proxy", proxies.https),
        no_proxy=bypass,
        source="daemon.json" if not proxies.any else f"daemon.json and {proxies.source}",
    )


def pools(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The networks that the engine makes for containers, by its options."""
    listed = [pool.get("base") for pool in options.get("default-address-pools") or () if isinstance(pool, Mapping)]
    named = [*(listed or DEFAULT_POOLS), options.get("bip"), options.get("fixed-cidr")]
    found = []
    for text in named:
        try:
            found.append(str(ipaddress.ip_network(str(text), strict=False)))
        except ValueError:
            continue  # not set, or dockerd will say so
    return tuple(dict.fromkeys(found))


def environment(proxies: Proxies, network: UserNetwork, engine_pools: Sequence[str]) -> dict[str, str]:
    """The variables for a program in the guest, in both ways of writing their names; empty when all goes directly."""
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
    """The proxy's URL as the guest reaches it: this computer's loopback is the gateway there."""
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
    """The URL without user and password: "http://[hidden]@proxy:3128"."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{_HIDDEN if at else ''}{at}{place}"


def secrets_of(url: str) -> list[str]:
    """What of a proxy must not be shown anywhere: "user:password", and the password alone."""
    rest = url.partition("://")[2] or url
    account, at, _ = rest.rpartition("@")
    return [account, account.partition(":")[2]] if at else []


def bypass_entries(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(entries as HTTP clients take them, those that have no such form), from any system's way of writing."""
    entries: dict[str, None] = {}
    unclear: list[str] = []
    for text in texts:
        for word in re.split(r"[,;|\s]+", text):
            if not word or word.lower() in ("<local>", "<-loopback>"):
                continue  # names without a dot are looked up by the guest, which finds none of the host's
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


def _unclear_notes(unclear: Sequence[str]) -> tuple[str, ...]:
    if not unclear:
        return ()
    return (f"Exceptions from the proxy that cannot be written for programs in the machine: {', '.join(unclear)}.",)
