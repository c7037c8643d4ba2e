"""Long operations: one at a time, cancelled only where they say so, settled by the next agent after a kill."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from backend.agent.core import journal as journals
from backend.agent.core.changes import Changes
from backend.agent.core.journal import Journal
from backend.agent.operations.operations import Operation, Operations
from backend.control import messages
from backend.errors import Cancelled, Problem, ProblemCode, WherryError, fail
from backend.messages import Message, verbatim
from backend.model import Notice, OperationStatus


def in_a_loop(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    @functools.wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    return run


class Stage:
    """The supervisor, as far as operations need it."""

    has_begun = True

    def __init__(self) -> None:
        self.shown: list[OperationStatus | None] = []
        self.changes = Changes()
        self.until = self.changes.until

    def show_operation(self, operation: OperationStatus | None) -> None:
        self.shown.append(operation)
        self.changes.notify()


def made(place: Path) -> tuple[Operations, Stage, list[Notice]]:
    stage, notices = Stage(), list[Notice]()
    return Operations(place / "operation.json", stage, notify=notices.append), stage, notices


async def refusal(operations: Operations) -> WherryError:
    with pytest.raises(WherryError) as caught:
        operations.refuse_meanwhile()
    return caught.value


@in_a_loop
async def test_a_second_one_is_refused_and_told_which_is_first(tmp_path: Path) -> None:
    operations, stage, _ = made(tmp_path)
    go = asyncio.Event()

    async def first(operation: Operation) -> dict[str, Any]:
        operation.step(verbatim("Copying"), 0.5)
        await go.wait()
        return {"moved": True}

    asked = asyncio.create_task(operations.run("disk.move", verbatim("Moving the disk"), first))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(WherryError) as caught:
        await operations.run("reset", verbatim("Resetting"), first)
    assert caught.value.problem.code is ProblemCode.BUSY
    assert "Moving the disk" in str(caught.value.problem.summary)
    assert stage.shown[-1] == OperationStatus(
        name="disk.move", title=verbatim("Moving the disk"), step=verbatim("Copying"), fraction=0.5, cancellable=False
    )
    go.set()
    assert await asked == {"moved": True}
    assert [shown for shown in stage.shown if shown is None], "its end is told"
    operations.refuse_meanwhile()


@in_a_loop
async def test_a_client_that_leaves_does_not_end_it(tmp_path: Path) -> None:
    operations, _, _ = made(tmp_path)
    begun, go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_operation: Operation) -> dict[str, Any]:
        begun.set()
        await go.wait()
        ended.set()
        return {}

    asked = asyncio.create_task(operations.run("reset", verbatim("Resetting"), work))
    await asyncio.wait_for(begun.wait(), 20)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await refusal(operations)
    go.set()
    await asyncio.wait_for(ended.wait(), 20)


@in_a_loop
async def test_it_is_cancelled_where_it_says_so_and_nowhere_else(tmp_path: Path) -> None:
    operations, _, _ = made(tmp_path)
    begun, go, copying = asyncio.Event(), asyncio.Event(), asyncio.Event()
    undone: list[str] = []

    async def copy() -> None:
        copying.set()
        await asyncio.sleep(60)

    async def work(operation: Operation) -> dict[str, Any]:
        begun.set()
        await go.wait()
        operation.cancellable = True
        try:
            await operation.unless_cancelled(copy())
        except Cancelled:
            undone.append("copy")
            raise
        return {}

    asked = asyncio.create_task(operations.run("disk.move", verbatim("Moving the disk"), work))
    await asyncio.wait_for(begun.wait(), 20)
    (canceller,) = operations.handlers()

    async def cancel() -> object:
        return await canceller.handle(messages.CancelOperation())

    with pytest.raises(WherryError) as caught:
        await cancel()
    assert caught.value.problem.code is ProblemCode.WRONG_PHASE
    go.set()
    await asyncio.wait_for(copying.wait(), 20)
    await cancel()
    with pytest.raises(Cancelled):
        await asyncio.wait_for(asked, 20)
    assert undone == ["copy"]
    with pytest.raises(WherryError):
        await cancel()


RAISED = (
    fail(ProblemCode.HOST_DISK_FULL, verbatim("Full.")),
    Cancelled(Problem(code=ProblemCode.CANCELLED, summary=verbatim("Cancelled."))),
    KeyError("a defect"),
    asyncio.CancelledError(),
)


@pytest.mark.expect_log("ended early and is taken back")
@pytest.mark.expect_log("task Moving the disk failed", at_least=0)
@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_whatever_it_raises_its_recovery_runs_and_the_journal_outlives_it(
    raised: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "operation.json"
    recovered: list[tuple[Journal, BaseException | None]] = []

    async def work(operation: Operation) -> dict[str, Any]:
        await operation.note("copying", was_running=True, target="/x")
        await operation.note("switching", size=3)
        raise raised

    async def recover(operation: Operation, left: Journal, why: BaseException | None) -> Message:
        assert journals.load(path) == left, "a kill now is followed by the next agent's recovery"
        assert operation.holds_clients
        recovered.append((left, why))
        return verbatim("It is where it was.")

    async def run() -> None:
        operations, stage, notices = made(tmp_path)
        operations.register("disk.move", verbatim("Moving the disk"), recover)
        with pytest.raises(WherryError if isinstance(raised, asyncio.CancelledError) else type(raised)):
            await operations.run("disk.move", verbatim("Moving the disk"), work)
        assert not operations.is_busy
        assert stage.shown[-1] is None
        assert not [notice for notice in notices if str(notice.text) == "It is where it was."], (
            "whoever asked is answered"
        )

    asyncio.run(run())
    assert recovered == [
        (Journal(name="disk.move", stage="switching", was_running=True, details={"target": "/x", "size": 3}), raised)
    ]
    assert not path.exists()


@in_a_loop
@pytest.mark.expect_log("ended early and is taken back")
@pytest.mark.expect_log("operations: Full.")
@pytest.mark.expect_log("operations: Internal error")
async def test_what_could_not_be_put_in_order_is_tried_again_and_nothing_begins_before(tmp_path: Path) -> None:
    path = tmp_path / "operation.json"
    operations, _, notices = made(tmp_path)
    failures: list[Exception] = [
        KeyError("a defect"),
        fail(ProblemCode.HOST_DISK_FULL, verbatim("Full."), hint=verbatim("Free some.")),
    ]
    tried: list[BaseException | None] = []

    async def recover(_operation: Operation, _left: Journal, why: BaseException | None) -> None:
        tried.append(why)
        if failures:
            raise failures.pop()

    async def fails(operation: Operation) -> dict[str, Any]:
        await operation.note("copying", was_running=True)
        raise KeyError("the first")

    async def nothing(_operation: Operation) -> dict[str, Any]:
        return {}

    operations.register("disk.move", verbatim("Moving the disk"), recover)
    with pytest.raises(WherryError, match="Full"):
        await operations.run("disk.move", verbatim("Moving the disk"), fails)
    assert path.exists()
    assert "Full. Free some." in str(notices[-1].text)
    assert str((await refusal(operations)).problem.hint) == "Free some."
    with pytest.raises(WherryError, match="not finished yet"):
        await operations.run("update.apply", verbatim("Updating"), nothing)
    with pytest.raises(WherryError, match="not finished yet"):
        async with asyncio.timeout(20):
            await operations.admit()
    operations.refuse_under_way()
    with pytest.raises(WherryError, match="KeyError"):
        await operations.settle()
    assert path.exists()
    await operations.settle()
    assert not path.exists()
    assert not operations.is_busy
    assert [type(why) for why in tried] == [KeyError, type(None), type(None)]
    await operations.settle()
    assert len(tried) == 3


@in_a_loop
@pytest.mark.expect_log("ended early and is taken back")
@pytest.mark.expect_log("There is no such checkpoint")
async def test_what_gives_the_disk_a_content_of_its_own_takes_the_place_of_what_was_left(tmp_path: Path) -> None:
    path = tmp_path / "operation.json"
    operations, _, _ = made(tmp_path)

    async def recover(_operation: Operation, _left: Journal, _why: BaseException | None) -> None:
        raise fail(ProblemCode.BAD_REQUEST, verbatim("There is no such checkpoint."))

    async def fails(operation: Operation) -> dict[str, Any]:
        await operation.note("blanking", was_running=False)
        raise KeyError("a defect")

    async def refuses(_operation: Operation) -> dict[str, Any]:
        raise fail(ProblemCode.BAD_REQUEST, verbatim("Not this one."))

    async def restores(operation: Operation) -> dict[str, Any]:
        await operation.note("stopping", was_running=False)
        return {"restored": True}

    operations.register("reset", verbatim("Resetting"), recover)
    with pytest.raises(WherryError):
        await operations.run("reset", verbatim("Resetting"), fails)
    with pytest.raises(WherryError, match="Not this one"):
        await operations.run("checkpoints.restore", verbatim("Going back"), refuses, replaces=True)
    left = journals.load(path)
    assert left is not None
    assert left.name == "reset"
    assert await operations.run("checkpoints.restore", verbatim("Going back"), restores, replaces=True) == {
        "restored": True
    }
    assert not operations.is_busy
    assert not path.exists()


@pytest.mark.expect_log("ended early and is taken back", at_least=0)
@pytest.mark.parametrize("where", ["work", "recovery", "cancelled work"])
def test_the_end_of_the_agent_leaves_the_journal_wherever_it_comes(where: str, tmp_path: Path) -> None:
    path = tmp_path / "operation.json"

    async def run() -> list[BaseException | None]:
        operations, _, _ = made(tmp_path)
        reached, never = asyncio.Event(), asyncio.Event()
        recovered: list[BaseException | None] = []

        async def stuck() -> None:
            try:
                if where == "work":
                    reached.set()
                await never.wait()
            finally:
                reached.set()
                if where == "cancelled work":
                    await never.wait()

        async def work(operation: Operation) -> dict[str, Any]:
            await operation.note("copying", was_running=True)
            if where == "recovery":
                raise KeyError("a defect")
            operation.cancellable = True
            if where == "cancelled work":
                asyncio.get_running_loop().call_soon(operation.cancel)
            await operation.unless_cancelled(stuck())
            return {}

        async def recover(_operation: Operation, _left: Journal, why: BaseException | None) -> None:
            recovered.append(why)
            reached.set()
            await never.wait()

        operations.register("disk.move", verbatim("Moving the disk"), recover)
        asked = asyncio.create_task(operations.run("disk.move", verbatim("Moving the disk"), work))
        await asyncio.wait_for(reached.wait(), 20)
        await operations.aclose()
        await asyncio.gather(asked, return_exceptions=True)
        return recovered

    recovered = asyncio.run(run())
    assert path.exists(), "the next agent has to hear of it"
    assert len(recovered) == (1 if where == "recovery" else 0)


@in_a_loop
@pytest.mark.expect_log(r"ended during disk\.move")
async def test_the_next_agent_settles_what_was_left(tmp_path: Path) -> None:
    path = tmp_path / "operation.json"
    journals.save(path, Journal(name="disk.move", stage="copying", was_running=True, details={"target": "/x"}))
    operations, stage, notices = made(tmp_path)
    assert (await refusal(operations)).problem.code is ProblemCode.BUSY
    recovered: list[Journal] = []

    async def recover(operation: Operation, left: Journal, why: BaseException | None) -> Message:
        assert why is None
        assert operation.holds_clients
        assert path.exists(), "until it is settled, another kill must be followed by another try"
        recovered.append(left)
        return verbatim("The disk is where it was.")

    operations.register("disk.move", verbatim("Moving the disk"), recover)
    await operations.run_recovery()
    assert recovered[0].details == {"target": "/x"}
    assert not path.exists()
    assert not operations.has_left
    assert [str(notice.text) for notice in notices] == ["The disk is where it was."]
    assert stage.shown[-1] is None
    await operations.admit()


@in_a_loop
@pytest.mark.expect_log("ended during reset")
@pytest.mark.expect_log("operations: It is damaged")
async def test_a_recovery_that_fails_is_told_and_the_journal_stays(tmp_path: Path) -> None:
    path = tmp_path / "operation.json"
    journals.save(path, Journal(name="reset", stage="blanking", was_running=False))
    operations, _, notices = made(tmp_path)

    async def recover(_operation: Operation, _left: Journal, _why: BaseException | None) -> None:
        raise fail(ProblemCode.DISK_DAMAGED, verbatim("It is damaged."), hint=verbatim("Put back a copy."))

    operations.register("reset", verbatim("Resetting"), recover)
    await operations.run_recovery()
    assert "It is damaged. Put back a copy." in str(notices[0].text)
    assert path.exists()
    assert not operations.is_under_way
    assert "It is damaged" in str((await refusal(operations)).problem.summary)


@in_a_loop
@pytest.mark.expect_log("ended during reset")
@pytest.mark.expect_log("It did not start again")
async def test_a_recovery_may_fail_after_everything_is_in_order(tmp_path: Path) -> None:
    path = tmp_path / "operation.json"
    journals.save(path, Journal(name="reset", stage="blanking", was_running=True))
    operations, _, notices = made(tmp_path)

    async def recover(operation: Operation, _left: Journal, _why: BaseException | None) -> None:
        await operation.end_journal()
        raise fail(ProblemCode.ENGINE_DOWN, verbatim("It did not start again."))

    operations.register("reset", verbatim("Resetting"), recover)
    await operations.run_recovery()
    assert "It did not start again." in str(notices[0].text)
    assert not path.exists()
    assert not operations.is_busy


@in_a_loop
@pytest.mark.expect_log("ended during teleport")
async def test_a_journal_of_an_unknown_kind_is_told(tmp_path: Path) -> None:
    journals.save(tmp_path / "operation.json", Journal(name="teleport", stage="half", was_running=True))
    operations, _, notices = made(tmp_path)
    await operations.run_recovery()
    assert "teleport" in str(notices[0].text)
    assert not operations.is_busy


@in_a_loop
@pytest.mark.expect_log("operation.json cannot be read")
async def test_a_journal_that_cannot_be_read_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "operation.json").write_bytes(b'{"name": 3')
    operations, _, _ = made(tmp_path)
    assert not operations.is_busy


@in_a_loop
@pytest.mark.expect_log("task Resetting failed")
async def test_a_defect_is_told_although_the_client_has_left(tmp_path: Path) -> None:
    operations, _, notices = made(tmp_path)
    go = asyncio.Event()

    async def work(_operation: Operation) -> dict[str, Any]:
        await go.wait()
        raise KeyError("a defect")

    asked = asyncio.create_task(operations.run("reset", verbatim("Resetting"), work))
    while not operations.is_busy:
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    go.set()
    async with asyncio.timeout(20):
        while not notices:
            await asyncio.sleep(0.005)
    assert "Resetting" in str(notices[0].text)
    assert "KeyError" in str(notices[0].text)
