"""How far a start has come, on a clock that the test turns."""

from __future__ import annotations

from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import GUEST, KERNEL, LADDER, LAUNCH, PREPARE
from backend.model import StepState


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def states(progress: Progress) -> dict[str, StepState]:
    return {step.name: step.state for step in progress.steps()}


def make() -> tuple[Progress, Clock, list[int]]:
    clock, changes = Clock(), [0]

    def changed() -> None:
        changes[0] += 1

    return Progress(changed, clock=clock), clock, changes


def test_before_the_first_start_there_is_nothing() -> None:
    progress, _, _ = make()
    assert progress.steps() == ()
    assert progress.seconds is None


def test_a_step_ends_where_the_next_begins() -> None:
    progress, clock, changes = make()
    progress.reset()
    progress.begin(PREPARE)
    clock.now += 2
    progress.begin(LAUNCH)
    clock.now += 1
    prepare, launch, kernel, *_ = progress.steps()
    assert (prepare.state, prepare.elapsed_s) == (StepState.DONE, 2)
    assert (launch.state, launch.began_at, launch.elapsed_at(clock.now)) == (StepState.ACTIVE, clock.now - 1, 1)
    assert (kernel.state, kernel.elapsed_s) == (StepState.PENDING, None)
    assert len(progress.steps()) == len(LADDER)
    assert progress.seconds == 3
    assert changes == [3]


def test_the_next_accelerator_begins_again_from_its_launch() -> None:
    progress, clock, _ = make()
    progress.reset()
    for step in (PREPARE, LAUNCH, KERNEL, GUEST):
        progress.begin(step)
        clock.now += 1
    progress.begin(LAUNCH)
    assert states(progress) == {
        "prepare": StepState.DONE,
        "launch": StepState.ACTIVE,
        "kernel": StepState.PENDING,
        "guest": StepState.PENDING,
        "ssh": StepState.PENDING,
        "engine": StepState.PENDING,
    }
    assert progress.steps()[1].elapsed_at(clock.now) == 0


def test_a_failure_is_shown_where_it_happened_until_the_next_start() -> None:
    progress, clock, _ = make()
    progress.reset()
    progress.begin(PREPARE)
    clock.now += 5
    progress.fail()
    clock.now += 50
    assert progress.steps()[0].state is StepState.FAILED
    assert progress.steps()[0].elapsed_s == 5
    progress.reset()
    assert progress.steps() == ()


def test_a_finished_start_keeps_its_times_and_a_stop_forgets_them() -> None:
    progress, clock, _ = make()
    progress.reset()
    for step in LADDER:
        progress.begin(step)
        clock.now += 1
    progress.finish()
    clock.now += 100
    assert {step.state for step in progress.steps()} == {StepState.DONE}
    assert [step.elapsed_s for step in progress.steps()] == [1] * len(LADDER)
    progress.clear()
    assert progress.steps() == ()


def test_a_step_under_way_is_the_same_however_late_it_is_looked_at() -> None:
    progress, clock, _ = make()
    progress.reset()
    progress.begin(PREPARE)
    before = progress.steps()
    clock.now += 60
    assert progress.steps() == before
    assert progress.steps()[0].elapsed_at(clock.now) == 60
