"""The machine's lifecycle as a pure function: reduce(state, event) -> (state, effects). No clock, no I/O, no await.

`desired` is the state that the user requested last, `phase` the actual one. A stop during a start is remembered and
takes effect as soon as the phase allows it. Every effect ends in exactly one event, so this table is complete:

    STOPPED/FAILED --start--> PREPARING --prepared--> BOOTING --kernel, guest--> CONNECTING --engine--> RUNNING
         ^                        | stop                 | stop, or QEMU ends        |                    |  ^
         |                        v                      v                           v                    v  |
         +------ exited ------ STOPPING <----------------+---------------------------+------- stop -- DEGRADED

Suspending ends in SUSPENDED instead of STOPPED if it succeeds; a start resumes from there. To power down a suspended
machine, it is resumed first (`closing`), so that its containers can stop.

An effect that runs when its phase ends is cancelled by the supervisor. An event that it still sends is ignored, because
its `run` number is not the current one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from backend.errors import Action, Problem, ProblemCode
from backend.messages import message
from backend.model import Desired, Phase, StopPolicy

MAX_REVIVALS: Final = 3
"""Number of automatic restarts after QEMU has ended unexpectedly. Reset by RanWell."""
MAX_BOOT_PANICS: Final = 2
"""Number of automatic restarts after the guest's kernel has crashed while it boots. Emulated CPUs sometimes run into
code that the kernel is changing; the next boot is as good as any."""


# -- events -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class StartRequested:
    """The user requests a start."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A stop is requested."""

    policy: StopPolicy = StopPolicy.POWER_DOWN
    by_person: bool = True
    """Whether a person asked for it; False: a rule of ours, or an operation that brings the machine back."""


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """The user requests a restart."""

    policy: StopPolicy = StopPolicy.POWER_DOWN


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a launch needs is available."""

    run: int
    candidates: int
    """Number of launch candidates: accelerators to try, in order."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """Something that a launch needs is missing."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class GuestReached:
    """The kernel runs and the guest starts its services."""

    run: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """The launch candidate failed before the kernel ran; its QEMU has ended."""

    run: int
    problem: Problem
    try_next: bool
    """Whether to try the next candidate; False if the cause is independent of the accelerator."""


@dataclass(frozen=True, slots=True)
class EngineReady:
    """The engine answers through its endpoint."""

    run: int


@dataclass(frozen=True, slots=True)
class RanWell:
    """The engine has answered for long enough that a later failure counts as the first one."""

    run: int


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """The guest runs, but SSH or the engine did not answer in time. Connecting continues."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The engine or the connection to it was lost; the machine still runs."""

    run: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Exited:
    """QEMU has ended."""

    run: int
    orderly: bool
    """Whether the guest has shut down completely."""
    problem: Problem | None
    """The cause, if the end was not requested."""
    suspended: bool = False
    """Whether its state was saved before."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A running QEMU of an earlier agent was adopted."""


@dataclass(frozen=True, slots=True)
class FoundSuspended:
    """No QEMU runs, and there is a suspended state."""


@dataclass(frozen=True, slots=True)
class AdoptFailed:
    """A process runs that cannot be adopted."""

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
    """Start QEMU and wait for its kernel and services. Ends in GuestReached, LaunchFailed or Exited."""

    candidate: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect by SSH and wait for the engine, as long as the machine runs. Ends in EngineReady, after ConnectFailed."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """End QEMU by `policy`. Always ends in Exited."""

    policy: StopPolicy


@dataclass(frozen=True, slots=True)
class CancelWork:
    """Cancel the running Prepare, Launch or Connect. Its event is ignored."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete the state of a suspended machine. Ends in no event, because nothing waits for it."""


Effect = Prepare | Launch | Connect | ShutDown | CancelWork | Discard


# -- state ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of the machine, on which all transitions depend."""

    phase: Phase = Phase.STOPPED
    desired: Desired = Desired.STOPPED
    run: int = 0
    """Number of the current start. Events of earlier ones are ignored."""
    candidate: int = 0
    """Index of the launch candidate that is tried."""
    candidates: int = 0
    revivals: int = 0
    problems: tuple[Problem, ...] = ()
    policy: StopPolicy = StopPolicy.POWER_DOWN
    """Of the last request to stop."""
    closing: bool = False
    """Whether a suspended machine is resumed only to shut it down."""


Result = tuple[State, tuple[Effect, ...]]


def reduce(state: State, event: Event) -> Result:
    """The state after `event`, and the effects that the supervisor has to carry out, in order."""
    number = getattr(event, "run", state.run)
    if number != state.run:
        return state, ()
    match event:
        case StartRequested():
            return _start(state)
        case StopRequested(policy=policy):
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
        return state, ()  # the running effect is being cancelled; only Exited matters now
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
            # BOOTING: the guest is reached first, and Connect reports again. RUNNING: the engine answers; only a
            # new EngineLost may begin to wait for it.
            return state, ()
        case ConnectFailed(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), ()
        case EngineLost() if state.phase is not Phase.RUNNING:
            return state, ()  # Connect waits for it already
        case EngineLost(problem=problem):
            return replace(state, phase=Phase.DEGRADED, problems=(problem,)), (Connect(),)
    raise AssertionError(f"unhandled event {event!r}")


def _start(state: State) -> Result:
    wanted = replace(state, desired=Desired.RUNNING, closing=False)
    if not state.phase.is_live:
        return _prepare(replace(wanted, problems=(), revivals=0))
    return wanted, ()  # it runs or starts already; while STOPPING, Exited starts it


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
    # A kill while the saved state is being restored deletes that state, too.
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
        # `poweroff` in the guest: a request by the user, and no failure.
        stopped = replace(state, phase=Phase.STOPPED, desired=Desired.STOPPED, problems=(), closing=False)
        return stopped, (CancelWork(),)
    problem = event.problem or Problem(
        code=ProblemCode.MACHINE_DIED, summary=message("The virtual machine stopped unexpectedly."), retryable=True
    )
    panicked = problem.code is ProblemCode.KERNEL_PANIC
    most = MAX_REVIVALS if state.phase is not Phase.BOOTING else MAX_BOOT_PANICS if panicked else 0
    if state.revivals >= most:
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
