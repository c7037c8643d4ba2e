"""Inventory of the engine's containers, images, volumes and networks, to prove that an update lost none.

Networks are compared by name, because the engine creates its own again at each start. Containers started with --rm and
their anonymous volumes are removed whenever the engine ends: they are reported and not counted as missing. Containers
of a swarm are ignored, because the swarm replaces them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from backend.engine.ask import ask, ask_json
from backend.engine.engine_json import listed_name, refusal
from backend.engine.types import clean_text, is_anonymous_volume
from backend.errors import ProblemCode, fail
from backend.json_reader import Json
from backend.messages import message
from backend.stream import Dial

_ANSWER_S: Final = 120.0
_SWARM_TASK: Final = "com.docker.swarm.task.id"
_RAN: Final = frozenset({"running", "paused", "restarting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What the engine had at one moment. Names are safe to print; ids are the engine's."""

    containers: dict[str, str]
    """Name by id."""
    ran: tuple[str, ...]
    """Ids of the containers that ran, without the transient ones."""
    passing: dict[str, str]
    """Running containers started with --rm: name by id."""
    images: frozenset[str]
    volumes: frozenset[str]
    """Names, without the volumes that are removed with a transient container."""
    networks: frozenset[str]


async def take(dial: Dial) -> Inventory:
    """Request the inventory from the engine. Raises WherryError (ENGINE_DOWN, ENGINE_ERROR)."""
    listed = [
        entry
        for entry in (await get(dial, "/containers/json?all=1")).objects()
        if _SWARM_TASK not in entry.object("Labels")
    ]
    names = {entry.required_text("Id"): listed_name(entry, 80) for entry in listed}
    ran = [entry.required_text("Id") for entry in listed if entry.text("State") in _RAN]
    gone: set[str] = set()
    passing: dict[str, str] = {}
    passing_volumes: set[str] = set()
    for key in ran:
        answer = await ask_json(dial, f"/containers/{quote(key, safe='')}/json", timeout_s=_ANSWER_S)
        if answer is None:  # it has ended and was removed since it was listed
            gone.add(key)
            continue
        details = answer.object()
        if details.object("HostConfig").flag("AutoRemove"):
            passing[key] = names[key]
            passing_volumes |= {
                mount.text("Name")
                for mount in details.objects("Mounts")
                if mount.text("Type") == "volume" and is_anonymous_volume(mount.text("Name"))
            }
    gone |= passing.keys()
    volumes = (await get(dial, "/volumes")).object().objects("Volumes")
    return Inventory(
        containers={key: name for key, name in names.items() if key not in gone},
        ran=tuple(key for key in ran if key not in gone),
        passing=passing,
        images=frozenset(image.required_text("Id") for image in (await get(dial, "/images/json")).objects()),
        volumes=frozenset(volume.required_text("Name") for volume in volumes) - passing_volumes,
        networks=frozenset(network.required_text("Name") for network in (await get(dial, "/networks")).objects()),
    )


def missing(before: Inventory, now: Inventory) -> list[str]:
    """What `before` has and `now` has not, as lines for the user."""
    lost = [f"container {name}" for identity, name in before.containers.items() if identity not in now.containers]
    for kind, had, has in (
        ("image", before.images, now.images),
        ("volume", before.volumes, now.volumes),
        ("network", before.networks, now.networks),
    ):
        lost += [f"{kind} {clean_text(name, 80)}" for name in sorted(had - has)]
    return lost


async def run_again(dial: Dial, containers: tuple[str, ...]) -> list[str]:
    """Start containers. One that runs already, by its restart policy, is left as it is.

    Args:
        containers: ids.

    Returns:
        A line for the user per container that did not start, with the engine's reason.

    Raises:
        WherryError: the engine does not answer (ENGINE_DOWN).
    """
    refused: list[str] = []
    for identity in containers:
        status, body = await ask(dial, "POST", f"/containers/{quote(identity, safe='')}/start", timeout_s=_ANSWER_S)
        if status not in (204, 304):
            refused.append(f"container {identity[:12]}: {refusal(body)}")
    return refused


async def get(dial: Dial, path: str) -> Json:
    """The engine's JSON answer to GET `path`. Raises WherryError (ENGINE_DOWN, ENGINE_ERROR)."""
    value = await ask_json(dial, path, timeout_s=_ANSWER_S)
    if value is None:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("The Docker engine's answers contradict each other."),
            command=f"GET {path}",
        )
    return value
