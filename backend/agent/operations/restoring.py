"""Going back to a checkpoint, so that the present is never lost: stop, keep the present, go back, prove that it runs.

The present is a checkpoint of its own ("before-restore") before anything changes, and stays one afterwards. Whatever
fails after that puts it back. Each step is in the operation's journal before it begins (`RestoreStep`), and `settle`
finishes what a killed agent left: qemu-img is whole or without effect at every moment, so the disk is one of the two.
"""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import Protocol

from backend.agent.core.journal import Journal
from backend.agent.core.lifecycle import StartRequested
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.operations import Operation
from backend.agent.operations.power import Power
from backend.control.messages import CheckpointRestored
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import Message, message
from backend.vm.disk.checkpoint_tags import BEFORE_RESTORE, Checkpoint
from backend.vm.snapshots import OfflineDisk

_log = logging.getLogger(__name__)


class RestoreStep(StrEnum):
    """How far it got: the stage in the journal, which has `present` in its details from APPLYING on."""

    STOPPING = "stopping"  # nothing of the disk was changed: the machine is only started again, if it ran
    APPLYING = "applying"  # the disk is the present or the checkpoint, the present is a checkpoint: it is put back
    PROVING = "proving"  # the disk is the checkpoint, whole: whether the engine answers is what is still to be proved
    UNDOING = "undoing"  # the proof failed: the present is put back


class CheckpointStore(Protocol):
    """What a restore needs of the checkpoints."""

    async def take_now(self, reason: str, name: str = "", *, force: bool = False, prune: bool = True) -> str:
        """Take one and return its id. Raises WherryError."""
        ...

    async def find(self, identity: str) -> Checkpoint:
        """Raises WherryError (BAD_REQUEST) when there is none."""
        ...

    async def offline(self) -> OfflineDisk:
        """The disk of a stopped machine. Raises WherryError."""
        ...


class Restoring:
    """One per agent; its caller lets only one restore run at a time."""

    def __init__(self, supervisor: Supervisor, checkpoints: CheckpointStore) -> None:
        self._supervisor = supervisor
        self._checkpoints = checkpoints
        self._power = Power(supervisor)

    async def run(self, operation: Operation, target: Checkpoint) -> CheckpointRestored:
        """Go back to `target`.

        Raises:
            WherryError: CHECKPOINT_FAILED; the disk is as before, and the machine runs again if it ran.
        """
        was_running = self._power.is_wanted
        outcome = message("Nothing was changed.")
        try:
            await operation.note(RestoreStep.STOPPING, was_running=was_running, target=target.id)
            operation.step(message("Stopping the machine"))
            await self._power.stop()
            operation.step(message("Saving the current state as a checkpoint"))
            present = await self._checkpoints.take_now(BEFORE_RESTORE, prune=False)
            await operation.note(RestoreStep.APPLYING, present=present)
            outcome = message("The machine's disk was not changed.")
            operation.step(message("Restoring the checkpoint"))
            await asyncio.to_thread((await self._checkpoints.offline()).restore, target)
            if was_running:
                await operation.note(RestoreStep.PROVING)
                await self._prove(operation)
        except WherryError as error:  # `settle` makes that true
            raise _failed(error.problem, outcome) from error
        _log.info("restored checkpoint %s; the former present is %s", target.id, present)
        return CheckpointRestored(present=present, running=was_running)

    async def settle(self, operation: Operation, left: Journal, why: BaseException | None) -> Problem | None:
        """Put in order what was left half done.

        Args:
            operation: the handle.
            left: the journal.
            why: what was raised; None: the agent was killed.

        Returns:
            What the user has to know of a restore whose agent was killed.

        Raises:
            WherryError: the present is not put back; it is still among the checkpoints.
        """
        outcome = message("The machine's disk was not changed.")
        if left.stage == RestoreStep.STOPPING:
            await self._start_if(left.was_running)
            return _interrupted(message("Nothing was changed."))
        if left.stage == RestoreStep.PROVING and why is None:
            try:
                await self._prove(operation)
            except WherryError as error:
                await self._undo(operation)
                return _failed(error.problem, outcome).problem
            return None
        await self._undo(operation)
        return _interrupted(outcome)

    async def _prove(self, operation: Operation) -> None:
        """Start the machine and wait for its engine's answer. Raises WherryError."""
        operation.step(message("Starting the machine"))
        await self._power.start()

    async def _undo(self, operation: Operation) -> None:
        """Put the present back, and start it if it ran.

        Raises:
            WherryError: it is not put back; it is still among the checkpoints.
        """
        assert operation.journal is not None
        kept = str(operation.journal.details.get("present", ""))
        operation.step(message("Restoring the previous state"))
        try:
            await operation.note(RestoreStep.UNDOING)
            await self._power.stop(at_once=True)
            present = await self._checkpoints.find(kept)
            await asyncio.to_thread((await self._checkpoints.offline()).restore, present)
        except WherryError as error:
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                message(
                    "The restore failed, and the previous disk couldn't be restored. {summary}",
                    summary=error.problem.summary,
                ),
                command=error.problem.command,
                tail=error.problem.tail,
                hint=message(
                    "Nothing is lost. Stop the machine, then run: wherry checkpoint restore {checkpoint}",
                    checkpoint=kept,
                ),
            ) from error
        await self._start_if(operation.journal.was_running)

    async def _start_if(self, was_running: bool) -> None:
        if was_running:
            await self._supervisor.ask(StartRequested())


def _failed(why: Problem, outcome: Message) -> WherryError:
    return fail(
        ProblemCode.CHECKPOINT_FAILED,
        message("Couldn't restore the checkpoint. {summary} {outcome}", summary=why.summary, outcome=outcome),
        command=why.command,
        tail=why.tail,
        hint=why.hint,
        retryable=why.retryable,
    )


def _interrupted(outcome: Message) -> Problem:
    return Problem(
        code=ProblemCode.CHECKPOINT_FAILED,
        summary=message("Restoring a checkpoint was interrupted. {outcome}", outcome=outcome),
        hint=message("Restore it again if you still want to: wherry checkpoint list"),
        retryable=True,
    )
