"""Lists of images, volumes and networks, each entry with the containers that use it.

All text in the results is sanitised. An answer that cannot be parsed raises ENGINE_ERROR; it never shortens a list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backend.engine.client.details import epoch_of
from backend.engine.engine_json import listed_name
from backend.engine.types import clean_text
from backend.json_reader import Json, JsonObject

if TYPE_CHECKING:
    from backend.engine.client.engine_client import EngineClient

SIZES_TIMEOUT_S: Final = 120.0
"""The engine walks through every volume to compute its size."""
_ANONYMOUS_CHARS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEntry:
    """A tag of an image, or an untagged image."""

    id: str
    """"sha256:" and 64 hexadecimal digits."""
    repository: str = ""
    """Empty for an untagged image, left over from a build."""
    tag: str = ""
    size_bytes: int = 0
    created: float | None = None
    """Seconds since the epoch."""
    used_by: tuple[str, ...] = ()
    """Names of containers, running or not."""

    @property
    def key(self) -> str:
        """Unique key of this row."""
        return f"{self.id}/{self.repository}:{self.tag}"

    @property
    def name(self) -> str:
        """As typed in commands: "nginx:1.27", or the short id of an untagged image."""
        return f"{self.repository}:{self.tag}" if self.tag else self.short_id

    @property
    def short_id(self) -> str:
        """Twelve digits."""
        return self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeEntry:
    """A volume."""

    name: str
    driver: str = ""
    created: float | None = None
    used_by: tuple[str, ...] = ()
    project: str = ""
    """Its Compose project."""

    @property
    def key(self) -> str:
        """Unique key of this row."""
        return self.name

    @property
    def id(self) -> str:
        """Its identifier in commands: a volume only has a name."""
        return self.name

    @property
    def is_anonymous(self) -> bool:
        """Whether the engine generated the name."""
        return len(self.name) == _ANONYMOUS_CHARS and all(digit in "0123456789abcdef" for digit in self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEntry:
    """A network."""

    id: str
    name: str
    driver: str = ""
    scope: str = ""
    """"local", "swarm" or "global"."""
    subnets: tuple[str, ...] = ()
    created: float | None = None
    used_by: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Unique key of this row."""
        return self.id


Listing = tuple[ImageEntry, ...] | tuple[VolumeEntry, ...] | tuple[NetworkEntry, ...]


def list_images(client: EngineClient) -> tuple[ImageEntry, ...]:
    """All images except intermediate build layers, one row for each tag. Raises WherryError."""
    return images_from(client.call("docker images", "GET", "/images/json"), _uses(client))


def list_volumes(client: EngineClient) -> tuple[VolumeEntry, ...]:
    """All volumes. Raises WherryError."""
    return volumes_from(client.call("docker volume ls", "GET", "/volumes"), _uses(client))


def list_networks(client: EngineClient) -> tuple[NetworkEntry, ...]:
    """All networks. Raises WherryError."""
    return networks_from(client.call("docker network ls", "GET", "/networks"), _uses(client))


def volume_sizes(client: EngineClient) -> dict[str, int]:
    """Bytes in each volume by name, when known. Takes seconds for large volumes."""
    command = "docker system df --verbose"
    answer = client.call(command, "GET", "/system/df", params={"type": "volume"}, timeout_s=SIZES_TIMEOUT_S)
    return sizes_from(answer)


@dataclass(frozen=True, slots=True)
class Uses:
    """The containers that use each image, volume and network."""

    images: Mapping[str, tuple[str, ...]]
    volumes: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, tuple[str, ...]]


def uses_from(answer: Json) -> Uses:
    """Parse `GET /containers/json?all=1`. Raises NotUnderstood, as the functions below."""
    users: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
    images, volumes, networks = users
    for entry in answer.objects():
        name = listed_name(entry)
        images[entry.text("ImageID")].append(name)
        for mount in entry.objects("Mounts"):
            if mount.text("Type") == "volume" and mount.text("Name"):
                volumes[mount.text("Name")].append(name)
        joined = entry.object("NetworkSettings").objects_by_name("Networks")
        for network in {one.text("NetworkID") for one in joined.values()}:
            networks[network].append(name)
    return Uses(*({key: tuple(sorted(names)) for key, names in one.items()} for one in users))


def images_from(answer: Json, uses: Uses) -> tuple[ImageEntry, ...]:
    """Parse `GET /images/json`."""
    entries = []
    for entry in answer.objects():
        identity = entry.required_text("Id")
        for repository, tag in _names(entry):
            entries.append(
                ImageEntry(
                    id=clean_text(identity),
                    repository=clean_text(repository),
                    tag=clean_text(tag),
                    size_bytes=max(0, entry.integer("Size")),
                    created=entry.number("Created") or None,
                    used_by=uses.images.get(identity, ()),
                )
            )
    return tuple(entries)


def volumes_from(answer: Json, uses: Uses) -> tuple[VolumeEntry, ...]:
    """Parse `GET /volumes`."""
    return tuple(
        VolumeEntry(
            name=clean_text(entry.required_text("Name")),
            driver=clean_text(entry.text("Driver")),
            created=epoch_of(entry.text("CreatedAt")),
            used_by=uses.volumes.get(entry.required_text("Name"), ()),
            project=clean_text(entry.object("Labels").text("com.docker.compose.project")),
        )
        for entry in answer.object().objects("Volumes")
    )


def networks_from(answer: Json, uses: Uses) -> tuple[NetworkEntry, ...]:
    """Parse `GET /networks`."""
    return tuple(
        NetworkEntry(
            id=clean_text(entry.required_text("Id")),
            name=clean_text(entry.text("Name")),
            driver=clean_text(entry.text("Driver")),
            scope=clean_text(entry.text("Scope")),
            subnets=tuple(
                clean_text(one.text("Subnet")) for one in entry.object("IPAM").objects("Config") if one.text("Subnet")
            ),
            created=epoch_of(entry.text("Created")),
            used_by=uses.networks.get(entry.required_text("Id"), ()),
        )
        for entry in answer.objects()
    )


def sizes_from(answer: Json) -> dict[str, int]:
    """Parse `GET /system/df`; the engine writes -1 for unknown sizes."""
    sizes = {}
    for entry in answer.object().objects("Volumes"):
        size = entry.object("UsageData").integer("Size", -1)
        if size >= 0:
            sizes[clean_text(entry.required_text("Name"))] = size
    return sizes


def _names(entry: JsonObject) -> list[tuple[str, str]]:
    tags = [tag for tag in entry.texts("RepoTags") if tag != "<none>:<none>"]
    if tags:
        # The last colon: one before it belongs to the registry's port.
        return [(repository, tag) for repository, _, tag in (one.rpartition(":") for one in tags)]
    digests = [digest for digest in entry.texts("RepoDigests") if not digest.startswith("<none>")]
    return [(digests[0].partition("@")[0], "")] if digests else [("", "")]


def _uses(client: EngineClient) -> Uses:
    return uses_from(client.call("docker ps --all", "GET", "/containers/json", params={"all": 1}))
