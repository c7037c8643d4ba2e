"""What a container is to be like: the one value that a form edits, `docker run` says and the engine is asked for.

    spec            the value, and what is allowed in it
    spec_inspect    out of a container that exists, without what its image says already
    spec_request    into the body of `POST /containers/create`
    spec_command    into a `docker run` command

Text in a spec is verbatim, for it goes back to the engine: whoever shows it cleans it. Options that no field is for are
kept as the engine wrote them, so that a container which is made anew loses none.
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
"""Less is refused by the engine."""
COMPOSE_LABELS: Final = "com.docker.compose."
"""Labels of Compose's own book-keeping begin so."""

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
    """One published port."""

    container_port: int
    protocol: str = "tcp"
    host_port: int | None = None
    """None: the engine chooses a free one."""
    host_ip: str = ""
    """Empty: every address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """Something of outside that is seen inside."""

    kind: str
    """One of MOUNT_KINDS, or another word that the engine knows."""
    source: str
    """A path of the host, or a volume's name; empty for tmpfs and for a new volume without a name."""
    target: str
    read_only: bool = False
    from_image: bool = False
    """The image asks for a volume there: it would come by itself, but empty."""
    untrusted_options: Mapping[str, object] = field(default_factory=dict, hash=False)
    """The engine's further keys of the mount: BindOptions, VolumeOptions, TmpfsOptions."""

    @property
    def is_anonymous(self) -> bool:
        """A volume without a name that somebody gave."""
        return self.kind == "volume" and (not self.source or is_anonymous_volume(self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Empty and None mean: as the image or the engine has it."""

    image: str
    name: str = ""
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str | None], ...] = ()
    """Name and value; None takes away what the image sets."""
    ports: tuple[PortSpec, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    cpus: float | None = None
    memory_bytes: int | None = None
    restart_policy: str = "no"
    """One of RESTART_POLICIES, or "on-failure:5"."""
    network: str = ""
    """A network's name, "host", "none" or "container:NAME"; empty for the engine's own bridge."""
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
    """As "name:address"."""
    untrusted_config: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Further keys of the engine's Config that differ from the image and from its defaults."""
    untrusted_host: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Further keys of its HostConfig."""
    untrusted_endpoints: Mapping[str, Mapping[str, object]] = field(default_factory=dict, hash=False)
    """By the network's name, how the container is joined to it: aliases, fixed addresses."""


def is_container_name(name: str) -> bool:
    """Whether the engine takes it as a name."""
    return _CONTAINER_NAME.fullmatch(name) is not None


def is_volume_name(name: str) -> bool:
    """Whether the engine takes it as a volume's name."""
    return _VOLUME_NAME.fullmatch(name) is not None


def is_variable_name(name: str) -> bool:
    """Whether it can name an environment variable. The engine takes spaces too, of which no program makes use."""
    return _VARIABLE.fullmatch(name) is not None


def is_image_reference(text: str) -> bool:
    """Whether it can name an image: "nginx", "ghcr.io/me/app:1.2", "…@sha256:…", or an image's id."""
    return len(text) <= 512 and (_REFERENCE.fullmatch(text) is not None or _IMAGE_ID.fullmatch(text) is not None)


def is_host_path(text: str) -> bool:
    """Whether it is a whole path, of Linux and macOS or of Windows."""
    return text.startswith(("/", "\\\\")) or _WINDOWS_PATH.match(text) is not None


def with_tag(reference: str) -> str:
    """The reference with ":latest" where it names neither tag nor digest, as docker itself completes it."""
    last = reference.rsplit("/", 1)[-1]
    return reference if ":" in last or "@" in reference else f"{reference}:latest"
