"""Waiting for a condition: looked at when something changes, and with a deadline that says what was waited for."""

from __future__ import annotations

import asyncio

import pytest

from backend.agent.core.changes import Changes
from backend.errors import ProblemCode, WherryError
from backend.messages import message
from tests.fakes.loop import on_loop, turns


class Condition:
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        self.value = ""
        self.looks = 0

    def __call__(self) -> str:
        self.looks += 1
        return self.value


@on_loop
async def test_what_is_true_already_is_not_waited_for() -> None:
    condition = Condition()
    condition.value = "yes"
    assert await Changes().until(condition, message("It isn't."), timeout_s=0) == "yes"


@on_loop
async def test_a_condition_is_looked_at_once_for_each_change() -> None:
    changes, condition = Changes(), Condition()
    waiting = asyncio.create_task(changes.until(condition, message("It isn't."), timeout_s=20))
    await turns()
    assert condition.looks == 1
    changes.notify()
    changes.notify()
    await turns()
    assert condition.looks == 2, "two changes in one turn are one look"
    condition.value = "yes"
    await turns()
    assert not waiting.done(), "nobody has said that it is different"
    changes.notify()
    assert await waiting == "yes"


@on_loop
async def test_the_deadline_says_what_was_waited_for() -> None:
    changes = Changes()

    async def change_all_the_time() -> None:
        while True:
            changes.notify()
            await asyncio.sleep(0.005)

    changing = asyncio.create_task(change_all_the_time())
    with pytest.raises(WherryError) as caught:
        await changes.until(lambda: False, message("The machine didn't stop."), timeout_s=0.1)
    changing.cancel()
    assert caught.value.problem.code is ProblemCode.STEP_TIMED_OUT
    assert "The machine didn't stop." in str(caught.value.problem.summary)
    assert "0.1 s" in str(caught.value.problem.summary)


@on_loop
async def test_who_gives_up_is_forgotten_and_the_others_are_not() -> None:
    changes, condition = Changes(), Condition()
    leaving = asyncio.create_task(changes.until(condition, message("It isn't."), timeout_s=None))
    staying = asyncio.create_task(changes.until(condition, message("It isn't."), timeout_s=None))
    await turns()
    leaving.cancel()
    await asyncio.wait({leaving})
    assert len(changes._waiters) == 1
    condition.value = "yes"
    changes.notify()
    assert await staying == "yes"
    assert leaving.cancelled()


@on_loop
async def test_a_condition_may_bring_about_the_next_change() -> None:
    changes = Changes()
    seen: list[int] = []

    async def step(number: int) -> None:
        await changes.until(lambda: len(seen) == number, message("step {number}", number=number), timeout_s=20)
        seen.append(number)
        changes.notify()

    await asyncio.gather(*(step(number) for number in reversed(range(20))))
    assert seen == list(range(20))
