"""Long work on the data disk: growing it, moving it to another folder, making the machine as new.

Each can be killed at any moment:

    grow    the disk has one of the two sizes; the guest's file system follows at its next start at the latest
    move    `copying`: the copy has a name of its own, which the recovery removes. `switching`: the copy is whole and
            proved; the settings name one of the two files, and the recovery removes the other. So exactly one disk is
            in use, and it is whole
    reset   the checkpoint "before-reset" is there before anything is blanked; a disk that was not wholly blanked goes
            back to it. Without a checkpoint the disk is one file that is there or not
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backend.agent.core import inventory, started_with
from backend.agent.core.journal import Journal
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.operations import Operation, Operations
from backend.agent.operations.power import Power
from backend.control import messages
from backend.control.messages.request import Handler
from backend.errors import ProblemCode, WherryError, fail
from backend.files import explain_os_error, sync_directory
from backend.host.base import Host
from backend.messages import Message, message, sentences
from backend.model import Phase
from backend.paths import MachineDir, check_path
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.vm import binary, run
from backend.vm.disk import disk_copy, disks
from backend.vm.disk.checkpoint_tags import BEFORE_RESET, BEFORE_RESIZE
from backend.vm.spec import DATA_NODE

_log = logging.getLogger(__name__)

GROW: Final = messages.GrowDisk.wire_name
MOVE: Final = messages.MoveDisk.wire_name
RESET: Final = messages.ResetMachine.wire_name
_TITLES: Final = {
    GROW: message("Growing the disk"),
    MOVE: message("Moving the disk"),
    RESET: message("Erasing the machine"),
}
_COPYING: Final = "copying"
_SWITCHING: Final = "switching"
_BLANKING: Final = "blanking"
_DELETING: Final = "deleting"
_SETTING: Final = "setting"
_GROWN: Final = "grown"
_GROW_FILE_SYSTEM: Final = "/usr/sbin/resize2fs $(awk '$2 == \"/data\" { print $1; exit }' /proc/mounts)"
"""Run in the guest. The full path: busybox might have a poorer applet of the same name."""
_GROW_S: Final = 600.0
_GIB: Final = 1024**3


class DiskWork:
    """One per agent."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        supervisor: Supervisor,
        machine: RunningMachine,
        operations: Operations,
        *,
        checkpoints: Checkpoints,
    ) -> None:
        self._host = host
        self._dir = directory
        self._supervisor = supervisor
        self._machine = machine
        self._operations = operations
        self._checkpoints = checkpoints
        self._power = Power(supervisor)
        operations.register(GROW, _TITLES[GROW], self._recover_grow)
        operations.register(MOVE, _TITLES[MOVE], self._recover_move)
        operations.register(RESET, _TITLES[RESET], self._recover_reset)

    def handlers(self) -> tuple[Handler, ...]:
        """For the control channel."""
        return (
            messages.GrowDisk.handled_by(self._ask_grow),
            messages.MoveDisk.handled_by(self._ask_move),
            messages.ResetMachine.handled_by(self._ask_reset),
        )

    # -- growing --------------------------------------------------------------------------------------------------
    async def _ask_grow(self, request: messages.GrowDisk) -> messages.DiskGrown:
        return await self._operations.run(
            GROW, _TITLES[GROW], lambda operation: self._grow(operation, request.size_gib)
        )

    async def _grow(self, operation: Operation, size_gib: int) -> messages.DiskGrown:
        await asyncio.to_thread(disks.check_size, data_disk_path(self._dir), size_gib)
        present = await asyncio.to_thread(disks.present_size_gib, data_disk_path(self._dir))
        phase = self._supervisor.phase
        if phase is Phase.SUSPENDED:
            raise fail(
                ProblemCode.WRONG_PHASE,
                message("The machine is suspended, and its saved memory depends on the disk."),
                hint=message("Resume it (wherry start) or stop it (wherry stop), then try again."),
            )
        if phase.is_live and phase not in (Phase.RUNNING, Phase.DEGRADED):
            raise fail(ProblemCode.WRONG_PHASE, message("The machine is starting or stopping."), retryable=True)
        if present is None or size_gib == present:
            await self._set({"machine.disk_gib": size_gib})
            return messages.DiskGrown(size_gib=size_gib, now=present is not None)
        await operation.note("growing", was_running=phase.is_live, before=present)
        operation.step(message("Creating a checkpoint"))
        # A guest that cannot hold its writes may grow all the same: the file system's journal mends the checkpoint.
        await self._checkpoints.take(BEFORE_RESIZE, force=True)
        loaded = await asyncio.to_thread(config.load, self._dir.config)
        await operation.note(_SETTING, setting=loaded.machine.disk_gib)
        await self._set({"machine.disk_gib": size_gib})
        if not phase.is_live:
            return messages.DiskGrown(size_gib=size_gib, now=False)
        operation.step(message("Growing the disk"))
        await self._machine.monitor.execute("block_resize", {"node-name": DATA_NODE, "size": size_gib * _GIB})
        await operation.note(_GROWN)
        operation.step(message("Growing the file system"))
        grown = False
        with contextlib.suppress(WherryError):  # told by `now`: it grows at the next start
            result = await self._machine.execute(_GROW_FILE_SYSTEM, stdin=b"", timeout_s=_GROW_S)
            grown = result is not None and result.exit_code == 0
            if result is not None and not grown:
                _log.warning("resize2fs: %r", result.untrusted_stderr[-500:])
        await self._note_grown(size_gib, whole=grown)
        return messages.DiskGrown(size_gib=size_gib, now=grown)

    async def _note_grown(self, size_gib: int, *, whole: bool) -> None:
        """What is shown of the running machine, and what the next agent knows of it."""
        record = self._supervisor.show_disk(size_gib)

        def note() -> None:
            if record is not None:
                run.save(self._dir.run_record, record)
            if whole:
                started_with.change(self._dir, "machine.disk_gib", size_gib)

        try:
            await asyncio.to_thread(note)
        except OSError as error:  # at worst a restart is advised that is not needed
            _log.warning("what the machine runs with was not noted: %s", error)

    async def _recover_grow(self, operation: Operation, left: Journal, why: BaseException | None) -> Message | None:
        """After a kill the disk is grown by the next start: it is either size now, and what was asked is known."""
        if why is not None and left.stage == _SETTING:
            await self._set({"machine.disk_gib": int(left.details["setting"])})
        if why is None:  # else it was not stopped
            await self._bring_back(operation, left)
        return None

    # -- moving ---------------------------------------------------------------------------------------------------
    async def _ask_move(self, request: messages.MoveDisk) -> messages.DiskMoved:
        place = Path(request.directory)
        check_path(place)
        if not place.is_absolute():
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("The path of the new disk folder must be absolute: {path}", path=place),
            )
        return await self._operations.run(MOVE, _TITLES[MOVE], lambda operation: self._move(operation, place))

    async def _move(self, operation: Operation, place: Path) -> messages.DiskMoved:
        source, target = data_disk_path(self._dir), self._dir.disk_in(place)
        partial = self._dir.moving_disk_in(place)
        if not source.is_file():
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("There is no disk to move yet."),
                hint=message("The disk is created at the first start: wherry start"),
            )
        operation.cancellable = True
        await asyncio.to_thread(disk_copy.check_target, source, place, target)
        was_running = self._power.is_wanted or self._supervisor.phase is Phase.SUSPENDED
        operation.holds_clients = True
        try:
            await operation.note(_COPYING, was_running=was_running, source=str(source), directory=str(place))
            if self._supervisor.phase is Phase.RUNNING:
                found = await operation.unless_cancelled(inventory.take(self._supervisor.dial))
                await operation.note(_COPYING, ran=list(found.ran))
            operation.step(message("Stopping the machine"))
            await self._power.stop()
            operation.check_cancelled()
            tool = await asyncio.to_thread(self._image_tool)
            operation.step(message("Checking the disk"))
            await asyncio.to_thread(disks.check, source, image_tool=tool)
            await self._copy(operation, source, partial)
            operation.step(message("Checking the copy"))
            await asyncio.to_thread(disks.check, partial, image_tool=tool)
            operation.check_cancelled()
            operation.cancellable = False
            operation.step(message("Switching to the copy"))
            await operation.note(_SWITCHING, inode=partial.stat().st_ino)
            await asyncio.to_thread(_settle_name, partial, target)
            home = place.resolve() == self._dir.machine.resolve()
            await self._set({config.DISK_DIRECTORY: "" if home else str(place)})
            await asyncio.to_thread(_remove, source)
        except OSError as error:  # `_recover_move` decides which of the two is the disk
            raise WherryError(explain_os_error(error)) from error
        done = operation.journal
        assert done is not None
        await operation.end_journal()
        await self._bring_back(operation, done)
        return messages.DiskMoved(path=str(target))

    async def _copy(self, operation: Operation, source: Path, partial: Path) -> None:
        """Copy and compare. Raises WherryError, OSError."""
        loop = asyncio.get_running_loop()

        def tell(text: Message) -> Callable[[float], None]:
            def tick(fraction: float) -> None:
                operation.check_cancelled()
                loop.call_soon_threadsafe(operation.step, text, fraction)

            return tick

        await asyncio.to_thread(lambda: partial.unlink(missing_ok=True))
        copied = await asyncio.to_thread(disk_copy.copy, source, partial, tell(message("Copying the disk")))
        read = await asyncio.to_thread(disk_copy.digest_of, partial, tell(message("Verifying the copy")))
        if read != copied:
            raise fail(
                ProblemCode.DISK_DAMAGED,
                message(
                    "The data read back from {folder} differs from the data written. The drive isn't reliable.",
                    folder=partial.parent,
                ),
                hint=message("The disk is unchanged at its old place. Choose another drive."),
            )

    async def _recover_move(self, operation: Operation, left: Journal, _why: BaseException | None) -> Message | None:
        source, place = Path(str(left.details["source"])), Path(str(left.details["directory"]))
        target, partial = self._dir.disk_in(place), self._dir.moving_disk_in(place)
        told = message("Moving the data disk was interrupted. The disk is at its old place.")
        try:
            if left.stage == _SWITCHING and data_disk_path(self._dir) == target and target.is_file():
                await asyncio.to_thread(_remove, source)
                told = message("The data disk is now in {folder}.", folder=place)
            else:
                await asyncio.to_thread(_clear_away, source, partial, target, left)
        except OSError as error:  # a drive that went takes its half copy with it
            told = sentences(told, explain_os_error(error).summary)
        await operation.end_journal()
        await self._bring_back(operation, left)
        return told

    # -- as new ---------------------------------------------------------------------------------------------------
    async def _ask_reset(self, request: messages.ResetMachine) -> messages.MachineReset:
        return await self._operations.run(
            RESET, _TITLES[RESET], lambda operation: self._reset(operation, keep=request.keep), replaces=True
        )

    async def _reset(self, operation: Operation, *, keep: bool) -> messages.MachineReset:
        existed = data_disk_path(self._dir).exists()
        operation.step(message("Stopping the machine"))
        if not keep or not existed:
            await operation.note(_DELETING, was_running=False)
            await self._power.stop(at_once=True)
            await self._delete()
            return messages.MachineReset(existed=existed)
        await operation.note("stopping", was_running=self._power.is_wanted)
        await self._power.stop()
        size = (await asyncio.to_thread(config.load, self._dir.config)).machine.disk_gib
        tool = await asyncio.to_thread(self._image_tool)
        operation.step(message("Creating a checkpoint"))
        try:
            await asyncio.to_thread(disks.check, data_disk_path(self._dir), image_tool=tool)
            checkpoint = await self._checkpoints.take(BEFORE_RESET)
        except WherryError as error:
            raise _not_kept(error) from error
        await operation.note(_BLANKING, checkpoint=checkpoint)
        operation.step(message("Erasing the disk"))
        await asyncio.to_thread(
            disks.blank, data_disk_path(self._dir), empty=self._dir.blank_disk, size_gib=size, image_tool=tool
        )
        return messages.MachineReset(checkpoint=checkpoint, existed=True)

    async def _delete(self) -> None:
        """Raises WherryError."""
        loaded = await asyncio.to_thread(config.load, self._dir.config)
        tool = await asyncio.to_thread(self._image_tool) if loaded.machine.disk_directory else None

        def delete() -> None:
            try:
                _remove(data_disk_path(self._dir))
            except OSError as error:
                raise WherryError(explain_os_error(error)) from error
            if tool is not None and data_disk_path(self._dir).parent.is_dir():
                # A disk that was moved is never made by a start: its drive may only be away.
                disks.ensure_data_disk(data_disk_path(self._dir), size_gib=loaded.machine.disk_gib, image_tool=tool)
            elif tool is not None:
                config.set_values(self._dir.config, {config.DISK_DIRECTORY: ""}, moved=True)

        await asyncio.to_thread(delete)

    async def _recover_reset(self, operation: Operation, left: Journal, _why: BaseException | None) -> Message | None:
        if left.stage == _DELETING:
            return None  # the disk is one file, which is there or not
        if left.stage == _BLANKING:
            operation.step(message("Restoring the disk"))
            await self._put_back(operation, str(left.details["checkpoint"]))
        await self._bring_back(operation, left)
        return message("Erasing the machine was interrupted. Nothing was changed.")

    async def _put_back(self, operation: Operation, checkpoint: str) -> None:
        """Raises WherryError (CHECKPOINT_FAILED), which says where everything is."""
        try:
            await asyncio.to_thread(lambda: self._dir.blank_disk.unlink(missing_ok=True))
            disk, found = await self._checkpoints.offline(), await self._checkpoints.find(checkpoint)
            await asyncio.to_thread(disk.restore, found)
            await operation.end_journal()
        except WherryError as error:
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                message(
                    "Erasing failed, and the disk couldn't be restored. {summary}",
                    summary=error.problem.summary,
                ),
                command=error.problem.command,
                tail=error.problem.tail,
                hint=message(
                    "Nothing is lost. Restore it with: wherry checkpoint restore {checkpoint}", checkpoint=checkpoint
                ),
            ) from error
        with contextlib.suppress(WherryError):
            await self._checkpoints.delete(checkpoint)

    # -- small things ---------------------------------------------------------------------------------------------
    async def _bring_back(self, operation: Operation, journal: Journal) -> None:
        """Have the machine be as it was, with what ran in it; what fails is shown by the machine itself."""
        if journal.was_running:
            operation.step(message("Starting the machine"))
        try:
            await self._power.bring_back(running=journal.was_running)
            ran = tuple(str(identity) for identity in journal.details.get("ran", ()) if journal.was_running)
            if refused := await inventory.run_again(self._supervisor.dial, ran):
                _log.warning("these did not start again: %s", "; ".join(refused))
        except WherryError as error:
            _log.error("the machine did not come back: %s", error.problem.as_text())

    async def _set(self, values: dict[str, int | str | bool]) -> None:
        await asyncio.to_thread(config.set_values, self._dir.config, values, moved=True)

    def _image_tool(self) -> Path:
        qemu = binary.find(self._host, self._host.arch, configured=config.load(self._dir.config).qemu.binary)
        return binary.find_image_tool(qemu)


def _settle_name(partial: Path, target: Path) -> None:
    """Raises OSError, WherryError; never overwrites."""
    if target.exists():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("{path} was created by another program and isn't overwritten.", path=target),
        )
    partial.rename(target)
    sync_directory(target.parent)


def _clear_away(source: Path, partial: Path, target: Path, journal: Journal) -> None:
    """Remove the copy, under either name, if the original is there. Raises OSError."""
    partial.unlink(missing_ok=True)
    ours = journal.details.get("inode") if journal.stage == _SWITCHING else None
    if source.is_file() and target.is_file() and target.stat().st_ino == ours:
        _remove(target)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_directory(path.parent)


def _not_kept(error: WherryError) -> WherryError:
    return fail(
        ProblemCode.CHECKPOINT_FAILED,
        message(
            "The machine wasn't erased because its disk couldn't be saved as a checkpoint. {summary}",
            summary=error.problem.summary,
        ),
        command=error.problem.command,
        tail=error.problem.tail,
        hint=message("Check the disk: wherry doctor. To erase it without a checkpoint: wherry reset --no-checkpoint"),
    )
