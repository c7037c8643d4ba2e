"""The watchdog's judgement: what is told, when, and above all when nothing is."""

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
    Memory,
    Seen,
    SilenceLimits,
    judge,
)
from backend.errors import Action, ProblemCode

LIMITS = SilenceLimits(deaf_s=30, hung_s=60, silent_s=40, revived_s=90)


def look(memory: Memory, times: int, **seen: Any) -> tuple[Memory, list[Diagnosis]]:
    """That many looks of a second each."""
    verdicts = []
    for _ in range(times):
        memory, verdict = judge(memory, Seen(passed_s=1.0, **seen), LIMITS)
        verdicts.append(verdict)
    return memory, verdicts


def first_told(verdicts: list[Diagnosis]) -> int | None:
    return next((number for number, verdict in enumerate(verdicts, 1) if verdict.problem is not None), None)


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
    memory, verdicts = look(Memory(), after + 20, **seen)
    assert first_told(verdicts) == after
    assert verdicts[-1].problem is not None
    assert verdicts[-1].problem.code is ProblemCode.GUEST_HUNG
    assert verdicts[-1].problem.action is action
    assert verdicts[-1].lost
    assert not any(verdict.acts for verdict in verdicts), "the user's machine is not ended by itself"
    _, (verdict,) = look(memory, 1)
    assert verdict == Diagnosis()


def test_a_dead_engine_is_restarted_once_and_then_it_is_the_users_turn() -> None:
    memory, verdicts = look(Memory(), 40, engine_silent=True)
    assert [verdict.acts for verdict in verdicts] == [()] * 39 + [(Act.REVIVE_ENGINE,)]
    assert first_told(verdicts) is None
    assert verdicts[-1].lost
    memory, verdicts = look(memory, 120)  # the way is being looked for; nobody is asked meanwhile
    assert not any(verdict.acts for verdict in verdicts)
    assert first_told(verdicts) == 90
    assert verdicts[-1].problem is not None
    assert (verdicts[-1].problem.code, verdicts[-1].problem.action) == (ProblemCode.ENGINE_DOWN, Action.RESTART)
    memory, verdicts = look(memory, 1, engine_answers=True)
    assert verdicts == [Diagnosis()]
    _, verdicts = look(memory, 40, engine_silent=True)
    assert verdicts[-1].acts == (Act.REVIVE_ENGINE,), "the next time it is restarted again"


def test_a_silent_ssh_server_is_restarted() -> None:
    _, verdicts = look(Memory(), 40, ssh_silent=True)
    assert verdicts[-1].acts == (Act.REVIVE_SSH,)
    assert not any(verdict.acts for verdict in verdicts[:-1])


def test_the_engine_is_not_blamed_for_a_guest_that_stood_still() -> None:
    memory, _ = look(Memory(), 39, engine_silent=True)
    memory, _ = look(memory, 5, stopped=True, engine_silent=True)
    _, verdicts = look(memory, 39, engine_silent=True)
    assert not any(verdict.acts for verdict in verdicts)


def test_a_question_that_is_just_under_way_hides_nothing() -> None:
    memory, told = Memory(), []
    for number in range(200):
        busy = {"deaf": number % 3 == 0, "guest_silent": True}
        memory, (verdict,) = look(memory, 1, **busy)
        told.append(verdict.problem is not None)
    assert told.index(True) < 100
    assert all(told[told.index(True) :]), "it does not flutter"
    memory, told = Memory(), []
    for number in range(400):
        busy = {"deaf": number % 3 == 0, "guest_silent": number % 5 == 0, "engine_silent": True}
        memory, (verdict,) = look(memory, 1, **busy)
        told.append(verdict.problem is not None)
    assert all(told[told.index(True) :]), "it does not flutter"


def test_a_computer_that_slept_finds_nobody_silent() -> None:
    memory, verdict = judge(Memory(), Seen(passed_s=10_000, guest_silent=True, engine_silent=True), LIMITS)
    assert verdict == Diagnosis()
    _, verdict = judge(memory, Seen(passed_s=1), LIMITS)
    assert verdict == Diagnosis()


def test_a_full_host_disk_is_told_at_once_and_the_machine_goes_on_when_there_is_room() -> None:
    memory, (verdict,) = look(Memory(), 1, state="io-error", no_space=True, host_free=0)
    assert verdict.problem is not None
    assert (verdict.problem.code, verdict.problem.action) == (ProblemCode.HOST_DISK_FULL, Action.CONTINUE)
    assert (verdict.acts, verdict.warning) == ((), None)
    memory, (verdict,) = look(memory, 1, state="io-error", no_space=True, host_free=CONTINUE_FREE_BYTES)
    assert verdict.acts == (Act.CONTINUE,)
    _, (verdict,) = look(memory, 1, state="io-error", no_space=False)
    assert verdict.problem is not None
    assert (verdict.problem.code, verdict.acts) == (ProblemCode.DISK_DAMAGED, ())


def test_the_warning_of_a_host_disk_does_not_flutter() -> None:
    memory = Memory()
    told = []
    for free in (
        LOW_FREE_BYTES,
        LOW_FREE_BYTES - 1,
        LOW_FREE_BYTES + 1,
        None,
        ENOUGH_FREE_BYTES - 1,
        ENOUGH_FREE_BYTES,
    ):
        memory, verdict = judge(memory, Seen(passed_s=1, host_free=free), LIMITS)
        assert verdict.problem is None
        told.append(verdict.warning is not None)
    assert told == [False, True, True, True, True, False]


SEEN = st.builds(
    Seen,
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
def test_whatever_was_seen_a_sound_machine_has_no_problem(looks: list[Seen]) -> None:
    memory = Memory()
    for seen in looks:
        memory, verdict = judge(memory, seen, LIMITS)
        assert verdict.problem is None or verdict.problem.action is not None
        assert all(value is None or value >= 0 for value in dataclasses.astuple(memory))
    memory, _ = judge(memory, Seen(passed_s=1, engine_answers=True), LIMITS)
    _, verdict = judge(memory, Seen(passed_s=1, engine_answers=True), LIMITS)
    assert (verdict.problem, verdict.lost, verdict.acts) == (None, None, ())
