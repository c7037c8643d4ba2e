"""What is done to the machine, and when: a list of faults made from a seed. Pure: the same seed, the same list."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """What the machine is doing when the fault comes."""

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
    """What happens. "kill" is SIGKILL, "stop" is SIGSTOP and SIGCONT after some seconds, "freeze" SIGSTOP for good."""

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
"""After these the guest's page cache is gone: what it had not written is lost, as with a power cut."""
FROM_STOPPED = frozenset({Stage.START, Stage.RESUME})
"""Stages that begin with no machine running."""
LEADS_TO_STOPPED = frozenset({Stage.STOP, Stage.SUSPEND})

_HOLD_S = (0.5, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    number: int
    stage: Stage
    kind: Kind
    moment: float
    """When, as a part of the stage's usual length (0 to 1)."""
    hold_s: float
    """How long what is stopped stays so."""
    choice: int
    """Chooses among equals: which docker client, which checkpoint."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Fault:
        """Read back what `as_dict` made; other fields are passed over."""
        return cls(
            number=int(fields["number"]),
            stage=Stage(fields["stage"]),
            kind=Kind(fields["kind"]),
            moment=float(fields["moment"]),
            hold_s=float(fields["hold_s"]),
            choice=int(fields["choice"]),
        )


def applies(stage: Stage, kind: Kind) -> bool:
    """Whether such a fault can be made: there has to be something to hit."""
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

    Every pair of stage and kind comes once before any comes again. The order keeps what leads to a stopped machine
    before what begins with one, because each start of the machine costs.

    Args:
        stages: those that the product has.
        kinds: those that can be made on the target.
        weights: how often a stage is taken as compared with another (1 where it is not named).
    """
    chance = random.Random(seed)
    pairs = [
        (stage, kind)
        for stage in Stage
        for kind in Kind
        if stage in stages and kind in kinds and applies(stage, kind)
        for _ in range(weights.get(stage, 1))
    ]
    chosen: list[tuple[Stage, Kind]] = []
    while len(chosen) < count:
        chance.shuffle(pairs)
        chosen += pairs
    return _timed(chance, _thrifty(chosen[:count]))


def of_pairs(seed: int, pairs: Iterable[tuple[Stage, Kind]]) -> list[Fault]:
    """These faults in this order, at moments made from the seed."""
    return _timed(random.Random(seed), pairs)


def _timed(chance: random.Random, pairs: Iterable[tuple[Stage, Kind]]) -> list[Fault]:
    return [
        Fault(
            number=number,
            stage=stage,
            kind=kind,
            moment=round(chance.uniform(0, 1), 3),
            hold_s=round(chance.uniform(*_HOLD_S), 2),
            choice=chance.randrange(1_000_000),
        )
        for number, (stage, kind) in enumerate(pairs, 1)
    ]


def _thrifty(pairs: list[tuple[Stage, Kind]]) -> Iterator[tuple[Stage, Kind]]:
    """Put something that begins with a stopped machine behind each that ends with one, as far as there are any."""
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
