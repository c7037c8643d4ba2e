"""The watchdog's rules: what is reported, when, and above all when nothing is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.agent.watch.watch_rules import (
    CONTINUE_FREE_BYTES,
    ENOUGH_FREE_BYTES,
    LOW_FREE_BYTES,
    Act,
    Diagnosis,
    Observation,
    SilenceLimits,
    WatchState,
    judge,
)
from backend.errors import Action, ProblemCode

LIMITS = SilenceLimits(deaf_s=30, hung_s=60, silent_s=40, revived_s=90)


def observe(watch_state: WatchState, times: int, **seen: Any) -> tuple[WatchState, list[Diagnosis]]:
    """The same observation `times` times, one second apart."""
    diagnoses = []
    for _ in range(times):
        watch_state, diagnosis = judge(watch_state, Observation(passed_s=1.0, **seen), LIMITS)
        diagnoses.append(diagnosis)
    return watch_state, diagnoses


def first_reported(diagnoses: list[Diagnosis]) -> int | None:
    return next((number for number, diagnosis in enumerate(diagnoses, 1) if diagnosis.problem is not None), None)


@pytest.mark.parametrize(
    ("seen", "after", "action"),
    [
        ({"stopped": True, "deaf": True, "guest_silent": True}, 3, Action.FORCE_RESTART),
        ({"deaf": True, "guest_silent": True}, 30, Action.FORCE_RESTART),
        ({"state": "paused", "guest_silent": True}, 10, Action.CONTINUE),
        ({"state": "internal-error"}, 10, Action.FORCE_RESTART),
        ({"guest_silent": True, "engine_silent": True}, 60, Action.FORCE_RESTART),
    ],
)
def test_each_trouble_is_told_in_its_time_and_is_over_at_once(seen: dict[str, Any], after: int, action: Action) -> None:
    watch_state, diagnoses = observe(WatchState(), after + 20, **seen)
    assert first_reported(diagnoses) == after
    assert diagnoses[-1].problem is not None
    assert diagnoses[-1].problem.code is ProblemCode.GUEST_HUNG
    assert diagnoses[-1].problem.action is action
    assert diagnoses[-1].lost
    assert not any(diagnosis.acts for diagnosis in diagnoses), "the user's machine is not ended by itself"
    _, (diagnosis,) = observe(watch_state, 1)
    assert diagnosis == Diagnosis()


def test_a_dead_engine_is_restarted_once_and_then_it_is_the_users_turn() -> None:
    watch_state, diagnoses = observe(WatchState(), 40, engine_silent=True)
    assert [diagnosis.acts for diagnosis in diagnoses] == [()] * 39 + [(Act.REVIVE_ENGINE,)]
    assert first_reported(diagnoses) is None
    assert diagnoses[-1].lost
    watch_state, diagnoses = observe(watch_state, 120)  # the way is being looked for; nobody is asked meanwhile
    assert not any(diagnosis.acts for diagnosis in diagnoses)
    assert first_reported(diagnoses) == 90
    assert diagnoses[-1].problem is not None
    assert (diagnoses[-1].problem.code, diagnoses[-1].problem.action) == (ProblemCode.ENGINE_DOWN, Action.RESTART)
    watch_state, diagnoses = observe(watch_state, 1, engine_answers=True)
    assert diagnoses == [Diagnosis()]
    _, diagnoses = observe(watch_state, 40, engine_silent=True)
    assert diagnoses[-1].acts == (Act.REVIVE_ENGINE,), "the next time it is restarted again"


def test_a_silent_ssh_server_is_restarted() -> None:
    _, diagnoses = observe(WatchState(), 40, ssh_silent=True)
    assert diagnoses[-1].acts == (Act.REVIVE_SSH,)
    assert not any(diagnosis.acts for diagnosis in diagnoses[:-1])


def test_the_engine_is_not_blamed_for_a_guest_that_stood_still() -> None:
    watch_state, _ = observe(WatchState(), 39, engine_silent=True)
    watch_state, _ = observe(watch_state, 5, stopped=True, engine_silent=True)
    _, diagnoses = observe(watch_state, 39, engine_silent=True)
    assert not any(diagnosis.acts for diagnosis in diagnoses)


def test_a_question_that_is_just_under_way_hides_nothing() -> None:
    watch_state, reported = WatchState(), []
    for number in range(200):
        busy = {"deaf": number % 3 == 0, "guest_silent": True}
        watch_state, (diagnosis,) = observe(watch_state, 1, **busy)
        reported.append(diagnosis.problem is not None)
    assert reported.index(True) < 100
    assert all(reported[reported.index(True) :]), "it does not flutter"
    watch_state, reported = WatchState(), []
    for number in range(400):
        busy = {"deaf": number % 3 == 0, "guest_silent": number % 5 == 0, "engine_silent": True}
        watch_state, (diagnosis,) = observe(watch_state, 1, **busy)
        reported.append(diagnosis.problem is not None)
    assert all(reported[reported.index(True) :]), "it does not flutter"


def test_a_computer_that_slept_finds_nobody_silent() -> None:
    observation = Observation(passed_s=10_000, guest_silent=True, engine_silent=True)
    watch_state, diagnosis = judge(WatchState(), observation, LIMITS)
    assert diagnosis == Diagnosis()
    _, diagnosis = judge(watch_state, Observation(passed_s=1), LIMITS)
    assert diagnosis == Diagnosis()


def test_a_full_host_disk_is_told_at_once_and_the_machine_goes_on_when_there_is_room() -> None:
    watch_state, (diagnosis,) = observe(WatchState(), 1, state="io-error", no_space=True, host_free=0)
    assert diagnosis.problem is not None
    assert (diagnosis.problem.code, diagnosis.problem.action) == (ProblemCode.HOST_DISK_FULL, Action.CONTINUE)
    assert (diagnosis.acts, diagnosis.warning) == ((), None)
    watch_state, (diagnosis,) = observe(watch_state, 1, state="io-error", no_space=True, host_free=CONTINUE_FREE_BYTES)
    assert diagnosis.acts == (Act.CONTINUE,)
    _, (diagnosis,) = observe(watch_state, 1, state="io-error", no_space=False)
    assert diagnosis.problem is not None
    assert (diagnosis.problem.code, diagnosis.acts) == (ProblemCode.DISK_DAMAGED, ())


def test_the_warning_of_a_host_disk_does_not_flutter() -> None:
    watch_state = WatchState()
    warned = []
    for free in (
        LOW_FREE_BYTES,
        LOW_FREE_BYTES - 1,
        LOW_FREE_BYTES + 1,
        None,
        ENOUGH_FREE_BYTES - 1,
        ENOUGH_FREE_BYTES,
    ):
        watch_state, diagnosis = judge(watch_state, Observation(passed_s=1, host_free=free), LIMITS)
        assert diagnosis.problem is None
        warned.append(diagnosis.warning is not None)
    assert warned == [False, True, True, True, True, False]


SEEN = st.builds(
    Observation,
    passed_s=st.floats(0, 5),
    stopped=st.booleans(),
    deaf=st.booleans(),
    state=st.sampled_from(["running", "paused", "io-error", "internal-error", "inmigrate"]),
    no_space=st.booleans(),
    guest_silent=st.booleans(),
    ssh_silent=st.booleans(),
    engine_silent=st.booleans(),
    engine_answers=st.booleans(),
    host_free=st.none() | st.integers(0, 10 * LOW_FREE_BYTES),
)


@given(st.lists(SEEN, max_size=60))
def test_whatever_was_seen_a_sound_machine_has_no_problem(looks: list[Observation]) -> None:
    watch_state = WatchState()
    for seen in looks:
        watch_state, diagnosis = judge(watch_state, seen, LIMITS)
        assert diagnosis.problem is None or diagnosis.problem.action is not None
        assert all(value is None or value >= 0 for value in dataclasses.astuple(watch_state))
    watch_state, _ = judge(watch_state, Observation(passed_s=1, engine_answers=True), LIMITS)
    _, diagnosis = judge(watch_state, Observation(passed_s=1, engine_answers=True), LIMITS)
    assert (diagnosis.problem, diagnosis.lost, diagnosis.acts) == (None, None, ())
