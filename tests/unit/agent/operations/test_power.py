"""Bringing the machine up and down as a step of something longer: by its snapshots, without looking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from backend.agent.core.changes import Changes
from backend.agent.core.lifecycle import Event, StartRequested, StopRequested
from backend.agent.operations.power import Power
from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Phase, StopPolicy
from tests.fakes.loop import on_loop

DAMAGED = Problem(code=ProblemCode.DISK_DAMAGED, summary=verbatim("The disk is damaged."))
SLOW = Problem(code=ProblemCode.ENGINE_DOWN, summary=verbatim("The engine is slow."))


def status(phase: Phase, *problems: Problem) -> MachineStatus:
    return MachineStatus(seq=0, phase=phase, desired=Desired.RUNNING, problems=problems)


class Machine:
    """Goes through the snapshots that follow each request, one in each turn of the loop."""

    def __init__(self, first: MachineStatus, *after: Sequence[MachineStatus]) -> None:
        self.now = first
        self.asked: list[Event] = []
        self._after = list(after)
        self._changes = Changes()
        self.until = self._changes.until
        self._moving: list[asyncio.Task[None]] = []

    def status(self) -> MachineStatus:
        return self.now

    async def ask(self, event: Event) -> int:
        self.asked.append(event)
        following = list(self._after.pop(0))
        if following:  # the request itself shows at once
            self.now = following.pop(0)
        self._moving.append(asyncio.create_task(self._move(following)))
        return 0

    async def _move(self, following: list[MachineStatus]) -> None:
        for self.now in following:
            await asyncio.sleep(0)
            self._changes.notify()


@on_loop
async def test_a_start_ends_with_the_engines_answer() -> None:
    machine = Machine(
        status(Phase.STOPPED),
        [status(phase) for phase in (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING, Phase.RUNNING)],
    )
    await Power(machine).start()
    assert machine.now.phase is Phase.RUNNING


@on_loop
async def test_a_start_that_fails_says_why() -> None:
    machine = Machine(status(Phase.STOPPED), [status(Phase.PREPARING), status(Phase.FAILED, DAMAGED)])
    with pytest.raises(WherryError) as caught:
        await Power(machine).start()
    assert caught.value.problem == DAMAGED


@on_loop
async def test_an_engine_that_is_slow_is_waited_for() -> None:
    following = [status(Phase.CONNECTING), status(Phase.DEGRADED, SLOW), status(Phase.RUNNING)]
    machine = Machine(status(Phase.STOPPED), following)
    await Power(machine).start()
    assert machine.now.phase is Phase.RUNNING


@on_loop
async def test_an_engine_that_does_not_answer_is_given_up() -> None:
    machine = Machine(status(Phase.STOPPED), [status(Phase.CONNECTING), status(Phase.DEGRADED, SLOW)])
    with pytest.raises(WherryError) as caught:
        await Power(machine, degraded_s=0.05).start()
    assert caught.value.problem == SLOW


@on_loop
async def test_an_engine_without_a_disk_is_not_waited_for() -> None:
    machine = Machine(status(Phase.STOPPED), [status(Phase.CONNECTING), status(Phase.DEGRADED, DAMAGED)])
    with pytest.raises(WherryError) as caught:
        await Power(machine).start()
    assert caught.value.problem == DAMAGED


@on_loop
async def test_a_suspended_machine_is_brought_up_to_be_shut_down() -> None:
    machine = Machine(
        status(Phase.SUSPENDED),
        [status(phase) for phase in (Phase.PREPARING, Phase.BOOTING, Phase.STOPPING, Phase.STOPPED)],
    )
    await Power(machine).stop()
    assert machine.asked == [StopRequested(StopPolicy.POWER_DOWN, by_person=False)]


@on_loop
async def test_one_that_failed_and_is_suspended_after_all_is_stopped_too() -> None:
    machine = Machine(status(Phase.FAILED), [status(Phase.SUSPENDED)], [status(Phase.PREPARING), status(Phase.STOPPED)])
    await Power(machine).stop()
    assert len(machine.asked) == 2


@on_loop
async def test_one_that_cannot_be_brought_up_to_be_shut_down_is_told() -> None:
    machine = Machine(status(Phase.SUSPENDED), [status(Phase.PREPARING), status(Phase.FAILED, DAMAGED)])
    with pytest.raises(WherryError) as caught:
        await Power(machine).stop()
    assert caught.value.problem == DAMAGED


@on_loop
async def test_what_ran_is_started_and_what_did_not_is_stopped() -> None:
    machine = Machine(status(Phase.STOPPED), [status(Phase.RUNNING)], [status(Phase.STOPPED)])
    power = Power(machine)
    await power.bring_back(running=False)
    assert machine.asked == []
    await power.bring_back(running=True)
    await power.bring_back(running=False)
    assert machine.asked == [StartRequested(), StopRequested(StopPolicy.POWER_DOWN, by_person=False)]
