"""What the watchdog makes of what it sees: judge(memory, seen) -> (memory, verdict). Pure: no clock, no I/O.

Silence is counted in looks, not by the clock, and a look counts for no more than a few seconds: an agent that was
starved, or a computer that slept, must not find everybody silent when it wakes. Only the first cause in the chain
process -> monitor -> processors -> guest -> SSH -> engine is counted: what depends on it cannot answer either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from backend.errors import Action, Problem, ProblemCode

MIB: Final = 1024**2
CONTINUE_FREE_BYTES: Final = 512 * MIB
"""So much room on the host's disk lets a guest go on that stood still for want of it."""
LOW_FREE_BYTES: Final = 2048 * MIB
ENOUGH_FREE_BYTES: Final = 3072 * MIB
"""The warning comes below the one and goes above the other."""
_STOPPED_S: Final = 3.0
"""A process that is stopped for a moment (a debugger, a shell's job control) is nobody's trouble."""
_HALTED_S: Final = 10.0
"""Wherry itself halts the processors for short whiles."""
_MAX_LOOK_S: Final = 3.0

_RUNNING: Final = frozenset({"running", "prelaunch", "inmigrate", "postmigrate", "finish-migrate", "save-vm", "colo"})
"""States that are no trouble, or somebody's own business."""


class Act(Enum):
    """What is to be done at once."""

    CONTINUE = "let the processors go on"
    REVIVE_ENGINE = "restart dockerd"
    REVIVE_SSH = "restart sshd"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLimits:
    """Seconds of silence until something is told; generous, because a false alarm is worse than a late one."""

    deaf_s: float
    """QEMU's monitor."""
    hung_s: float
    """The guest's control port."""
    silent_s: float
    """The engine, or the SSH server: then it is restarted."""
    revived_s: float
    """The engine after it was restarted: then it is the user's turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look."""

    passed_s: float
    """Since the look before."""
    stopped: bool = False
    """QEMU's process is stopped by a signal."""
    deaf: bool = False
    """QEMU's monitor has not answered yet."""
    state: str = "running"
    """QEMU's word for what the processors do."""
    no_space: bool = False
    """They stand still because the host's disk was full."""
    guest_silent: bool = False
    ssh_silent: bool = False
    engine_silent: bool = False
    engine_answers: bool = False
    """It answered since the look before. Neither this nor silent: it was not asked."""
    host_free: int | None = None
    """Bytes that are free where the data disk is; None: not looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is carried from look to look: seconds of silence, and what was done."""

    stopped_s: float = 0.0
    deaf_s: float = 0.0
    halted_s: float = 0.0
    guest_s: float = 0.0
    ssh_s: float = 0.0
    engine_s: float = 0.0
    revived_s: float | None = None
    """Since the engine was restarted, until it answers."""
    host_free: int | None = None
    low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What follows."""

    problem: Problem | None = None
    """Why the engine cannot be used."""
    warning: Problem | None = None
    """What will become a problem."""
    lost: str | None = None
    """The way to the engine leads nowhere now, because..."""
    acts: tuple[Act, ...] = ()


def judge(memory: Memory, seen: Seen, limits: SilenceLimits) -> tuple[Memory, Diagnosis]:
    """See the module."""
    now = _count(memory, seen, min(seen.passed_s, _MAX_LOOK_S))
    now, verdict = _machine(now, seen, limits)
    full = verdict.problem is not None and verdict.problem.code is ProblemCode.HOST_DISK_FULL
    return now, replace(verdict, warning=_DISK_LOW if now.low and not full else None)


def _count(memory: Memory, seen: Seen, passed: float) -> Memory:
    """Count on from the look before. What cannot be known, because it depends on what is silent, stays as it was."""
    free = seen.host_free if seen.host_free is not None else memory.host_free
    low = free is not None and free < (ENOUGH_FREE_BYTES if memory.low else LOW_FREE_BYTES)
    known = True
    counted: list[float] = []
    for before, silent in (
        (memory.stopped_s, seen.stopped),
        (memory.deaf_s, seen.deaf),
        (memory.halted_s, seen.state not in _RUNNING),
        (memory.guest_s, seen.guest_silent),
        (memory.ssh_s, seen.ssh_silent),
    ):
        counted.append((before + passed if silent else 0.0) if known else before)
        known = known and not silent
    stopped_s, deaf_s, halted_s, guest_s, ssh_s = counted
    engine_s, revived_s = memory.engine_s, memory.revived_s
    if seen.engine_answers:
        engine_s, revived_s = 0.0, None
    elif known and revived_s is not None:
        revived_s += passed
    elif known and seen.engine_silent:
        engine_s += passed
    return Memory(
        stopped_s=stopped_s,
        deaf_s=deaf_s,
        halted_s=halted_s,
        guest_s=guest_s,
        ssh_s=ssh_s,
        engine_s=engine_s,
        revived_s=revived_s,
        host_free=free,
        low=low,
    )


def _machine(now: Memory, seen: Seen, limits: SilenceLimits) -> tuple[Memory, Diagnosis]:
    """The first in the chain whose time is over."""
    # What depends on it begins anew once it is over.
    anew = replace(now, guest_s=0.0, ssh_s=0.0, engine_s=0.0)
    if now.stopped_s >= _STOPPED_S:
        return anew, _verdict(_STOPPED, "QEMU's process is stopped")
    if now.deaf_s >= limits.deaf_s:
        return anew, _verdict(_DEAF, "QEMU does not answer its monitor")
    if now.halted_s > 0 and seen.state == "io-error":
        if not seen.no_space:
            return anew, _verdict(_DISK_ERROR, "its disk cannot be read or written")
        room = now.host_free is not None and now.host_free >= CONTINUE_FREE_BYTES
        full = _verdict(_DISK_FULL, "this computer's disk is full")
        return anew, replace(full, acts=(Act.CONTINUE,) if room else ())
    if now.halted_s >= _HALTED_S and seen.state == "paused":
        return anew, _verdict(_PAUSED, "the virtual machine is paused")
    if now.halted_s >= _HALTED_S:
        return anew, _verdict(_broken(seen.state), "the virtual machine's processors stopped")
    if now.guest_s >= limits.hung_s:
        return replace(now, ssh_s=0.0, engine_s=0.0), _verdict(_HUNG, "the guest hangs")
    if now.ssh_s >= limits.silent_s:
        why = "the guest's SSH server does not answer and is restarted"
        return replace(now, ssh_s=0.0, engine_s=0.0), Diagnosis(lost=why, acts=(Act.REVIVE_SSH,))
    if now.engine_s >= limits.silent_s:
        why = f"it said nothing for {now.engine_s:.0f} s and is restarted"
        return replace(now, engine_s=0.0, revived_s=0.0), Diagnosis(lost=why, acts=(Act.REVIVE_ENGINE,))
    if now.revived_s is not None and now.revived_s >= limits.revived_s:
        return now, Diagnosis(problem=_ENGINE_DEAD)
    return now, Diagnosis()


def _verdict(problem: Problem, why: str) -> Diagnosis:
    return Diagnosis(problem=problem, lost=why)


_STOPPED: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary="QEMU's process is stopped by a signal, so everything in the machine stands still.",
    hint="It goes on where it was when it is continued (kill -CONT). If you did not stop it, restart the machine.",
    retryable=True,
    action=Action.FORCE_RESTART,
)
_DEAF: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary="QEMU does not answer. This computer may be out of memory, or its disk may not answer.",
    hint="If it does not go on by itself, close other programs, then restart the machine.",
    command="query-status",
    retryable=True,
    action=Action.FORCE_RESTART,
)
_HUNG: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary="The virtual machine runs, but the Linux system in it does not answer any more.",
    hint="If it does not come back by itself, restart the machine. See the guest's console: wherry logs guest",
    command="ping",
    retryable=True,
    action=Action.FORCE_RESTART,
)
_ENGINE_DEAD: Final = Problem(
    code=ProblemCode.ENGINE_DOWN,
    summary="The Docker engine was restarted because it did not answer, and still does not.",
    hint="Restart the machine. The engine's own words: wherry logs engine",
    retryable=True,
    action=Action.RESTART,
)
_DISK_FULL: Final = Problem(
    code=ProblemCode.HOST_DISK_FULL,
    summary="This computer's disk is full. The machine stands still until there is room again; nothing is lost.",
    hint="Free some space: the machine then goes on by itself.",
    retryable=True,
    action=Action.CONTINUE,
)
_DISK_ERROR: Final = Problem(
    code=ProblemCode.DISK_DAMAGED,
    summary="The file of the data disk cannot be read or written. The machine stands still.",
    hint="See QEMU's messages (wherry logs qemu), mend the cause, then let it go on.",
    retryable=True,
    action=Action.CONTINUE,
)
_PAUSED: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary="The virtual machine is paused: somebody stopped its processors.",
    hint="Let it go on.",
    retryable=True,
    action=Action.CONTINUE,
)


def _broken(state: str) -> Problem:
    return Problem(
        code=ProblemCode.GUEST_HUNG,
        summary=f"The virtual machine's processors stopped and cannot go on ({state}).",
        hint="Restart the machine. See QEMU's messages: wherry logs qemu",
        command="query-status",
        retryable=True,
        action=Action.FORCE_RESTART,
    )


_DISK_LOW: Final = Problem(
    code=ProblemCode.HOST_DISK_FULL,
    summary=f"This computer's disk is almost full: less than {LOW_FREE_BYTES // MIB // 1024} GiB are left where "
    "the data disk is.",
    hint="Free some space. When it is full, the machine stands still until there is room again.",
    retryable=True,
    action=Action.RECLAIM,
)
