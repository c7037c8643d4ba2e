"""The name of an image as docker reads it: which registry is asked for what. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.messages import message

HUB: Final = "docker.io"
HUB_API: Final = "registry-1.docker.io"
_HUB_NAMES: Final = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_DOMAIN: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """One image of one registry."""

    domain: str
    """As in the image's full name, with its port: "docker.io", "localhost:5000", "[::1]:5000"."""
    repository: str
    """With `library/` where docker puts it."""
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """The full name."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.domain}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def is_hub(self) -> bool:
        """Whether it is Docker Hub's."""
        return self.domain == HUB

    @property
    def api_domain(self) -> str:
        """Who answers for it: Docker Hub's API has another name."""
        return HUB_API if self.is_hub else self.domain

    @property
    def host(self) -> str:
        """Name or address of the registry, without brackets and port."""
        return split_domain(self.api_domain)[0]

    @property
    def port(self) -> int | None:
        """None: where the scheme's own port is meant."""
        return split_domain(self.api_domain)[1]

    @property
    def manifest(self) -> str:
        """What the registry is asked for: the digest wins over the tag."""
        return self.digest or self.tag

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is named as the computer that one is on: for the engine that is the machine."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or address means the very computer that resolves it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_domain(domain: str) -> tuple[str, int | None]:
    """ "[::1]:5000" -> ("::1", 5000)."""
    host, _, port = domain.rpartition(":") if re.search(r":[0-9]+\Z", domain) else (domain, "", "")
    return host.strip("[]"), int(port) if port else None


def parse_reference(text: str) -> ImageReference:
    """Read what a user writes after `docker pull`.

    Raises:
        Unreached: it is no name of an image, with what is wrong.
    """
    text = text.strip()
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise Unreached(
            message("“{digest}” isn't a valid digest.", digest=_shown(digest)),
            message("A digest is sha256: followed by 64 hexadecimal digits."),
        )
    first, slash, rest = name.partition("/")
    has_domain = bool(slash) and (bool(re.search(r"[.:\[]", first)) or first == "localhost" or first != first.lower())
    domain, name = (first, rest) if has_domain else (HUB, name)
    if not _DOMAIN.fullmatch(domain) or not 0 < (split_domain(domain)[1] or 1) < 65_536:
        raise Unreached(message("“{domain}” isn't a valid registry name.", domain=_shown(domain)))
    repository, colon, tag = name.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise Unreached(
            message("“{tag}” isn't a valid tag.", tag=_shown(tag)),
            message("A tag has at most 128 letters, digits, and the characters . _ -"),
        )
    if domain.lower() in _HUB_NAMES:
        domain = HUB
        repository = repository if "/" in repository else f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository):
        lower = name.partition(":")[0].lower()
        hint = message("Image names are lowercase: {lower}", lower=lower) if _REPOSITORY.fullmatch(lower) else None
        raise Unreached(message("“{value}” isn't a valid image name.", value=_shown(name.partition(":")[0])), hint)
    return ImageReference(domain=domain, repository=repository, tag=tag or ("" if digest else "latest"), digest=digest)


def is_insecure(domain: str, addresses: list[str], insecure: list[str]) -> bool:
    """Whether the engine may speak plain HTTP with a registry, or not check its certificate.

    Args:
        domain: with its port.
        addresses: what its name resolves to.
        insecure: `insecure-registries` of daemon.json: names with ports, and ranges.
    """
    host, _ = split_domain(domain)
    if domain in insecure or host == "localhost":
        return True
    for text in [host, *addresses]:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        for entry in (*insecure, *map(str, _LOOPBACK)):
            try:
                if address in ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def _shown(text: str) -> str:
    return clean_text(text, 100)
