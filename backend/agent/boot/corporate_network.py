"""Proxies and certificate authorities of a corporate network, turned into input files for the guest.

    environment             NAME=value lines for dockerd (and BuildKit in it), which pulls and pushes
    ca-certificates         PEM of this computer's authorities that are not in the image
    registry-certificates   tar of docker's certs.d
    container-environment   for containers and build steps, if enabled: a JSON string "NAME=value" per line
    container-authorities   present if containers trust those authorities, too

`examine` reads this computer's settings and writes nothing. `save_record` saves what a machine was started with,
without passwords, so that later changes on this computer are detected and the doctor can show what is in use.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from backend.files import write_private
from backend.host.base import Host
from backend.host.proxies import SystemProxies
from backend.messages import Message
from backend.net import certificates, proxies, registry_certificates
from backend.settings.config import NetworkSection
from backend.vm.spec import UserNetwork

AUTHORITIES_PATH: Final = "/dev/.wherry/authorities.crt"
"""Path in containers, where the guest's runtime/amend.awk mounts the file."""
_AUTHORITY_VARIABLES: Final = (
    "SSL_CERT_FILE",  # OpenSSL, and with it Python, Ruby, Rust; Go
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
)
INPUTS: Final = (
    "environment",
    "ca-certificates",
    "registry-certificates",
    "container-environment",
    "container-authorities",
)
_MAX_NAMES: Final = 200


class CorporateNetworkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Proxies and authorities that a machine was started with. Holds no password."""

    http: str = ""
    """A proxy's URL without user and password."""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    """From the user's settings; the machine's own networks are added for the guest."""
    proxies_from: str = ""
    proxies_in_containers: bool = False
    authorities: tuple[str, ...] = ()
    """Names of the authorities that the image does not have."""
    known_authorities: int = 0
    authorities_from: tuple[str, ...] = ()
    authorities_in_containers: bool = False
    registries: tuple[str, ...] = ()
    """Registries with certificates of their own."""
    proxy_notes: tuple[Message, ...] = ()
    """Settings that cannot be used, each with the reason."""
    certificate_notes: tuple[Message, ...] = ()
    proxies_digest: str = ""
    """Differs if the guest would get other proxies."""
    certificates_digest: str = ""


class CorporateNetworkInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The record, and the content of the input files."""

    contents: dict[str, bytes]
    """By the name of the file; without empty ones."""
    record: CorporateNetworkRecord


def examine(
    section: NetworkSection,
    host: Host,
    *,
    options: Mapping[str, object],
    network: UserNetwork,
    known: Collection[str],
) -> CorporateNetworkInputs:
    """Read the proxies and authorities of this computer. Blocks for up to seconds, because it runs programs.

    Args:
        section: the user's settings.
        options: the final options for dockerd.
        network: the network between host and guest.
        known: fingerprints of the authorities in the image.

    Raises:
        WherryError: BAD_REQUEST, a proxy in the settings is invalid.
    """
    system = host.system_proxies() if section.proxy == "system" else SystemProxies()
    chosen = proxies.choose(section, system)
    pools = proxies.pools(options)
    environment = proxies.environment(chosen, network, pools)
    effective = proxies.with_engine_options(chosen, options)
    trusted = certificates.Authorities()
    registries = registry_certificates.RegistryCertificates()
    if section.certificates == "system":
        trusted = certificates.choose(host.system_certificates(), known=known, now=time.time())
        registries = registry_certificates.collect(registry_certificates.directories())
    for_containers = proxies.environment(effective, network, pools) if section.proxy_in_containers else {}
    in_containers = section.certificates_in_containers and bool(trusted.chosen)
    if in_containers:
        for_containers |= dict.fromkeys(_AUTHORITY_VARIABLES, AUTHORITIES_PATH)
    contents = {
        "environment": _lines(f"{name}={value}" for name, value in environment.items()),
        "ca-certificates": trusted.pem.encode(),
        "registry-certificates": registries.tar,
        "container-environment": _lines(json.dumps(f"{name}={value}") for name, value in for_containers.items()),
        "container-authorities": b"1\n" if in_containers else b"",
    }
    record = CorporateNetworkRecord(
        http=proxies.masked(effective.http) if effective.any else "",
        https=proxies.masked(effective.https) if effective.any else "",
        no_proxy=effective.no_proxy,
        proxies_from=effective.source,
        proxies_in_containers=section.proxy_in_containers and effective.any,
        authorities=tuple(one.name for one in trusted.chosen[:_MAX_NAMES]),
        known_authorities=trusted.known,
        authorities_from=trusted.places,
        authorities_in_containers=in_containers,
        registries=registries.hosts,
        proxy_notes=chosen.notes,
        certificate_notes=(*trusted.notes, *registries.notes),
        proxies_digest=_digest(contents["environment"], _lines(for_containers)),
        certificates_digest=_digest(trusted.digest.encode(), registries.tar),
    )
    return CorporateNetworkInputs(contents={name: one for name, one in contents.items() if one}, record=record)


def save_record(path: Path, record: CorporateNetworkRecord) -> None:
    """Save the record durably. Raises OSError."""
    write_private(path, msgspec.json.encode(record))


def load_record(path: Path) -> CorporateNetworkRecord | None:
    """What the machine was started with last; None if that was not saved."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=CorporateNetworkRecord)
    except (OSError, msgspec.DecodeError):
        return None


def _lines(texts: Iterable[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
