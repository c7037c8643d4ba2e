"""The machine's life as a pure function: reduce(state, event) -> (state, effects). No clock, no I/O, no await.

`desired` is what the user asked for last, `phase` what is true: a stop that comes during a start is kept, and takes
effect as soon as the phase allows. Every effect ends in exactly one event, so the table below is the whole story.

    STOPPED/FAILED --start--> PREPARING --prepared--> BOOTING --kernel, guest--> CONNECTING --engine--> RUNNING
         ^                        | stop                 | stop, or QEMU ends        |                    |  ^
         |                        v                      v                           v                    v  |
         +------ exited ------ STOPPING <----------------+---------------------------+------- stop -- DEGRADED

A stop by suspending ends in SUSPENDED instead of STOPPED, where it could be done; a start goes on from there. To stop a
suspended machine in order it has to be brought up once more (`closing`), so that its containers can end.

An effect that is under way when its phase ends is cancelled by the supervisor, and its late event is dropped by the
`run` number that every event of an effect carries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from backend.errors import Action, Problem, ProblemCode
from backend.model import Desired, Phase, StopPolicy

MAX_REVIVALS: Final = 3
"""How often a machine that died by itself is started again before the user is asked (counted anew once it ran well)."""


# -- events -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class StartRequested:
    """The user wants it running."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The user wants it stopped."""

    policy: StopPolicy = StopPolicy.POWER_DOWN


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """The user wants it stopped and running again."""

    policy: StopPolicy = StopPolicy.POWER_DOWN


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a launch needs is there."""

    run: int
    candidates: int
    """How many ways there are to run the guest."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """Something that a launch needs is missing."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class GuestReached:
    """The kernel runs and the guest's services are coming up."""

    run: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """This way of running the guest failed before the kernel showed life; QEMU is gone."""

    run: int
    problem: Problem
    try_next: bool
    """Whether another accelerator may do better: False for a cause that none of them can mend."""


@dataclass(frozen=True, slots=True)
class EngineReady:
    """The engine answers through its endpoint."""

    run: int


@dataclass(frozen=True, slots=True)
class RanWell:
    """The engine has answered for long enough that an end from now on is a new story."""

    run: int


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """The guest runs, but SSH or the engine did not answer in time; it is still being waited for."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The engine, or the way to it, is gone; the machine still runs."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Exited:
    """QEMU is gone."""

    run: int
    orderly: bool
    """Whether the guest shut itself down in order."""
    problem: Problem | None
    """Why, where nobody had asked for it."""
    suspended: bool = False
    """Whether its memory and processors were saved before."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A QEMU of a former agent runs and is ours now."""


@dataclass(frozen=True, slots=True)
class FoundSuspended:
    """No QEMU runs, and there is a saved state to go on from."""


@dataclass(frozen=True, slots=True)
class AdoptFailed:
    """Something runs that cannot be taken over."""

    problem: Problem


Event = (
    StartRequested
    | StopRequested
    | RestartRequested
    | Prepared
    | PrepareFailed
    | GuestReached
    | LaunchFailed
    | EngineReady
    | RanWell
    | ConnectFailed
    | EngineLost
    | Exited
    | Adopted
    | FoundSuspended
    | AdoptFailed
)


# -- effects ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Prepare:
    """Check image, disk, keys and QEMU. Ends in Prepared or PrepareFailed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Start QEMU the n-th way and wait for its kernel and services. Ends in GuestReached, LaunchFailed or Exited."""

    candidate: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Open SSH and wait for the engine, for as long as the machine runs. Ends in EngineReady (ConnectFailed before)."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Bring QEMU down in order, or at once; ends in Exited, always."""

    policy: StopPolicy


@dataclass(frozen=True, slots=True)
class CancelWork:
    """Cancel Prepare, Launch or Connect, whichever is under way; its event is not awaited."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Give up the saved state of a suspended machine. Ends in no event: nothing waits for it."""


Effect = Prepare | Launch | Connect | ShutDown | CancelWork | Discard


# -- state ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the transitions depend on."""

    phase: Phase = Phase.STOPPED
    desired: Desired = Desired.STOPPED
    run: int = 0
    """Number of the present start; events of earlier ones are dropped."""
    candidate: int = 0
    """Which way of running the guest is being tried."""
    candidates: int = 0
    revivals: int = 0
    problems: tuple[Problem, ...] = ()
    policy: StopPolicy = StopPolicy.POWER_DOWN
    """How it was to be stopped last."""
    closing: bool = False
    """A suspended machine is brought up only to be shut down in order."""


Result = tuple[State, tuple[Effect, ...]]


def reduce(state: State, event: Event) -> Result:
    """The next state, and what has to be done for it."""
    number = getattr(event, "run", state.run)
    if number != state.run:
        return state, ()
    match event:
        case StartRequested():
            return _start(state)
        case StopRequested(policy):
            return _stop(state, policy)
        case RestartRequested(policy):
            return _restart(state, policy)
        case Adopted():
            return replace(state, phase=Phase.CONNECTING, desired=Desired.RUNNING, run=state.run + 1), (Connect(),)
        case FoundSuspended():
            return (replace(state, phase=Phase.SUSPENDED) if state.phase is Phase.STOPPED else state), ()
        case AdoptFailed(problem):
            return replace(state, phase=Phase.FAILED, problems=(problem,)), ()
        case Exited():
            return _exited(state, event)
    if state.phase is Phase.STOPPING:
        return state, ()  # whatever was under way is being cancelled; only Exited counts now
    match event:
        case Prepared(candidates=candidates):
            booting = replace(state, phase=Phase.BOOTING, candidate=0, candidates=candidates)
            return booting, (Launch(0),)
        case PrepareFailed(problem=problem):
            return _failed(state, problem)
        case LaunchFailed(problem=problem, try_next=try_next):
            following = state.candidate + 1
            if try_next and following < state.candidates:
                return replace(state, candidate=following), (Launch(following),)
            return _failed(state, problem)
        case GuestReached() if state.closing:
            return replace(state, phase=Phase.STOPPING), (ShutDown(state.policy),)
        case GuestReached():
            return replace(state, phase=Phase.CONNECTING), (Connect(),)
        case EngineReady():
            return replace(state, phase=Phase.RUNNING, problems=()), ()
        case RanWell():
            return replace(state, revivals=0), ()
        case ConnectFailed() if state.phase in (Phase.BOOTING, Phase.RUNNING):
            # The guest comes up first, and Connect says it again; for an engine that answers nobody waits: without
            # its loss, nobody would look for it again either.
            return state, ()
        case ConnectFailed(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), ()
        case EngineLost() if state.phase is not Phase.RUNNING:
            return state, ()  # it is being waited for already
        case EngineLost(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), (Connect(),)
    raise AssertionError(f"unhandled event {event!r}")


def _start(state: State) -> Result:
    wanted = replace(state, desired=Desired.RUNNING, closing=False)
    if not state.phase.is_live:
        return _prepare(replace(wanted, problems=(), revivals=0))
    return wanted, ()  # running or on its way; while STOPPING, Exited starts it


def _stop(state: State, policy: StopPolicy) -> Result:
    wanted = replace(state, desired=Desired.STOPPED, policy=policy)
    match state.phase:
        case Phase.STOPPED:
            return wanted, ()
        case Phase.FAILED:
            return replace(wanted, phase=Phase.STOPPED, problems=()), ()
        case Phase.SUSPENDED if policy is StopPolicy.SUSPEND:
            return wanted, ()
        case Phase.SUSPENDED if policy is StopPolicy.KILL:
            return replace(wanted, phase=Phase.STOPPED), (Discard(),)
        case Phase.SUSPENDED:
            return _prepare(replace(wanted, closing=True, problems=(), revivals=0))
        case Phase.STOPPING if policy is not StopPolicy.KILL:
            return replace(state, desired=Desired.STOPPED), ()
    if state.closing and policy is not StopPolicy.KILL:
        return wanted, ()
    # To be killed while its saved state is being restored means to give that up, too.
    given_up: tuple[Effect, ...] = (Discard(),) if policy is StopPolicy.KILL else ()
    return replace(wanted, phase=Phase.STOPPING, problems=()), (CancelWork(), ShutDown(policy), *given_up)


def _restart(state: State, policy: StopPolicy) -> Result:
    if state.phase in (Phase.STOPPED, Phase.FAILED):
        return _start(state)
    stopping, effects = _stop(state, policy)
    if not stopping.phase.is_live:
        stopping, more = _start(stopping)
        return stopping, (*effects, *more)
    return replace(stopping, desired=Desired.RUNNING), effects


def _exited(state: State, event: Exited) -> Result:
    if not state.phase.is_live:
        return state, ()
    if state.phase is Phase.STOPPING:
        if state.desired is Desired.RUNNING:
            return _prepare(replace(state, closing=False), CancelWork())
        ended = Phase.SUSPENDED if event.suspended else Phase.STOPPED
        return replace(state, phase=ended, problems=(), closing=False), (CancelWork(),)
    if event.orderly or state.closing:
        # Somebody typed `poweroff` in the guest: that was asked for, not an accident.
        stopped = replace(state, phase=Phase.STOPPED, desired=Desired.STOPPED, problems=(), closing=False)
        return stopped, (CancelWork(),)
    problem = event.problem or Problem(
        code=ProblemCode.MACHINE_DIED, summary="The virtual machine ended by itself.", retryable=True
    )
    if state.revivals >= MAX_REVIVALS or state.phase is Phase.BOOTING:
        failed, effects = _failed(state, problem)
        return failed, (CancelWork(), *effects)
    revived = replace(state, revivals=state.revivals + 1, problems=(problem,))
    return _prepare(revived, CancelWork())


def _prepare(state: State, *before: Effect) -> Result:
    starting = replace(state, phase=Phase.PREPARING, run=state.run + 1, candidate=0, candidates=0)
    return starting, (*before, Prepare())


def _failed(state: State, problem: Problem) -> Result:
    if problem.action is None and problem.retryable:
        problem = replace(problem, action=Action.START)
    return replace(state, phase=Phase.FAILED, problems=(problem,), closing=False), ()
