"""The reducer: every phase under every request, and the stories that other engines get wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from backend.agent.core import lifecycle as lc
from backend.agent.core.lifecycle import State, reduce
from backend.errors import Action, Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Desired, Phase, StopPolicy

PROBLEM = Problem(code=ProblemCode.BOOT_FAILED, summary=verbatim("It did not boot."))


def play(state: State, *events: lc.Event) -> tuple[State, list[lc.Effect]]:
    effects: list[lc.Effect] = []
    for event in events:
        state, more = reduce(state, event)
        effects.extend(more)
    return state, effects


def running(run: int = 1) -> State:
    state, _ = play(
        State(),
        lc.StartRequested(),
        lc.Prepared(run, candidates=2),
        lc.GuestReached(run),
        lc.EngineReady(run),
    )
    assert state.phase is Phase.RUNNING
    return state


def in_phase(phase: Phase) -> State:
    starts = {
        Phase.STOPPED: State(),
        Phase.PREPARING: play(State(), lc.StartRequested())[0],
        Phase.BOOTING: play(State(), lc.StartRequested(), lc.Prepared(1, candidates=2))[0],
        Phase.CONNECTING: play(State(), lc.StartRequested(), lc.Prepared(1, candidates=2), lc.GuestReached(1))[0],
        Phase.RUNNING: running(),
        Phase.DEGRADED: play(running(), lc.EngineLost(1, PROBLEM))[0],
        Phase.STOPPING: play(running(), lc.StopRequested())[0],
        Phase.SUSPENDED: play(State(), lc.FoundSuspended())[0],
        Phase.FAILED: play(State(), lc.StartRequested(), lc.PrepareFailed(1, PROBLEM))[0],
    }
    assert starts[phase].phase is phase
    return starts[phase]


def test_a_start_runs_through() -> None:
    state, effects = play(
        State(), lc.StartRequested(), lc.Prepared(1, candidates=2), lc.GuestReached(1), lc.EngineReady(1)
    )
    assert (state.phase, state.desired, state.problems) == (Phase.RUNNING, Desired.RUNNING, ())
    assert effects == [lc.Prepare(), lc.Launch(0), lc.Connect()]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.is_live])
def test_a_stop_is_never_lost(phase: Phase) -> None:
    state, effects = play(in_phase(phase), lc.StopRequested())
    assert (state.phase, state.desired) == (Phase.STOPPING, Desired.STOPPED)
    if phase is not Phase.STOPPING:
        assert effects == [lc.CancelWork(), lc.ShutDown(StopPolicy.POWER_DOWN)]
    state, _ = play(state, lc.Exited(1, orderly=True, problem=None))
    assert state.phase is Phase.STOPPED


@pytest.mark.parametrize("phase", list(Phase))
def test_a_start_always_leads_to_running(phase: Phase) -> None:
    state, _ = play(in_phase(phase), lc.StartRequested())
    assert state.desired is Desired.RUNNING
    if state.phase is Phase.STOPPING:
        state, effects = play(state, lc.Exited(1, orderly=True, problem=None))
        assert lc.Prepare() in effects
    assert state.phase in (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED)


@pytest.mark.parametrize("phase", list(Phase))
def test_requests_are_idempotent(phase: Phase) -> None:
    for request in (lc.StartRequested(), lc.StopRequested(), lc.StopRequested(StopPolicy.SUSPEND)):
        once, _ = play(in_phase(phase), request)
        twice, effects = play(once, request)
        assert (twice.phase, twice.desired) == (once.phase, once.desired)
        assert not any(isinstance(effect, lc.Prepare | lc.Launch) for effect in effects)


def test_late_results_of_a_withdrawn_start_change_nothing() -> None:
    stopping, _ = play(State(), lc.StartRequested(), lc.StopRequested())
    late: lc.Event
    for late in (lc.Prepared(1, candidates=1), lc.PrepareFailed(1, PROBLEM), lc.GuestReached(1), lc.EngineReady(1)):
        assert reduce(stopping, late) == (stopping, ())
    restarted, _ = play(stopping, lc.Exited(1, orderly=True, problem=None), lc.StartRequested())
    assert restarted.run == 2
    for late in (lc.Prepared(1, candidates=1), lc.EngineReady(1), lc.Exited(1, orderly=False, problem=PROBLEM)):
        assert reduce(restarted, late) == (restarted, ())


def test_the_next_accelerator_is_tried_and_the_last_failure_is_shown() -> None:
    booting = in_phase(Phase.BOOTING)
    state, effects = play(booting, lc.LaunchFailed(1, PROBLEM, try_next=True))
    assert (state.phase, effects) == (Phase.BOOTING, [lc.Launch(1)])
    state, effects = play(state, lc.LaunchFailed(1, PROBLEM, try_next=True))
    assert (state.phase, state.problems, effects) == (Phase.FAILED, (PROBLEM,), [])
    state, effects = play(booting, lc.LaunchFailed(1, PROBLEM, try_next=False))
    assert (state.phase, effects) == (Phase.FAILED, [])


def test_a_failure_that_can_be_tried_again_offers_to() -> None:
    state, _ = play(State(), lc.StartRequested(), lc.PrepareFailed(1, replace(PROBLEM, retryable=True)))
    assert [problem.action for problem in state.problems] == [Action.START]
    own = replace(PROBLEM, retryable=True, action=Action.DOCTOR)
    state, _ = play(State(), lc.StartRequested(), lc.PrepareFailed(1, own))
    assert state.problems == (own,)


def test_kill_overtakes_a_slow_shutdown() -> None:
    state, effects = play(in_phase(Phase.STOPPING), lc.StopRequested(StopPolicy.KILL))
    assert state.phase is Phase.STOPPING
    assert lc.ShutDown(StopPolicy.KILL) in effects


def test_a_machine_that_dies_is_brought_back_but_not_for_ever() -> None:
    state = running()
    for revival in range(1, lc.MAX_REVIVALS + 1):
        state, effects = play(state, lc.Exited(state.run, orderly=False, problem=PROBLEM))
        assert (state.phase, state.revivals, state.problems) == (Phase.PREPARING, revival, (PROBLEM,))
        assert effects == [lc.CancelWork(), lc.Prepare()]
        state, _ = play(
            state, lc.Prepared(state.run, candidates=1), lc.GuestReached(state.run), lc.EngineReady(state.run)
        )
    state, effects = play(state, lc.Exited(state.run, orderly=False, problem=PROBLEM))
    assert (state.phase, state.problems) == (Phase.FAILED, (PROBLEM,))


def test_a_kernel_that_crashes_while_it_boots_is_started_again_twice() -> None:
    panic = replace(PROBLEM, code=ProblemCode.KERNEL_PANIC)
    state, _ = play(State(), lc.StartRequested())
    for revival in range(1, lc.MAX_BOOT_PANICS + 1):
        state, _ = play(state, lc.Prepared(state.run, candidates=1))
        assert state.phase is Phase.BOOTING
        state, effects = play(state, lc.Exited(state.run, orderly=False, problem=panic))
        assert (state.phase, state.revivals, effects) == (Phase.PREPARING, revival, [lc.CancelWork(), lc.Prepare()])
    state, _ = play(state, lc.Prepared(state.run, candidates=1))
    state, _ = play(state, lc.Exited(state.run, orderly=False, problem=panic))
    assert (state.phase, state.problems[0].code) == (Phase.FAILED, ProblemCode.KERNEL_PANIC)


def test_running_well_forgives_former_deaths() -> None:
    state, _ = play(running(), lc.Exited(1, orderly=False, problem=PROBLEM))
    state, _ = play(state, lc.Prepared(2, candidates=1), lc.GuestReached(2), lc.EngineReady(2), lc.RanWell(2))
    assert state.revivals == 0


def test_a_shutdown_from_within_is_a_wish() -> None:
    state, _ = play(running(), lc.Exited(1, orderly=True, problem=None))
    assert (state.phase, state.desired) == (Phase.STOPPED, Desired.STOPPED)


def test_restart_waits_for_the_end_of_the_old_machine() -> None:
    state, effects = play(running(), lc.RestartRequested())
    assert (state.phase, state.desired) == (Phase.STOPPING, Desired.RUNNING)
    assert lc.Prepare() not in effects
    state, effects = play(state, lc.Exited(1, orderly=True, problem=None))
    assert (state.phase, state.run) == (Phase.PREPARING, 2)
    assert lc.Prepare() in effects


def test_a_stop_during_a_restart_wins() -> None:
    state, _ = play(running(), lc.RestartRequested(), lc.StopRequested(), lc.Exited(1, orderly=True, problem=None))
    assert (state.phase, state.desired) == (Phase.STOPPED, Desired.STOPPED)


def test_a_slow_engine_is_degraded_until_it_answers() -> None:
    state, effects = play(in_phase(Phase.CONNECTING), lc.ConnectFailed(1, PROBLEM))
    assert (state.phase, state.problems, effects) == (Phase.DEGRADED, (PROBLEM,), [])
    state, _ = play(state, lc.EngineReady(1))
    assert (state.phase, state.problems) == (Phase.RUNNING, ())


def test_a_lost_engine_is_reconnected_once() -> None:
    state, effects = play(running(), lc.EngineLost(1, PROBLEM), lc.EngineLost(1, PROBLEM))
    assert state.phase is Phase.DEGRADED
    assert effects == [lc.Connect()]


def test_a_fault_told_while_the_engine_answers_does_not_keep_its_loss_from_being_mended() -> None:
    state, effects = play(running(), lc.ConnectFailed(1, PROBLEM))
    assert (state.phase, effects) == (Phase.RUNNING, [])
    state, effects = play(state, lc.EngineLost(1, PROBLEM))
    assert (state.phase, effects) == (Phase.DEGRADED, [lc.Connect()])


def test_adoption() -> None:
    state, effects = play(State(), lc.Adopted())
    assert (state.phase, state.desired, state.run, effects) == (Phase.CONNECTING, Desired.RUNNING, 1, [lc.Connect()])
    state, effects = play(State(), lc.AdoptFailed(PROBLEM))
    assert (state.phase, state.problems, effects) == (Phase.FAILED, (PROBLEM,), [])


def test_a_machine_is_suspended_and_goes_on() -> None:
    state, effects = play(running(), lc.StopRequested(StopPolicy.SUSPEND))
    assert (state.phase, effects) == (Phase.STOPPING, [lc.CancelWork(), lc.ShutDown(StopPolicy.SUSPEND)])
    state, _ = play(state, lc.Exited(1, orderly=True, problem=None, suspended=True))
    assert (state.phase, state.desired) == (Phase.SUSPENDED, Desired.STOPPED)
    state, effects = play(state, lc.StartRequested())
    assert (state.phase, state.desired, effects) == (Phase.PREPARING, Desired.RUNNING, [lc.Prepare()])


def test_a_start_during_a_suspend_goes_on_from_it() -> None:
    state, _ = play(running(), lc.StopRequested(StopPolicy.SUSPEND), lc.StartRequested())
    state, effects = play(state, lc.Exited(1, orderly=True, problem=None, suspended=True))
    assert (state.phase, effects) == (Phase.PREPARING, [lc.CancelWork(), lc.Prepare()])


def test_what_could_not_be_suspended_is_stopped() -> None:
    state, _ = play(running(), lc.StopRequested(StopPolicy.SUSPEND), lc.Exited(1, orderly=True, problem=None))
    assert state.phase is Phase.STOPPED


def test_to_stop_a_suspended_machine_its_containers_are_ended_in_order() -> None:
    state, effects = play(in_phase(Phase.SUSPENDED), lc.StopRequested())
    assert (state.phase, state.desired, effects) == (Phase.PREPARING, Desired.STOPPED, [lc.Prepare()])
    state, _ = play(state, lc.StopRequested())  # said again: it is under way
    state, effects = play(state, lc.Prepared(1, candidates=1), lc.GuestReached(1))
    assert (state.phase, effects) == (Phase.STOPPING, [lc.Launch(0), lc.ShutDown(StopPolicy.POWER_DOWN)])
    state, _ = play(state, lc.Exited(1, orderly=True, problem=None))
    assert (state.phase, state.closing) == (Phase.STOPPED, False)


def test_a_start_overtakes_the_end_of_a_suspended_machine() -> None:
    state, effects = play(
        in_phase(Phase.SUSPENDED), lc.StopRequested(), lc.StartRequested(), lc.Prepared(1, 1), lc.GuestReached(1)
    )
    assert (state.phase, state.desired) == (Phase.CONNECTING, Desired.RUNNING)
    assert effects == [lc.Prepare(), lc.Launch(0), lc.Connect()]


def test_to_kill_a_suspended_machine_gives_its_state_up() -> None:
    state, effects = play(in_phase(Phase.SUSPENDED), lc.StopRequested(StopPolicy.KILL))
    assert (state.phase, effects) == (Phase.STOPPED, [lc.Discard()])
    state, effects = play(in_phase(Phase.SUSPENDED), lc.StartRequested(), lc.StopRequested(StopPolicy.KILL))
    assert (state.phase, lc.Discard() in effects) == (Phase.STOPPING, True)
    state, effects = play(in_phase(Phase.SUSPENDED), lc.RestartRequested(StopPolicy.KILL))
    assert (state.phase, effects) == (Phase.PREPARING, [lc.Discard(), lc.Prepare()])


def test_every_event_is_understood_in_every_phase() -> None:
    events: list[lc.Event] = [
        lc.StartRequested(),
        lc.StopRequested(),
        lc.StopRequested(StopPolicy.KILL),
        lc.StopRequested(StopPolicy.SUSPEND),
        lc.RestartRequested(),
        lc.RestartRequested(StopPolicy.KILL),
        lc.Prepared(1, candidates=1),
        lc.PrepareFailed(1, PROBLEM),
        lc.GuestReached(1),
        lc.LaunchFailed(1, PROBLEM, try_next=True),
        lc.EngineReady(1),
        lc.RanWell(1),
        lc.ConnectFailed(1, PROBLEM),
        lc.EngineLost(1, PROBLEM),
        lc.Exited(1, orderly=False, problem=PROBLEM),
        lc.Exited(1, orderly=True, problem=None),
        lc.Exited(1, orderly=True, problem=None, suspended=True),
        lc.Adopted(),
        lc.FoundSuspended(),
        lc.AdoptFailed(PROBLEM),
    ]
    for phase, first, second in itertools.product(Phase, events, events):
        state, _ = play(in_phase(phase), first, second)
        assert isinstance(state.phase, Phase)
