"""The engine's things as frozen values: what `EngineClient` returns, whatever library it uses.

Everything that a container or an image author can choose (names, images, labels, messages) passes `clean_text` before
it is put in one of these, so a reader may show it as plain text without further care. Log bytes are the exception: they
stay raw, under a name that says so. This module imports the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

NAME_CHARS: Final = 256
"""Longest name, image or label that is kept; the engine itself sets no bound on labels."""
_KEPT_LABELS: Final = 64


def _forbidden() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
    # Bidirectional controls let a name pretend to be another one; real right-to-left letters need none of them.
    table |= dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF))
    table |= {0x09: " ", 0x0A: " ", 0x0D: " ", 0x2028: " ", 0x2029: " "}
    table |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")  # lone surrogates cannot be encoded
    return table


_FORBIDDEN: Final = _forbidden()


def clean_text(untrusted_text: str, limit: int = NAME_CHARS) -> str:
    """One line without control or direction-changing characters, at most `limit` characters, the last an ellipsis."""
    if len(untrusted_text) <= limit and untrusted_text.isprintable():
        # Nearly always, and ten times as quick: none of the forbidden characters is printable.
        return untrusted_text.strip()
    # Cut before translating: the work must not grow with what a container sends.
    text = untrusted_text[: limit * 4].translate(_FORBIDDEN).strip()
    if len(text) > limit or len(untrusted_text) > limit * 4:
        return text[: limit - 1] + "…"
    return text


class ContainerState(StrEnum):
    """The engine's own words for what a container does."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"  # a word that this version does not know

    @property
    def is_up(self) -> bool:
        """Whether the container has processes."""
        return self in _UP


_UP: Final = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})


class Health(StrEnum):
    """What the container's own health check says."""

    NONE = "none"  # it has no check
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ContainerAction(StrEnum):
    """What can be asked of a container."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    REMOVE = "remove"
    REMOVE_WITH_VOLUMES = "remove-with-volumes"  # also the volumes that nobody gave a name


class RemovePolicy(StrEnum):
    """What happens to a container that runs when it is to be removed."""

    STOPPED_ONLY = "stopped-only"  # refused by the engine
    KILL_FIRST = "kill-first"  # killed, then removed


class VolumePolicy(StrEnum):
    """What happens to the volumes of a container that is removed."""

    KEEP = "keep"
    REMOVE_ANONYMOUS = "remove-anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """One port of a container, published or only exposed."""

    container_port: int
    protocol: str
    """"tcp", "udp" or "sctp"."""
    host_ip: str | None = None
    """None: not published. "0.0.0.0" and "::" mean every address."""
    host_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One row of `docker ps -a`. All text is clean."""

    id: str
    """64 hexadecimal digits."""
    name: str
    image: str
    state: ContainerState
    status: str
    """The engine's sentence: "Up 5 minutes (healthy)"."""
    created: int
    """Seconds since the epoch."""
    command: str = ""
    ports: tuple[PortBinding, ...] = ()
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    compose_project: str | None = None
    compose_service: str | None = None
    health: Health = Health.NONE
    exit_code: int | None = None
    """Of the last run, for a container that ended."""
    anonymous_volumes: int = 0
    """How many volumes it has that nobody gave a name."""

    @property
    def short_id(self) -> str:
        """The twelve digits that the docker command shows."""
        return self.id[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """One line of `docker events`."""

    kind: str
    """"container", "image", "network", "volume", "daemon"..."""
    action: str
    """"start", "die", "health_status: healthy"..."""
    actor_id: str
    time: float
    """Seconds since the epoch, by the engine's clock."""
    name: str = ""
    """Of the container that it is about. Clean."""
    exit_code: int | None = None
    """Of a container that ended."""
    signal: int | None = None
    """That a container was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """What answers at the endpoint."""

    version: str
    api_version: str
    os: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What the engine says of its host, the virtual machine."""

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
    """Whether the engine made up the name: 64 hexadecimal digits."""
    return len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)


def kept_labels(untrusted_labels: dict[str, str]) -> dict[str, str]:
    """The first labels in order of their names, cleaned. An image may carry thousands."""
    chosen = sorted(untrusted_labels)[:_KEPT_LABELS]
    return {clean_text(key): clean_text(str(untrusted_labels[key])) for key in chosen}
