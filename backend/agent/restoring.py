"""Going back to a checkpoint, so that the present is never lost: stop, keep the present, go back, prove that it runs.

The present is a checkpoint of its own ("before-restore") before anything changes, and stays one afterwards. Whatever
fails after that puts it back. Each step is noted first (`restore_journal`), and `settle` finishes what a killed agent
left: qemu-img is whole or without effect at every moment, so the disk is one of the two.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backend.agent import restore_journal
from backend.agent.lifecycle import StartRequested, StopRequested
from backend.agent.restore_journal import RestoreJournal, RestoreStep
from backend.agent.supervisor import Supervisor
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.model import Notice, OperationStatus, Phase, StopPolicy
from backend.paths import MachineDir
from backend.vm.checkpoint_tags import BEFORE_RESTORE, Checkpoint

if TYPE_CHECKING:
    from backend.agent.checkpoints import Checkpoints

_log = logging.getLogger(__name__)

_PING_S: Final = 10.0
_STOP_S: Final = 180.0
_KILL_S: Final = 30.0
_START_S: Final = 1200.0
_DEGRADED_S: Final = 240.0
"""How long the engine may fail to answer, once the guest runs, before the present is put back."""
_POLL_S: Final = 0.05


class Restoring:
    """One per agent; its caller lets only one restore run at a time."""

    def __init__(
        self,
        directory: MachineDir,
        supervisor: Supervisor,
        checkpoints: Checkpoints,
        *,
        notify: Callable[[Notice], None],
    ) -> None:
        self._journal_file = directory.restore_journal
        self._supervisor = supervisor
        self._checkpoints = checkpoints
        self._notify = notify

    async def run(self, target: Checkpoint) -> dict[str, Any]:
        """Go back to `target`. Returns {present: id of what was before, running: whether the machine runs again}.

        Raises:
            WherryError: CHECKPOINT_FAILED; the disk is as before, and the machine runs again if it ran.
        """
        journal = RestoreJournal(
            step=RestoreStep.STOPPING, target=target.id, was_running=self._supervisor.phase.is_live
        )
        try:
            await self._note(journal)
            try:
                await self._stop()
                self._show("Keeping the present as a checkpoint")
                present = await self._checkpoints.take_now(BEFORE_RESTORE, prune=False)
                journal = msgspec.structs.replace(journal, step=RestoreStep.APPLYING, present=present)
                await self._note(journal)
            except WherryError as error:
                await self._end()
                if journal.was_running:
                    await self._supervisor.ask(StartRequested())
                raise _failed(error.problem, "Nothing was changed.") from error
            try:
                self._show("Going back")
                await asyncio.to_thread((await self._checkpoints.offline()).restore, target)
                if journal.was_running:
                    journal = msgspec.structs.replace(journal, step=RestoreStep.PROVING)
                    await self._note(journal)
                    await self._prove()
            except WherryError as error:
                await self._undo(journal)
                raise _failed(error.problem, "The machine's disk is as it was before.") from error
            await self._end()
            _log.info("restored checkpoint %s; the former present is %s", target.id, present)
            return {"present": present, "running": journal.was_running}
        finally:
            self._supervisor.show_operation(None)

    async def settle(self, journal: RestoreJournal) -> Problem | None:
        """Finish what an agent left that was killed. Returns what the user has to know; never raises WherryError."""
        _log.warning("an earlier agent was killed while it restored a checkpoint (%s)", journal.step.value)
        problem: Problem | None = None
        try:
            match journal.step:
                case RestoreStep.STOPPING:
                    await self._end()
                    if journal.was_running:
                        await self._supervisor.ask(StartRequested())
                    problem = _interrupted("Nothing was changed.")
                case RestoreStep.PROVING:
                    try:
                        await self._prove()
                        await self._end()
                    except WherryError as error:
                        await self._undo(journal)
                        problem = _failed(error.problem, "The machine's disk is as it was before.").problem
                case RestoreStep.APPLYING | RestoreStep.UNDOING:
                    await self._undo(journal)
                    problem = _interrupted("The machine's disk is as it was before.")
        except WherryError as error:
            problem = error.problem
        finally:
            self._supervisor.show_operation(None)
        if problem is not None:
            _log.warning("%s", problem.as_text())
            self._notify(Notice(level="warning", text=problem.summary))
        return problem

    async def _undo(self, journal: RestoreJournal) -> None:
        """Put the present back, and start it if it ran.

        Raises:
            WherryError: it is not put back; it is still among the checkpoints.
        """
        self._show("Putting the present back")
        try:
            await self._note(msgspec.structs.replace(journal, step=RestoreStep.UNDOING))
            await self._stop(at_once=True)
            present = await self._checkpoints.find(journal.present)
            await asyncio.to_thread((await self._checkpoints.offline()).restore, present)
        except WherryError as error:
            await self._end()  # what is written from now on must not be undone by the next agent
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                f"The restore failed, and the disk could not be put back as it was: {error.problem.summary}",
                command=error.problem.command,
                tail=error.problem.tail,
                hint=f"Nothing is lost. Stop the machine, then: wherry checkpoint restore {journal.present}",
            ) from error
        await self._end()
        if journal.was_running:
            await self._supervisor.ask(StartRequested())

    async def _stop(self, *, at_once: bool = False) -> None:
        """In order; a guest that hangs, at once. Raises WherryError."""
        self._show("Stopping the machine")
        in_order = not at_once and await self._guest_answers()
        await self._supervisor.ask(StopRequested(StopPolicy.POWER_DOWN if in_order else StopPolicy.KILL))
        if not await self._down_within(_STOP_S if in_order else _KILL_S):
            await self._supervisor.ask(StopRequested(StopPolicy.KILL))
            if not await self._down_within(_KILL_S):
                raise fail(ProblemCode.STEP_TIMED_OUT, f"The machine did not stop within {_STOP_S + _KILL_S:g} s.")

    async def _guest_answers(self) -> bool:
        guest = self._supervisor.guest
        if guest is None:
            return False
        try:
            await guest.control.ask("ping", timeout_s=_PING_S)
        except WherryError as error:
            _log.warning("it is stopped at once: %s", error.problem.summary)
            return False
        return True

    async def _down_within(self, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while self._supervisor.phase.is_live:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def _prove(self) -> None:
        """Start the machine and wait for its engine's answer. Raises WherryError."""
        self._show("Starting the machine")
        await self._supervisor.ask(StartRequested())
        clock = asyncio.get_running_loop().time
        deadline, degraded_since = clock() + _START_S, None
        while clock() < deadline:
            status = self._supervisor.status()
            match status.phase:
                case Phase.RUNNING:
                    return
                case Phase.FAILED | Phase.STOPPED | Phase.SUSPENDED:
                    raise _why(status.problems)
                case Phase.DEGRADED:
                    degraded_since = degraded_since or clock()
                    hopeless = any(problem.code is ProblemCode.DISK_DAMAGED for problem in status.problems)
                    if hopeless or clock() - degraded_since > _DEGRADED_S:
                        raise _why(status.problems)
                case _:
                    degraded_since = None
            await asyncio.sleep(_POLL_S)
        raise fail(ProblemCode.STEP_TIMED_OUT, f"The machine did not start from the checkpoint within {_START_S:g} s.")

    async def _note(self, journal: RestoreJournal) -> None:
        await asyncio.to_thread(restore_journal.save, self._journal_file, journal)

    async def _end(self) -> None:
        await asyncio.to_thread(restore_journal.end, self._journal_file)

    def _show(self, step: str) -> None:
        self._supervisor.show_operation(
            OperationStatus(name="checkpoints.restore", title="Going back to a checkpoint", step=step)
        )


def _why(problems: tuple[Problem, ...]) -> WherryError:
    if problems:
        return WherryError(problems[0])
    return fail(ProblemCode.ENGINE_DOWN, "The machine that was started from the checkpoint ended.")


def _failed(why: Problem, outcome: str) -> WherryError:
    return fail(
        ProblemCode.CHECKPOINT_FAILED,
        f"The checkpoint was not restored: {why.summary} {outcome}",
        command=why.command,
        tail=why.tail,
        hint=why.hint,
        retryable=why.retryable,
    )


def _interrupted(outcome: str) -> Problem:
    return Problem(
        code=ProblemCode.CHECKPOINT_FAILED,
        summary=f"The restore of a checkpoint was interrupted. {outcome}",
        hint="Restore it again if you still want it: wherry checkpoint list",
        retryable=True,
    )
