"""The watchdog's rules as a pure function: judge(state, observation) -> (state, diagnosis). No clock, no I/O.

The length of a silence is the sum of the intervals between observations, each limited to a few seconds: after the agent
got no CPU time, or the computer slept, nothing must appear to have been silent for long. Only the first failure in the
chain process -> monitor -> CPUs -> guest -> SSH -> engine is counted, because what depends on it cannot answer either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from backend.errors import Action, Problem, ProblemCode
from backend.messages import message

MIB: Final = 1024**2
CONTINUE_FREE_BYTES: Final = 512 * MIB
"""A guest that was stopped because the host's disk was full is resumed when this much is free."""
LOW_FREE_BYTES: Final = 2048 * MIB
ENOUGH_FREE_BYTES: Final = 3072 * MIB
"""The warning appears below LOW_FREE_BYTES and disappears above ENOUGH_FREE_BYTES."""
_STOPPED_S: Final = 3.0
"""A process may be stopped for a moment, by a debugger or a shell's job control."""
_HALTED_S: Final = 10.0
"""Wherry itself stops the CPUs for short times."""
_MAX_INTERVAL_S: Final = 3.0

_RUNNING: Final = frozenset({"running", "prelaunch", "inmigrate", "postmigrate", "finish-migrate", "save-vm", "colo"})
"""QEMU's run states that are no failure."""


class Act(Enum):
    """An action that the watchdog takes itself."""

    CONTINUE = "let the processors go on"
    REVIVE_ENGINE = "restart dockerd"
    REVIVE_SSH = "restart sshd"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceLimits:
    """Seconds of silence until a failure is reported. Generous, because a false alarm is worse than a late one."""

    deaf_s: float
    """QEMU's monitor."""
    hung_s: float
    """The guest's control port."""
    silent_s: float
    """The engine, or the SSH server: then it is restarted."""
    revived_s: float
    """The engine after its restart: then the user is asked to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one check of the machine has measured."""

    passed_s: float
    """Seconds since the observation before."""
    stopped: bool = False
    """QEMU's process is stopped by a signal."""
    deaf: bool = False
    """QEMU's monitor has not answered yet."""
    state: str = "running"
    """QEMU's run state: "running", "paused", "io-error"..."""
    no_space: bool = False
    """The CPUs are stopped because the host's disk was full."""
    guest_silent: bool = False
    ssh_silent: bool = False
    engine_silent: bool = False
    engine_answers: bool = False
    """The engine has answered since the observation before. Neither this nor `engine_silent`: it was not asked."""
    host_free: int | None = None
    """Free bytes on the data disk's file system; None: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """Carried from one observation to the next: seconds of each failure."""

    stopped_s: float = 0.0
    deaf_s: float = 0.0
    halted_s: float = 0.0
    guest_s: float = 0.0
    ssh_s: float = 0.0
    engine_s: float = 0.0
    revived_s: float | None = None
    """Seconds since the restart of the engine; None once it has answered."""
    host_free: int | None = None
    low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The result of `judge`."""

    problem: Problem | None = None
    """Why the engine cannot be used now."""
    warning: Problem | None = None
    """What may become a problem."""
    lost: str | None = None
    """Set if the connection to the engine is lost: the reason."""
    acts: tuple[Act, ...] = ()


def judge(state: WatchState, observation: Observation, limits: SilenceLimits) -> tuple[WatchState, Diagnosis]:
    """Apply the rules to an observation.

    Returns:
        The state for the next call, and the diagnosis.
    """
    now = _count(state, observation, min(observation.passed_s, _MAX_INTERVAL_S))
    now, diagnosis = _diagnose(now, observation, limits)
    full = diagnosis.problem is not None and diagnosis.problem.code is ProblemCode.HOST_DISK_FULL
    return now, replace(diagnosis, warning=_DISK_LOW if now.low and not full else None)


def _count(state: WatchState, observation: Observation, passed: float) -> WatchState:
    """Add the interval to each failure. What depends on something that is silent is unknown and stays unchanged."""
    free = observation.host_free if observation.host_free is not None else state.host_free
    low = free is not None and free < (ENOUGH_FREE_BYTES if state.low else LOW_FREE_BYTES)
    known = True
    counted: list[float] = []
    for before, silent in (
        (state.stopped_s, observation.stopped),
        (state.deaf_s, observation.deaf),
        (state.halted_s, observation.state not in _RUNNING),
        (state.guest_s, observation.guest_silent),
        (state.ssh_s, observation.ssh_silent),
    ):
        counted.append((before + passed if silent else 0.0) if known else before)
        known = known and not silent
    stopped_s, deaf_s, halted_s, guest_s, ssh_s = counted
    engine_s, revived_s = state.engine_s, state.revived_s
    if observation.engine_answers:
        engine_s, revived_s = 0.0, None
    elif known and revived_s is not None:
        revived_s += passed
    elif known and observation.engine_silent:
        engine_s += passed
    return WatchState(
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


def _diagnose(now: WatchState, observation: Observation, limits: SilenceLimits) -> tuple[WatchState, Diagnosis]:
    """The first failure in the chain that has exceeded its limit."""
    # After the failure, what depends on it is counted from zero.
    reset = replace(now, guest_s=0.0, ssh_s=0.0, engine_s=0.0)
    if now.stopped_s >= _STOPPED_S:
        return reset, _failure(_STOPPED, "QEMU's process is stopped")
    if now.deaf_s >= limits.deaf_s:
        return reset, _failure(_DEAF, "QEMU does not answer its monitor")
    if now.halted_s > 0 and observation.state == "io-error":
        if not observation.no_space:
            return reset, _failure(_DISK_ERROR, "its disk cannot be read or written")
        room = now.host_free is not None and now.host_free >= CONTINUE_FREE_BYTES
        full = _failure(_DISK_FULL, "this computer's disk is full")
        return reset, replace(full, acts=(Act.CONTINUE,) if room else ())
    if now.halted_s >= _HALTED_S and observation.state == "paused":
        return reset, _failure(_PAUSED, "the virtual machine is paused")
    if now.halted_s >= _HALTED_S:
        return reset, _failure(_broken(observation.state), "the virtual machine's processors stopped")
    if now.guest_s >= limits.hung_s:
        return replace(now, ssh_s=0.0, engine_s=0.0), _failure(_HUNG, "the guest hangs")
    if now.ssh_s >= limits.silent_s:
        why = "the guest's SSH server does not answer and is restarted"
        return replace(now, ssh_s=0.0, engine_s=0.0), Diagnosis(lost=why, acts=(Act.REVIVE_SSH,))
    if now.engine_s >= limits.silent_s:
        why = f"it said nothing for {now.engine_s:.0f} s and is restarted"
        return replace(now, engine_s=0.0, revived_s=0.0), Diagnosis(lost=why, acts=(Act.REVIVE_ENGINE,))
    if now.revived_s is not None and now.revived_s >= limits.revived_s:
        return now, Diagnosis(problem=_ENGINE_DEAD)
    return now, Diagnosis()


def _failure(problem: Problem, why: str) -> Diagnosis:
    return Diagnosis(problem=problem, lost=why)


_STOPPED: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary=message("QEMU was paused by a signal, so the whole machine is paused."),
    hint=message("Continue it with kill -CONT. If you didn't pause it, restart the machine."),
    retryable=True,
    action=Action.FORCE_RESTART,
)
_DEAF: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary=message("QEMU isn't responding. This computer may be out of memory, or its disk may not respond."),
    hint=message("If it doesn't recover, close other programs, then restart the machine."),
    command="query-status",
    retryable=True,
    action=Action.FORCE_RESTART,
)
_HUNG: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary=message("The virtual machine is running, but its Linux system isn't responding."),
    hint=message("If it doesn't recover, restart the machine. Check the guest's console: wherry logs guest"),
    command="ping",
    retryable=True,
    action=Action.FORCE_RESTART,
)
_ENGINE_DEAD: Final = Problem(
    code=ProblemCode.ENGINE_DOWN,
    summary=message("The Docker engine was restarted because it didn't respond, and it still doesn't."),
    hint=message("Restart the machine. Check the engine's log: wherry logs engine"),
    retryable=True,
    action=Action.RESTART,
)
_DISK_FULL: Final = Problem(
    code=ProblemCode.HOST_DISK_FULL,
    summary=message("This computer's disk is full. The machine is paused until there is free space. Nothing is lost."),
    hint=message("Free up some space. The machine then continues automatically."),
    retryable=True,
    action=Action.CONTINUE,
)
_DISK_ERROR: Final = Problem(
    code=ProblemCode.DISK_DAMAGED,
    summary=message("The data disk file can't be read or written. The machine is paused."),
    hint=message("Check QEMU's log (wherry logs qemu), fix the cause, then continue."),
    retryable=True,
    action=Action.CONTINUE,
)
_PAUSED: Final = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary=message("The virtual machine is paused: something stopped its processors."),
    hint=message("Continue the machine."),
    retryable=True,
    action=Action.CONTINUE,
)


def _broken(state: str) -> Problem:
    return Problem(
        code=ProblemCode.GUEST_HUNG,
        summary=message("The virtual machine's processors stopped and can't continue ({state}).", state=state),
        hint=message("Restart the machine. Check QEMU's log: wherry logs qemu"),
        command="query-status",
        retryable=True,
        action=Action.FORCE_RESTART,
    )


_DISK_LOW: Final = Problem(
    code=ProblemCode.HOST_DISK_FULL,
    summary=message(
        "This computer's disk is almost full: less than {size} GiB are free on the data disk's drive.",
        size=LOW_FREE_BYTES // MIB // 1024,
    ),
    hint=message("Free up some space. If it runs out, the machine is paused until there is space again."),
    retryable=True,
    action=Action.RECLAIM,
)
