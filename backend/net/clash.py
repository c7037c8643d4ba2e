"""The problem shown when a route of this computer overlaps a range that the machine uses. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.engine.types import clean_text
from backend.errors import Action, Problem, ProblemCode
from backend.json_reader import Json
from backend.net.subnets import Clash

BRIDGE: Final = "bridge"
"""Name of the default bridge, which the engine creates again at each start."""
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerNetwork:
    """A docker network. Texts are sanitised."""

    name: str
    ranges: tuple[str, ...]
    project: str = ""
    """The Compose project that created it; "" for none."""


def read_networks(answer: Json) -> tuple[DockerNetwork, ...]:
    """Parse the engine's answer to GET /networks. Raises NotUnderstood."""
    return tuple(
        DockerNetwork(
            name=clean_text(network.required_text("Name"), 80),
            ranges=tuple(part.text("Subnet") for part in network.object("IPAM").objects("Config") if "Subnet" in part),
            project=clean_text(network.object("Labels").text("com.docker.compose.project"), 80),
        )
        for network in answer.objects()
    )


def problem_of(
    clashes: Sequence[Clash], networks: Iterable[DockerNetwork], *, subnet_is_set: bool, bridge_is_set: bool
) -> Problem | None:
    """Describe all clashes as one problem; None without any.

    Args:
        clashes: from `subnets.clashes`.
        networks: the engine's networks.
        subnet_is_set: whether the settings fix the machine's network, so that a restart does not change it.
        bridge_is_set: whether the user's daemon.json fixes the default bridge's range.
    """
    if not clashes:
        return None
    projects = {network.name: network.project for network in networks}
    by_route: dict[str, list[str]] = {}
    for clash in clashes:
        by_route.setdefault(str(clash.route), []).append(_label(clash))
    parts = [f"{route} is in the way of {_and(names)}" for route, names in by_route.items()]
    own = list(dict.fromkeys(clash.name for clash in clashes if clash.name not in ("", BRIDGE)))
    movable = [
        clash
        for clash in clashes
        if _changes_on_restart(clash, subnet_is_set=subnet_is_set, bridge_is_set=bridge_is_set)
    ]
    hints = []
    if movable:
        what = _and(["its network" if not clash.name else "the default bridge" for clash in movable])
        hints.append(f"A restart of the machine moves {what}; containers keep their data: wherry restart")
    if subnet_is_set and any(not clash.name for clash in clashes):
        hints.append('The settings name its network. To let Wherry choose: wherry config set network.subnet ""')
    if bridge_is_set and any(clash.name == BRIDGE for clash in clashes):
        hints.append("daemon.json names the default bridge (bip or default-address-pools): change it there.")
    if own:
        hints.append(_recreate(own, projects, after_restart=bool(movable)))
    return Problem(
        code=ProblemCode.SUBNET_CLASH,
        summary=f"Containers do not reach everything that this computer reaches: {'; '.join(parts)}.",
        hint=" ".join(hint if hint.endswith(".") else f"{hint}." for hint in hints),
        retryable=True,
        action=Action.RESTART if movable else None,
    )


def _changes_on_restart(clash: Clash, *, subnet_is_set: bool, bridge_is_set: bool) -> bool:
    return (not clash.name and not subnet_is_set) or (clash.name == BRIDGE and not bridge_is_set)


def _label(clash: Clash) -> str:
    if not clash.name:
        return f"the network to the machine ({clash.net})"
    kind = "the default bridge" if clash.name == BRIDGE else f"the docker network {clash.name}"
    return f"{kind} ({clash.net})"


def _recreate(names: Sequence[str], projects: Mapping[str, str], *, after_restart: bool) -> str:
    commands: dict[str, None] = {}
    for name in names[:_MOST_NAMED]:
        project, quoted = shlex.quote(projects.get(name, "")), shlex.quote(name)
        if projects.get(name):
            commands[f"docker compose -p {project} down && docker compose -p {project} up -d"] = None
        else:
            commands[f"docker network rm {quoted} && docker network create {quoted}"] = None
    more = f" (and {len(names) - _MOST_NAMED} more)" if len(names) > _MOST_NAMED else ""
    when = "After that, make" if after_restart else "Make"
    again = "" if after_restart else " (restart the machine first, if it has run since before that route came)"
    return f"{when} your own networks anew{again}: {'; '.join(commands)}{more}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
