"""The engine's objects as frozen values, independent of the library that reads them.

Text that a container's or image's author controls (names, images, labels, messages) is sanitised by `clean_text` before
it is stored here, so that it can be shown as plain text. Log bytes are the exception: they stay raw, under a name that
says so. This module imports only the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from backend.messages import Message

NAME_CHARS: Final = 256
"""Limit for names, images and labels; the engine does not limit labels."""
_KEPT_LABELS: Final = 64


def _forbidden() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
    # Bidirectional controls let a name imitate another one; real right-to-left text does not need them.
    table |= dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF))
    table |= {0x09: " ", 0x0A: " ", 0x0D: " ", 0x2028: " ", 0x2029: " "}
    table |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")  # lone surrogates cannot be encoded
    return table


_FORBIDDEN: Final = _forbidden()


def clean_text(untrusted_text: str, limit: int = NAME_CHARS) -> str:
    """One line without control or direction-changing characters, at most `limit` characters, shortened by "…"."""
    if len(untrusted_text) <= limit and untrusted_text.isprintable():
        # Nearly always true and ten times as fast: no forbidden character is printable.
        return untrusted_text.strip()
    # Cut before translating: the work must not grow with the container's input.
    text = untrusted_text[: limit * 4].translate(_FORBIDDEN).strip()
    if len(text) > limit or len(untrusted_text) > limit * 4:
        return text[: limit - 1] + "…"
    return text


def cleaned(untrusted: Message, limit: int = NAME_CHARS) -> Message:
    """The same with each of its values as `clean_text` makes it."""
    return untrusted.with_values(lambda text: clean_text(text, limit))


class ContainerState(StrEnum):
    """The state of a container, in the engine's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"  # unknown to this version

    @property
    def is_up(self) -> bool:
        """Whether the container has processes."""
        return self in _UP


_UP: Final = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})


class Health(StrEnum):
    """Result of the container's health check."""

    NONE = "none"  # no health check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ContainerAction(StrEnum):
    """An action on a container."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    REMOVE = "remove"
    REMOVE_WITH_VOLUMES = "remove-with-volumes"  # with its anonymous volumes


class RemovePolicy(StrEnum):
    """What to do with a running container that is to be removed."""

    STOPPED_ONLY = "stopped-only"  # refused by the engine
    KILL_FIRST = "kill-first"  # killed, then removed


class VolumePolicy(StrEnum):
    """What to do with the volumes of a container that is removed."""

    KEEP = "keep"
    REMOVE_ANONYMOUS = "remove-anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """A port of a container, published or only exposed."""

    container_port: int
    protocol: str
    """"tcp", "udp" or "sctp"."""
    host_ip: str | None = None
    """None: not published. "0.0.0.0" and "::" mean all addresses."""
    host_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A row of `docker ps -a`. All text is sanitised."""

    id: str
    """64 hexadecimal digits."""
    name: str
    image: str
    state: ContainerState
    status: str
    """The engine's description: "Up 5 minutes (healthy)"."""
    created: int
    """Seconds since the epoch."""
    command: str = ""
    ports: tuple[PortBinding, ...] = ()
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    compose_project: str | None = None
    compose_service: str | None = None
    health: Health = Health.NONE
    exit_code: int | None = None
    """Exit code of the last run, for a container that has exited."""
    anonymous_volumes: int = 0
    """Number of anonymous volumes."""

    @property
    def short_id(self) -> str:
        """The first twelve digits, as shown by the docker command."""
        return self.id[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """An event of the engine."""

    kind: str
    """"container", "image", "network", "volume", "daemon"..."""
    action: str
    """"start", "die", "health_status: healthy"..."""
    actor_id: str
    time: float
    """Seconds since the epoch, by the engine's clock."""
    name: str = ""
    """Name of the container. Sanitised."""
    exit_code: int | None = None
    """Exit code of a container that has exited."""
    signal: int | None = None
    """Signal that was sent to a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """Version of the engine."""

    version: str
    api_version: str
    os: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Information about the engine's host, the virtual machine."""

    name: str
    containers: int
    containers_running: int
    images: int
    storage_driver: str
    kernel: str
    operating_system: str
    cpus: int
    memory_bytes: int


def is_anonymous_volume(name: str) -> bool:
    """Whether the engine generated the name: 64 hexadecimal digits."""
    return len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)


def kept_labels(untrusted_labels: dict[str, str]) -> dict[str, str]:
    """The first labels in order of their names, sanitised. An image may have thousands."""
    chosen = sorted(untrusted_labels)[:_KEPT_LABELS]
    return {clean_text(key): clean_text(str(untrusted_labels[key])) for key in chosen}
