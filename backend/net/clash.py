"""The problem shown when a route of this computer overlaps a range that the machine uses. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.engine.types import clean_text
from backend.errors import Action, Problem, ProblemCode
from backend.json_reader import Json
from backend.messages import Message, message, sentences, verbatim
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
    by_route: dict[str, list[Message]] = {}
    for clash in clashes:
        by_route.setdefault(str(clash.route), []).append(_label(clash))
    parts = tuple(
        message("{route} overlaps {networks}", route=route, networks=tuple(names)) for route, names in by_route.items()
    )
    own = list(dict.fromkeys(clash.name for clash in clashes if clash.name not in ("", BRIDGE)))
    movable = [
        clash
        for clash in clashes
        if _changes_on_restart(clash, subnet_is_set=subnet_is_set, bridge_is_set=bridge_is_set)
    ]
    hints: list[Message] = []
    if movable:
        what = tuple(
            message("the machine's network") if not clash.name else message("the default bridge") for clash in movable
        )
        hints.append(message("Restart the machine (wherry restart) to move {networks}.", networks=what))
    if subnet_is_set and any(not clash.name for clash in clashes):
        hints.append(message("The setting network.subnet sets the machine's network. Clear it to let Wherry choose."))
    if bridge_is_set and any(clash.name == BRIDGE for clash in clashes):
        hints.append(message("daemon.json sets the default bridge (bip or default-address-pools). Change it there."))
    if own:
        hints.append(_recreate(own, projects, after_restart=bool(movable)))
    return Problem(
        code=ProblemCode.SUBNET_CLASH,
        summary=message("Containers can't reach some networks of this computer: {overlaps}.", overlaps=parts),
        hint=sentences(*hints) if hints else None,
        retryable=True,
        action=Action.RESTART if movable else None,
    )


def _changes_on_restart(clash: Clash, *, subnet_is_set: bool, bridge_is_set: bool) -> bool:
    return (not clash.name and not subnet_is_set) or (clash.name == BRIDGE and not bridge_is_set)


def _label(clash: Clash) -> Message:
    if not clash.name:
        return message("the machine's network ({subnet})", subnet=str(clash.net))
    if clash.name == BRIDGE:
        return message("the default bridge ({subnet})", subnet=str(clash.net))
    return message("the docker network {name} ({subnet})", name=clash.name, subnet=str(clash.net))


def _recreate(names: Sequence[str], projects: Mapping[str, str], *, after_restart: bool) -> Message:
    commands: dict[str, None] = {}
    for name in names[:_MOST_NAMED]:
        project, quoted = shlex.quote(projects.get(name, "")), shlex.quote(name)
        if projects.get(name):
            commands[f"docker compose -p {project} down && docker compose -p {project} up -d"] = None
        else:
            commands[f"docker network rm {quoted} && docker network create {quoted}"] = None
    listed = verbatim("; ".join(commands))
    if len(names) > _MOST_NAMED:
        listed = message("{commands} (and {count} more)", commands="; ".join(commands), count=len(names) - _MOST_NAMED)
    if after_restart:
        return message("Then recreate your own networks: {commands}", commands=listed)
    return message(
        "Recreate your own networks (restart the machine first if it was started before the other network appeared): "
        "{commands}",
        commands=listed,
    )
