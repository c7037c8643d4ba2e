"""The specification of a container: edited by the form, shown as `docker run`, sent to the engine.

container_spec  the value, and validation inspection      from an existing container, without what its image already
sets request         to the body of `POST /containers/create` command         to a `docker run` command

Text in a spec is verbatim, because it is sent back to the engine: sanitise it before showing it. Options without a
field are kept in the engine's form, so that a recreated container keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backend.engine.types import is_anonymous_volume

PROTOCOLS: Final = ("tcp", "udp", "sctp")
RESTART_POLICIES: Final = ("no", "on-failure", "unless-stopped", "always")
MOUNT_KINDS: Final = ("bind", "volume", "tmpfs")
LEAST_MEMORY_BYTES: Final = 6 * 1024 * 1024
"""The engine refuses less."""
COMPOSE_LABELS: Final = "com.docker.compose."
"""Prefix of Compose's internal labels."""

_CONTAINER_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_VOLUME_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_VARIABLE: Final = re.compile(r"[^=\x00\s]+")
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::\d+)?"
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@[a-zA-Z0-9+._-]+:[0-9a-fA-F]{{32,}})?", re.ASCII
)
_IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_WINDOWS_PATH: Final = re.compile(r"[a-zA-Z]:[\\/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """A published port."""

    container_port: int
    protocol: str = "tcp"
    host_port: int | None = None
    """None: the engine chooses a free port."""
    host_ip: str = ""
    """Empty: all addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """A bind mount, volume or tmpfs."""

    kind: str
    """One of MOUNT_KINDS, or another type known to the engine."""
    source: str
    """A path of the host, or a volume's name; empty for tmpfs and for a new anonymous volume."""
    target: str
    read_only: bool = False
    from_image: bool = False
    """Whether the image declares a volume there, which would be created anyway, but empty."""
    untrusted_options: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Further keys of the mount in the engine's form: BindOptions, VolumeOptions, TmpfsOptions."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it is a volume without a user-defined name."""
        return self.kind == "volume" and (not self.source or is_anonymous_volume(self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container's specification. Empty and None mean the default of the image or the engine."""

    image: str
    name: str = ""
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str | None], ...] = ()
    """Pairs of name and value; None removes a variable of the image."""
    ports: tuple[PortSpec, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    cpus: float | None = None
    memory_bytes: int | None = None
    restart_policy: str = "no"
    """One of RESTART_POLICIES, or "on-failure:5"."""
    network: str = ""
    """A network's name, "host", "none" or "container:NAME"; empty for the default bridge."""
    labels: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_directory: str = ""
    hostname: str = ""
    tty: bool = False
    stdin_open: bool = False
    privileged: bool = False
    auto_remove: bool = False
    read_only_root: bool = False
    init: bool = False
    extra_hosts: tuple[str, ...] = ()
    """Entries of the form "name:address"."""
    untrusted_config: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Further keys of the engine's Config that differ from the image and the defaults."""
    untrusted_host: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Further keys of the engine's HostConfig."""
    untrusted_endpoints: Mapping[str, Mapping[str, object]] = field(default_factory=dict, hash=False)
    """By network name: how the container is connected (aliases, fixed addresses)."""


def is_container_name(name: str) -> bool:
    """Whether it is a valid container name."""
    return _CONTAINER_NAME.fullmatch(name) is not None


def is_volume_name(name: str) -> bool:
    """Whether it is a valid volume name."""
    return _VOLUME_NAME.fullmatch(name) is not None


def is_variable_name(name: str) -> bool:
    """Whether it is a valid environment variable name. The engine allows spaces too, which no program uses."""
    return _VARIABLE.fullmatch(name) is not None


def is_image_reference(text: str) -> bool:
    """Whether it is a valid image reference: "nginx", "ghcr.io/me/app:1.2", "…@sha256:…", or an image's id."""
    return len(text) <= 512 and (_REFERENCE.fullmatch(text) is not None or _IMAGE_ID.fullmatch(text) is not None)


def is_host_path(text: str) -> bool:
    """Whether it is an absolute path, of Linux and macOS or of Windows."""
    return text.startswith(("/", "\\\\")) or _WINDOWS_PATH.match(text) is not None


def with_tag(reference: str) -> str:
    """Add ":latest" to a reference without tag and digest, like docker."""
    last = reference.rsplit("/", 1)[-1]
    return reference if ":" in last or "@" in reference else f"{reference}:latest"
