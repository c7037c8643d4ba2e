"""The owner of tasks: whatever fails is told, to whom it concerns."""

from __future__ import annotations

import asyncio

import pytest

from backend.agent.core.tasks import Background, Tasks
from backend.errors import Problem, ProblemCode, fail
from backend.messages import verbatim
from tests.fakes.loop import turns


@pytest.mark.expect_log("task the figures failed")
@pytest.mark.expect_log("task prepare failed")
def test_what_fails_is_told_and_the_rest_goes_on() -> None:
    of_the_work, beside = list[Problem](), list[Problem]()

    async def fail() -> None:
        raise KeyError("a defect")

    async def go_on() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        tasks = Tasks(of_the_work.append, crashed_beside=beside.append)
        other = tasks.spawn(go_on(), "another")
        await asyncio.wait({tasks.spawn(fail(), "the figures")})
        await asyncio.sleep(0)
        assert not other.done()
        assert [problem.code for problem in beside] == [ProblemCode.INTERNAL]
        assert "the figures" in str(beside[0].summary)
        assert of_the_work == []
        tasks.begin(fail(), "prepare")
        tasks.shut_down(go_on())
        await turns()
        assert len(of_the_work) == 1
        await tasks.aclose()
        assert other.cancelled()
        assert len(beside) == 1, "to be cancelled is no defect"

    asyncio.run(run())


@pytest.mark.expect_log("task a checkpoint failed")
def test_of_work_in_the_background_only_defects_are_told() -> None:
    problems = list[Problem]()

    async def defective() -> None:
        raise KeyError("a defect")

    async def refused() -> None:
        raise fail(ProblemCode.BUSY, verbatim("Not now."))

    async def go_on() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        background = Background(problems.append)
        for work in (defective(), refused()):
            background.spawn(work, "a checkpoint")
        await background.wait(20)
        other = background.spawn(go_on(), "another")
        await background.aclose()
        assert other.cancelled()

    asyncio.run(run())
    assert len(problems) == 1
    assert "a checkpoint" in str(problems[0].summary)
