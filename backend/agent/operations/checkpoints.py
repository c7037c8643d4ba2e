"""Checkpoints of the data disk: what clients may ask, and what other parts of the agent use.

A running machine's checkpoint is taken while its guest holds every write, so that it restores like an orderly stop of
the file system, not like a power cut. A guest that does not answer is a refusal, unless the client says `force`: then
the checkpoint is what a power cut would leave, which the file system's journal mends. The guest lets go by itself after
FREEZE_S, so that an agent that is killed in between stops nothing. A checkpoint is whole or not there, and everything
known of it is in the disk: there is no list that could be out of step.

A suspended machine's disk is not touched: its saved memory goes with the disk as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from backend.agent.core.journal import Journal
from backend.agent.core.tasks import Background
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.operations import Operation, Operations
from backend.agent.operations.restoring import Restoring
from backend.control import messages
from backend.control.messages.request import Handler
from backend.errors import Action, Problem, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.messages import Message, message
from backend.model import Notice, Phase
from backend.paths import MachineDir
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.vm import binary, suspended
from backend.vm.disk import checkpoint_tags, disks, snapshot_space
from backend.vm.disk.checkpoint_tags import Checkpoint
from backend.vm.snapshots import OfflineDisk, RunningDisk

_log = logging.getLogger(__name__)

FREEZE_S: Final = 10.0
"""How long the guest holds its writes at most (`most` in its control-freeze)."""
_SPARE_BYTES: Final = 1024**3
"""A disk with a checkpoint grows by what changes: with less room than this it would soon stand still."""
_FIRST_PRUNE_S: Final = 60.0
_CLOSE_S: Final = 5.0
_SETTLE_S: Final = 15.0
_PRUNE_EVERY_S: Final = 86_400.0
_DAY_S: Final = 86_400.0
_RESTORE: Final = messages.RestoreCheckpoint.wire_name
_RESTORE_TITLE: Final = message("Restoring a checkpoint")
_GIB: Final = 1024**3

Result = TypeVar("Result")


class Checkpoints:
    """One per agent."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        supervisor: Supervisor,
        machine: RunningMachine,
        operations: Operations,
        *,
        notify: Callable[[Notice], None],
        freeze_s: float,
        thaw_s: float,
    ) -> None:
        """Make it.

        Args:
            notify: called with things that happened once.
            freeze_s: how long the guest may take to write out what it holds, before it freezes.
            thaw_s: how long it may take to go on.
        """
        self._freeze_s = freeze_s
        self._thaw_s = thaw_s
        self._host = host
        self._dir = directory
        self._supervisor = supervisor
        self._machine = machine
        self._operations = operations
        self._notify = notify
        self._changing = asyncio.Lock()
        self._restoring = Restoring(supervisor, self)
        self._under_way = Background(lambda problem: notify(Notice(level="error", text=problem.summary)))
        self._told: Problem | None = None
        """What became of a restore that was interrupted."""
        operations.register(_RESTORE, _RESTORE_TITLE, self._recover)

    def handlers(self) -> tuple[Handler, ...]:
        """For the control channel."""
        return (
            messages.ListCheckpoints.handled_by(self._list),
            messages.RestoreCheckpoint.handled_by(self._ask_restore),
            *self._operations.keep_apart(
                messages.CreateCheckpoint.handled_by(self._create), messages.DeleteCheckpoint.handled_by(self._delete)
            ),
        )

    async def run(self) -> None:
        """Prune once a day, until cancelled."""
        await asyncio.sleep(_FIRST_PRUNE_S)
        while True:
            if (
                self._supervisor.phase.is_settled
                and not self._operations.is_busy
                and data_disk_path(self._dir).exists()
            ):
                async with self._changing:
                    await self._prune()
            await asyncio.sleep(_PRUNE_EVERY_S)

    async def aclose(self) -> None:
        """The agent ends: let what is under way end first, for a moment."""
        await self._under_way.wait(_CLOSE_S)

    # -- for other parts of the agent -----------------------------------------------------------------------------
    async def list(self) -> list[Checkpoint]:
        """All of them, oldest first; none where there is no disk. Raises WherryError."""
        if not data_disk_path(self._dir).exists():
            return []
        if self._supervisor.phase in (Phase.RUNNING, Phase.DEGRADED, Phase.CONNECTING):
            return await RunningDisk(self._machine.monitor).list()
        return await asyncio.to_thread((await self.offline()).list)

    async def take(self, reason: str, name: str = "", *, force: bool = False) -> str:
        """Take a checkpoint of the machine, running or stopped, and return its id.

        Args:
            reason: MANUAL or another of `backend.vm.disk.checkpoint_tags`.
            name: the user's; "" for none.
            force: take it even if the guest does not hold its writes.

        Raises:
            WherryError: then there is none. BUSY, WRONG_PHASE (suspended), GUEST_HUNG, CHECKPOINT_FAILED,
                HOST_DISK_FULL, BAD_REQUEST, or what qemu-img says.
        """
        async with self._changing:
            return await self.take_now(reason, name, force=force)

    async def settled(self) -> None:
        """Return once none is being taken or deleted: a machine that starts meanwhile would find its disk locked.

        Raises:
            WherryError: BUSY, it takes longer than a client waits.
        """
        try:
            async with asyncio.timeout(_SETTLE_S), self._changing:
                return
        except TimeoutError as error:
            raise _another() from error

    async def delete(self, identity: str) -> None:
        """Delete one. Raises WherryError."""
        async with self._changing, self._disk() as disk:
            await _delete(disk, await self.find(identity))

    # -- for the restore, which owns the machine ------------------------------------------------------------------
    async def take_now(self, reason: str, name: str = "", *, force: bool = False, prune: bool = True) -> str:
        """`take`, for who keeps others away."""
        name = checkpoint_tags.check_name(name)
        async with self._disk() as disk:
            await asyncio.to_thread(_check_room, self._dir.machine)
            tag = checkpoint_tags.new_tag(
                reason=reason,
                name=name,
                size_gib=disks.present_size_gib(data_disk_path(self._dir)) or 0,
                image_version=self._supervisor.status().image_version or "",
            )
            if isinstance(disk, OfflineDisk):
                await asyncio.to_thread(disk.take, tag)
            else:
                await self._take_frozen(disk, tag, force=force)
        made = checkpoint_tags.read(tag, number="", seconds=0)
        _log.info("checkpoint %s taken: %s", made.id, reason)
        if prune:
            await self._prune(spare=made.id)
        return made.id

    async def find(self, identity: str) -> Checkpoint:
        """Raises WherryError (BAD_REQUEST) when there is none."""
        for checkpoint in await self.list():
            if checkpoint.id == identity:
                return checkpoint
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("There is no checkpoint “{name}”.", name=identity[:40]),
            hint=message("List all checkpoints: wherry checkpoint list"),
        )

    async def offline(self) -> OfflineDisk:
        """The disk for qemu-img. Raises WherryError (TOOL_MISSING, QEMU_MISSING...)."""
        return await asyncio.to_thread(self._offline)

    def _offline(self) -> OfflineDisk:
        qemu = binary.find(self._host, self._host.arch, configured=config.load(self._dir.config).qemu.binary)
        return OfflineDisk(data_disk_path(self._dir), image_tool=binary.find_image_tool(qemu))

    # -- the disk -------------------------------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def _disk(self) -> AsyncIterator[OfflineDisk | RunningDisk]:
        """The way to change the disk's checkpoints now. Raises WherryError (BUSY, WRONG_PHASE, CHECKPOINT_FAILED)."""
        phase = self._supervisor.phase
        if phase in (Phase.RUNNING, Phase.DEGRADED):
            yield RunningDisk(self._machine.monitor)
            return
        if phase.is_live:
            raise fail(
                ProblemCode.BUSY,
                message("The machine is starting or stopping."),
                hint=message("Try again when it is running or stopped."),
                retryable=True,
            )
        if phase is Phase.SUSPENDED or await asyncio.to_thread(suspended.load, self._dir) is not None:
            raise fail(
                ProblemCode.WRONG_PHASE,
                message("The machine is suspended. Its saved memory, with running containers, would be lost."),
                hint=message("Resume it (wherry start) or stop it (wherry stop), then try again."),
            )
        if not data_disk_path(self._dir).exists():
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                message("There is no disk to create a checkpoint of yet."),
                hint=message("The disk is created at the first start: wherry start"),
            )
        yield await self.offline()

    async def _take_frozen(self, disk: RunningDisk, tag: str, *, force: bool) -> None:
        """Take it while the guest holds its writes."""
        guest = self._machine.guest
        asked_at = time.monotonic()
        refusal: Problem | None = None
        if guest is None:
            refusal = Problem(code=ProblemCode.GUEST_HUNG, summary=message("The guest's control port isn't open."))
        else:
            try:
                await guest.control.ask("freeze", timeout_s=self._freeze_s)
            except WherryError as error:
                refusal = error.problem
        try:
            if refusal is not None and not force:
                raise _not_held(refusal)
            began = time.monotonic()
            await disk.take(tag)
            lasted = time.monotonic() - asked_at
            _log.info("the snapshot took %.3f s", time.monotonic() - began)
        finally:
            held = guest is not None and await asyncio.shield(_thaw(guest.control.ask, self._thaw_s))
        # The guest's own clock cannot run ahead of ours: within FREEZE_S of the question it had not let go by itself.
        if refusal is None and not held and lasted > FREEZE_S and not force:
            made = next((one for one in await disk.list() if one.tag == tag), None)
            if made is not None:
                await disk.delete(made)
            raise _not_held(
                Problem(code=ProblemCode.STEP_TIMED_OUT, summary=message("It took {lasted:.0f} s.", lasted=lasted))
            )

    async def _restore(self, operation: Operation, identity: str) -> messages.CheckpointRestored:
        operation.holds_clients = True
        async with self._changing:
            checkpoint = await self.find(identity)
            if checkpoint.foreign:
                raise fail(
                    ProblemCode.BAD_REQUEST,
                    message("This checkpoint was created outside Wherry, so its content is unknown."),
                    hint=message("Delete it here, or stop the machine and use qemu-img snapshot -a."),
                )
            if self._supervisor.phase not in (Phase.RUNNING, Phase.DEGRADED):
                async with self._disk():
                    pass  # refuses where the disk must not be touched
            result = await self._restoring.run(operation, checkpoint)
            await self._prune(spare=result.present)
            return result

    async def _recover(self, operation: Operation, left: Journal, why: BaseException | None) -> Message | None:
        async with self._changing:
            try:
                told = await self._restoring.settle(operation, left, why)
            except WherryError as error:
                self._told = error.problem
                raise
        if why is not None:
            return None  # whoever asked for it is told
        self._told = told
        return told.summary if told is not None else None

    async def _prune(self, *, spare: str = "") -> None:
        """Delete what the policy does not keep, but for the one just made. A failure is told, and fails nothing."""
        try:
            policy = (await asyncio.to_thread(config.load, self._dir.config)).checkpoints
            found = await self.list()
            doomed = surplus(found, keep=policy.keep_automatic, days=policy.keep_days, now=time.time())
            for checkpoint in (one for one in doomed if one.id != spare):
                async with self._disk() as disk:
                    await _delete(disk, checkpoint)
                _log.info("checkpoint %s pruned: %s", checkpoint.id, checkpoint.reason)
        except WherryError as error:
            if error.problem.code in (ProblemCode.BUSY, ProblemCode.WRONG_PHASE):
                return  # another day
            _log.warning("pruning failed: %s", error.problem.as_text())
            self._notify(
                Notice(
                    level="warning",
                    text=message("Couldn't delete old checkpoints. {summary}", summary=error.problem.summary),
                )
            )

    # -- requests -------------------------------------------------------------------------------------------------
    async def _list(self, _request: messages.ListCheckpoints) -> messages.CheckpointList:
        found = await self.list()
        held: dict[str, int] = {}
        if found:
            try:
                held = await asyncio.to_thread(snapshot_space.held_alone, data_disk_path(self._dir))
            except OSError as error:
                _log.warning("what the checkpoints hold cannot be read: %s", error)
        policy = (await asyncio.to_thread(config.load, self._dir.config)).checkpoints
        return messages.CheckpointList(
            checkpoints=tuple(
                messages.CheckpointEntry(
                    id=one.id,
                    name=one.name,
                    reason=one.reason,
                    created_at=one.created_at,
                    size_gib=held.get(one.number, 0) / _GIB,
                    disk_gib=one.size_gib,
                    image_version=one.image_version,
                    automatic=one.automatic,
                    foreign=one.foreign,
                )
                for one in found
            ),
            policy=messages.CheckpointPolicy(keep_automatic=policy.keep_automatic, keep_days=policy.keep_days),
            disk_bytes=self._host.allocated_bytes(data_disk_path(self._dir)) or 0,
            problem=self._told,
        )

    async def _create(self, request: messages.CreateCheckpoint) -> messages.CheckpointCreated:
        taking = self.take(checkpoint_tags.MANUAL, request.name, force=request.force)
        return messages.CheckpointCreated(id=await self._to_its_end(taking))

    async def _ask_restore(self, request: messages.RestoreCheckpoint) -> messages.CheckpointRestored:
        """Goes on when the caller is cancelled."""
        self._operations.refuse_under_way()
        if self._changing.locked():
            raise _another()
        return await self._operations.run(
            _RESTORE, _RESTORE_TITLE, lambda operation: self._restore(operation, request.id), replaces=True
        )

    async def _delete(self, request: messages.DeleteCheckpoint) -> messages.CheckpointDeleted:
        before = self._host.allocated_bytes(data_disk_path(self._dir)) or 0
        await self._to_its_end(self.delete(request.id))
        after = self._host.allocated_bytes(data_disk_path(self._dir)) or 0
        return messages.CheckpointDeleted(disk_bytes=after, freed_bytes=max(before - after, 0))

    async def _to_its_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it, even if the client leaves meanwhile: the disk is qemu-img's until that has ended."""
        return await asyncio.shield(self._under_way.spawn(work, "a checkpoint"))


def surplus(found: list[Checkpoint], *, keep: int, days: int, now: float) -> list[Checkpoint]:
    """What the policy does not keep: automatic ones beyond the newest `keep`, or older than `days` (0: for ever)."""
    automatic = sorted((one for one in found if one.automatic), key=lambda one: one.created_at)
    beyond = automatic[: max(len(automatic) - keep, 0)]
    return [one for one in automatic if one in beyond or (days and now - one.created_at > days * _DAY_S)]


async def _delete(disk: OfflineDisk | RunningDisk, checkpoint: Checkpoint) -> None:
    if isinstance(disk, OfflineDisk):
        await asyncio.to_thread(disk.delete, checkpoint)
    else:
        await disk.delete(checkpoint)


async def _thaw(ask: Callable[..., Any], timeout_s: float) -> bool:
    """Whether the guest had held its writes until now. It lets go by itself if this is lost."""
    try:
        await ask("thaw", timeout_s=timeout_s)
    except WherryError as error:
        _log.warning("the guest was not told to go on: %s", error.problem.as_text())
        return False
    return True


def _another() -> WherryError:
    return fail(
        ProblemCode.BUSY,
        message("A checkpoint is being created or deleted."),
        hint=message("Try again when it is finished."),
        retryable=True,
    )


def _not_held(why: Problem) -> WherryError:
    return fail(
        ProblemCode.CHECKPOINT_FAILED,
        message(
            "The guest didn't pause its writes, so no checkpoint was created: it would be like after a power failure."
        ),
        tail=(str(why.summary), *why.tail),
        hint=message("Restart the machine, or create one anyway: wherry checkpoint create --force"),
        retryable=True,
        action=Action.RESTART,
    )


def _check_room(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < _SPARE_BYTES:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            message(
                "Only {free} MiB are free on this computer. A checkpoint needs space for "
                "everything that changes later.",
                free=free // 1024**2,
            ),
            command=f"df -h {directory}",
            hint=message("Free up some space, or delete other checkpoints: wherry checkpoint list"),
            retryable=True,
        )
