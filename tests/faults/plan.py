"""The plan of a run: a list of faults generated from a seed. The same seed gives the same list."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """What the machine does when the fault is injected."""

    START = "start"
    RUNNING = "running"
    STOP = "stop"
    RESTART = "restart"
    CHECKPOINT = "checkpoint"
    RESTORE = "restore"
    UPDATE = "update"
    SUSPEND = "suspend"
    RESUME = "resume"


class Kind(StrEnum):
    """The fault. "kill" is SIGKILL, "stop" SIGSTOP with SIGCONT some seconds later, "freeze" SIGSTOP for ever."""

    AGENT_KILL = "agent kill"
    AGENT_STOP = "agent stop"
    QEMU_KILL = "QEMU kill"
    QEMU_STOP = "QEMU stop"
    QEMU_FREEZE = "QEMU freeze"
    BOTH_KILL = "agent and QEMU kill"
    SSH_CUT = "SSH cut"
    SSHD_KILL = "sshd kill"
    SSHD_STOP = "sshd stop"
    DOCKERD_KILL = "dockerd kill"
    DOCKERD_STOP = "dockerd stop"
    DOCKERD_FREEZE = "dockerd freeze"
    CONTAINERD_KILL = "containerd kill"
    VERB_KILL = "wherry command kill"
    VERB_STOP = "wherry command stop"
    CLIENT_KILL = "docker client kill"
    CLIENT_STOP = "docker client stop"
    WINDOW_KILL = "window kill"


IN_GUEST = frozenset(
    {
        Kind.SSH_CUT,
        Kind.SSHD_KILL,
        Kind.SSHD_STOP,
        Kind.DOCKERD_KILL,
        Kind.DOCKERD_STOP,
        Kind.DOCKERD_FREEZE,
        Kind.CONTAINERD_KILL,
    }
)
FREEZES = frozenset({Kind.QEMU_FREEZE, Kind.DOCKERD_FREEZE})
CRASHES = frozenset({Kind.QEMU_KILL, Kind.QEMU_FREEZE, Kind.BOTH_KILL})
"""Faults that lose the guest's page cache: unsynced data is lost, as after a power cut."""
FROM_STOPPED = frozenset({Stage.START, Stage.RESUME})
"""Stages that begin with a stopped machine."""
LEADS_TO_STOPPED = frozenset({Stage.STOP, Stage.SUSPEND})

_HOLD_S = (0.5, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of the plan."""

    number: int
    stage: Stage
    kind: Kind
    moment: float
    """When it is injected, as a fraction of the stage's usual duration (0 to 1)."""
    hold_s: float
    """For how long a process is stopped, in seconds."""
    choice: int
    """A random number that selects a docker client."""

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Fault:
        """The inverse of `as_dict`. Other fields are ignored."""
        return cls(
            number=int(fields["number"]),
            stage=Stage(fields["stage"]),
            kind=Kind(fields["kind"]),
            moment=float(fields["moment"]),
            hold_s=float(fields["hold_s"]),
            choice=int(fields["choice"]),
        )


def applies(stage: Stage, kind: Kind) -> bool:
    """Whether this fault is possible in this stage: there must be a process to hit."""
    if kind in (Kind.VERB_KILL, Kind.VERB_STOP):
        return stage is not Stage.RUNNING
    if kind in FREEZES:
        return stage is Stage.RUNNING
    if kind in IN_GUEST:
        return stage not in FROM_STOPPED
    if kind in (Kind.CLIENT_KILL, Kind.CLIENT_STOP):
        return stage in (Stage.RUNNING, Stage.CHECKPOINT)
    if kind is Kind.WINDOW_KILL:
        return stage in (Stage.RUNNING, Stage.START, Stage.STOP)
    return True


def make(
    seed: int, count: int, *, stages: Collection[Stage], kinds: Collection[Kind], weights: dict[Stage, int]
) -> list[Fault]:
    """A list of `count` faults.

    Every possible pair of stage and kind occurs once before any is repeated. A stage that ends with a stopped machine
    is followed by one that begins with it, because each start takes time.

    Args:
        stages: stages that the product has.
        kinds: kinds that the target supports.
        weights: relative frequency of stages (default 1).
    """
    source = random.Random(seed)
    pairs = [
        (stage, kind)
        for stage in Stage
        for kind in Kind
        if stage in stages and kind in kinds and applies(stage, kind)
        for _ in range(weights.get(stage, 1))
    ]
    chosen: list[tuple[Stage, Kind]] = []
    while len(chosen) < count:
        source.shuffle(pairs)
        chosen += pairs
    return _timed(source, _ordered(chosen[:count]))


def of_pairs(seed: int, pairs: Iterable[tuple[Stage, Kind]]) -> list[Fault]:
    """Faults for these pairs in this order, at random moments from the seed."""
    return _timed(random.Random(seed), pairs)


def _timed(source: random.Random, pairs: Iterable[tuple[Stage, Kind]]) -> list[Fault]:
    return [
        Fault(
            number=number,
            stage=stage,
            kind=kind,
            moment=round(source.uniform(0, 1), 3),
            hold_s=round(source.uniform(*_HOLD_S), 2),
            choice=source.randrange(1_000_000),
        )
        for number, (stage, kind) in enumerate(pairs, 1)
    ]


def _ordered(pairs: list[tuple[Stage, Kind]]) -> Iterator[tuple[Stage, Kind]]:
    """Place a pair that begins with a stopped machine after each that ends with one."""
    waiting = {stage: [pair for pair in pairs if pair[0] is stage] for stage in FROM_STOPPED}
    after = {Stage.STOP: Stage.START, Stage.SUSPEND: Stage.RESUME}
    for pair in pairs:
        if pair[0] in FROM_STOPPED:
            continue
        yield pair
        follower = after.get(pair[0])
        if follower is not None and waiting[follower]:
            yield waiting[follower].pop(0)
    for rest in waiting.values():
        yield from rest
