"""The machine's life as a pure function: reduce(state, event) -> (state, effects). No clock, no I/O, no await.

`desired` is what the user asked for last, `phase` what is true: a stop that comes during a start is kept, and takes
effect as soon as the phase allows. Every effect ends in exactly one event, so the table below is the whole story.

    STOPPED/FAILED --start--> PREPARING --prepared--> BOOTING --kernel, guest--> CONNECTING --engine--> RUNNING
         ^                        | stop                 | stop, or QEMU ends        |                    |  ^
         |                        v                      v                           v                    v  |
         +------ exited ------ STOPPING <----------------+---------------------------+------- stop -- DEGRADED

An effect that is under way when its phase ends is cancelled by the supervisor, and its late event is dropped by the
`run` number that every event of an effect carries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from backend.errors import Problem, ProblemCode
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


@dataclass(frozen=True, slots=True)
class Adopted:
    """A QEMU of a former agent runs and is ours now."""


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


Effect = Prepare | Launch | Connect | ShutDown | CancelWork


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
        case RestartRequested():
            return _restart(state)
        case Adopted():
            return replace(state, phase=Phase.CONNECTING, desired=Desired.RUNNING, run=state.run + 1), (Connect(),)
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
        case GuestReached():
            return replace(state, phase=Phase.CONNECTING), (Connect(),)
        case EngineReady():
            return replace(state, phase=Phase.RUNNING, problems=()), ()
        case RanWell():
            return replace(state, revivals=0), ()
        case ConnectFailed() if state.phase is Phase.BOOTING:
            return state, ()  # the guest comes up first; Connect says it again
        case ConnectFailed(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), ()
        case EngineLost() if state.phase is not Phase.RUNNING:
            return state, ()  # it is being waited for already
        case EngineLost(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), (Connect(),)
    raise AssertionError(f"unhandled event {event!r}")


def _start(state: State) -> Result:
    wanted = replace(state, desired=Desired.RUNNING)
    if state.phase in (Phase.STOPPED, Phase.FAILED):
        return _prepare(replace(wanted, problems=(), revivals=0))
    return wanted, ()  # running or on its way; while STOPPING, Exited starts it


def _stop(state: State, policy: StopPolicy) -> Result:
    wanted = replace(state, desired=Desired.STOPPED)
    match state.phase:
        case Phase.STOPPED:
            return wanted, ()
        case Phase.FAILED:
            return replace(wanted, phase=Phase.STOPPED, problems=()), ()
        case Phase.STOPPING if policy is not StopPolicy.KILL:
            return wanted, ()
    return replace(wanted, phase=Phase.STOPPING, problems=()), (CancelWork(), ShutDown(policy))


def _restart(state: State) -> Result:
    if state.phase in (Phase.STOPPED, Phase.FAILED):
        return _start(state)
    stopping, effects = _stop(state, StopPolicy.POWER_DOWN)
    return replace(stopping, desired=Desired.RUNNING), effects


def _exited(state: State, event: Exited) -> Result:
    if state.phase in (Phase.STOPPED, Phase.FAILED):
        return state, ()
    if state.phase is Phase.STOPPING:
        if state.desired is Desired.RUNNING:
            return _prepare(state, CancelWork())
        return replace(state, phase=Phase.STOPPED, problems=()), (CancelWork(),)
    if event.orderly:
        # Somebody typed `poweroff` in the guest: that is a wish, not an accident.
        return replace(state, phase=Phase.STOPPED, desired=Desired.STOPPED, problems=()), (CancelWork(),)
    problem = event.problem or Problem(code=ProblemCode.MACHINE_DIED, summary="The virtual machine ended by itself.")
    if state.revivals >= MAX_REVIVALS or state.phase is Phase.BOOTING:
        failed, effects = _failed(state, problem)
        return failed, (CancelWork(), *effects)
    revived = replace(state, revivals=state.revivals + 1, problems=(problem,))
    return _prepare(revived, CancelWork())


def _prepare(state: State, *before: Effect) -> Result:
    starting = replace(state, phase=Phase.PREPARING, run=state.run + 1, candidate=0, candidates=0)
    return starting, (*before, Prepare())


def _failed(state: State, problem: Problem) -> Result:
    return replace(state, phase=Phase.FAILED, problems=(problem,)), ()
