"""The update of the guest image: proved by what the engine had before, else taken back by itself.

    preparing     the machine runs with the old image; what the engine has is noted; it is stopped in order
    trying        the data disk has the checkpoint "before-update"; the machine starts with the new image
    rolling-back  as before `trying` for who starts the machine: the old image; the disk goes back to the checkpoint
    committed     the new image is proved: it only has to be kept

The journal names the image on trial (see backend/agent/boot/images.py), so an agent that is killed in `trying` leaves a
machine that goes back: its recovery restores checkpoint and image. Docker clients wait from the inventory to the end,
since what they would do to an engine on trial might be taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backend.agent.boot import images
from backend.agent.boot.images import IMAGE_VARIABLE, TRYING, UPDATE
from backend.agent.core import inventory, started_with
from backend.agent.core.inventory import Inventory
from backend.agent.core.journal import Journal
from backend.agent.core.lifecycle import StartRequested
from backend.agent.core.tasks import Background
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.operations import Operation, Operations
from backend.agent.operations.power import Power
from backend.control import messages
from backend.control.messages.request import Handler
from backend.errors import Cancelled, Problem, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.messages import Message, count_message, message, sentences, verbatim
from backend.model import MachineStatus, Notice, Phase
from backend.paths import MachineDir
from backend.settings import config
from backend.vm import image
from backend.vm.disk.checkpoint_tags import BEFORE_UPDATE
from backend.vm.image import ImageFacts

_log = logging.getLogger(__name__)

_TITLE: Final = message("Updating the guest image")
_PREPARING: Final = "preparing"
_ROLLING_BACK: Final = "rolling-back"
_COMMITTED: Final = "committed"
_LOOK_EVERY_S: Final = 3600.0
_TAIL: Final = 8


class Updates:
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
        notify: Callable[[Notice], None],
    ) -> None:
        self._host = host
        self._dir = directory
        self._supervisor = supervisor
        self._machine = machine
        self._operations = operations
        self._checkpoints = checkpoints
        self._power = Power(supervisor)
        self._notify = notify
        self._background = Background(lambda problem: notify(Notice(level="error", text=problem.summary)))
        self._ran = asyncio.Event()
        self._is_running = False
        operations.register(UPDATE, _TITLE, self._recover)

    def handlers(self) -> tuple[Handler, ...]:
        """For the control channel."""
        return (messages.CheckUpdate.handled_by(self._check), messages.ApplyUpdate.handled_by(self._apply))

    def on_status(self, status: MachineStatus) -> None:
        """Take a snapshot: an image with which the engine has answered is kept."""
        running = status.phase is Phase.RUNNING and status.operation is None
        if running and not self._is_running:
            self._ran.set()
        self._is_running = running

    async def run(self) -> None:
        """Keep the image that runs, and look for a newer one now and then, until cancelled."""
        while True:
            if self._ran.is_set():
                self._ran.clear()
                with contextlib.suppress(WherryError):  # a full disk: the next start tries again
                    await self._keep()
            found = await asyncio.to_thread(self._offer)
            self._supervisor.show_offer(found.version if found is not None else None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._ran.wait()

    async def wants_update(self) -> bool:
        """Whether a start by the user is to update the machine first, by the settings."""
        if self._supervisor.phase is not Phase.STOPPED or self._operations.is_busy:
            return False
        return await asyncio.to_thread(self._is_due)

    async def update_in_background(self) -> None:
        """Begin the update that is due, and start the machine with it; who follows the machine sees it."""

        async def update() -> None:
            try:
                await self._operations.run(UPDATE, _TITLE, lambda operation: self._work(operation, None, wanted=True))
            except WherryError as error:
                self._notify(Notice(level="error", text=error.problem.summary))

        self._background.spawn(update(), "the automatic update")
        await asyncio.sleep(0)

    # -- requests -------------------------------------------------------------------------------------------------
    async def _check(self, _request: messages.CheckUpdate) -> messages.UpdateCheck:
        def look() -> messages.UpdateCheck:
            loaded = config.load(self._dir.config)
            present = self._running_image() or images.directory_of(loaded, self._host, self._dir)
            found = images.offer(loaded, self._host, self._dir)
            return messages.UpdateCheck(
                current=_told(image.read_facts(present)),
                offer=_told(found) if found is not None else None,
                automatic=loaded.image.update == "auto",
            )

        answer = await asyncio.to_thread(look)
        self._supervisor.show_offer(answer.offer.version if answer.offer is not None else None)
        return answer

    async def _apply(self, request: messages.ApplyUpdate) -> messages.UpdateApplied:
        place = Path(request.directory) if request.directory is not None else None
        if place is not None and not place.is_absolute():
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("The path of a guest image must be absolute: {path}", path=place),
            )
        return await self._operations.run(UPDATE, _TITLE, lambda operation: self._work(operation, place))

    # -- the work -------------------------------------------------------------------------------------------------
    async def _work(self, operation: Operation, place: Path | None, *, wanted: bool = False) -> messages.UpdateApplied:
        operation.cancellable = True
        operation.step(message("Checking the new image"))
        try:
            old, new = await asyncio.to_thread(self._choose, place)
        except Exception:
            if wanted:  # the start that was asked for does not depend on it
                await self._supervisor.ask(StartRequested())
            raise
        was_running = wanted or self._power.is_wanted or self._supervisor.phase is Phase.SUSPENDED
        try:
            await operation.note(_PREPARING, was_running=was_running)
            if self._supervisor.phase is not Phase.RUNNING:
                operation.step(message("Starting the machine with the current image"))
                await operation.unless_cancelled(self._power.start())
            operation.holds_clients = True
            operation.step(message("Recording containers, images and volumes"))
            before = await operation.unless_cancelled(inventory.take(self._supervisor.dial))
            await operation.note(_PREPARING, ran=list(before.ran))
            operation.step(message("Stopping the machine"))
            await self._power.stop()
            operation.check_cancelled()
            operation.step(message("Creating a checkpoint"))
            checkpoint = await self._checkpoints.take(BEFORE_UPDATE)
            await operation.note(TRYING, directory=str(new.directory), old=str(old), checkpoint=checkpoint)
            operation.step(message("Starting the machine with the image {version}", version=new.version))
            await operation.unless_cancelled(self._power.start())
            operation.step(message("Checking containers, images and volumes"))
            await operation.unless_cancelled(self._prove(before, new))
            operation.check_cancelled()
            operation.cancellable = False
            await operation.note(_COMMITTED)
            await asyncio.to_thread(self._commit, new)
            await operation.end_journal()
        except Cancelled:
            raise
        except WherryError as error:  # `_recover` takes it back
            raise _failed(error.problem, new.version) from error
        if not was_running:
            operation.step(message("Stopping the machine"))
            await self._power.stop()
        if before.passing:
            names = ", ".join(before.passing.values())
            told = message(
                "These containers were run with --rm and ended when the machine restarted: {names}.", names=names
            )
            self._notify(Notice(level="warning", text=told))
        return messages.UpdateApplied(
            version=new.version,
            before=_version_of(old),
            checkpoint=checkpoint,
            ended=tuple(before.passing.values()),
        )

    def _choose(self, place: Path | None) -> tuple[Path, ImageFacts]:
        """The image that the machine has, and the verified one that it is to have. Raises WherryError."""
        loaded = config.load(self._dir.config)
        if os.environ.get(IMAGE_VARIABLE):
            raise fail(
                ProblemCode.BAD_REQUEST,
                message(
                    "${variable} sets the image that this machine starts with, so an update has no effect.",
                    variable=IMAGE_VARIABLE,
                ),
                hint=message(
                    "Unset {variable}, restart the agent (wherry restart --agent), and try again.",
                    variable=IMAGE_VARIABLE,
                ),
            )
        old = self._running_image() or images.directory_of(loaded, self._host, self._dir)
        if place is None:
            found = images.offer(loaded, self._host, self._dir)
            if found is None:
                raise fail(
                    ProblemCode.BAD_REQUEST,
                    message("There is no newer guest image than {old}.", old=old),
                    hint=message("Choose one with: wherry update --image DIR"),
                )
            place = found.directory
        image.load(place, arch=self._host.arch, stamp=self._dir.image_stamp)
        new = image.read_facts(place)
        if place.resolve() == old.resolve():
            raise fail(
                ProblemCode.BAD_REQUEST, message("The machine already uses this image: {version}.", version=new.version)
            )
        return old, new

    async def _prove(self, before: Inventory, new: ImageFacts) -> None:
        """Raises WherryError (UPDATE_FAILED) when anything is not as it was."""
        if (running := self._running_image()) != new.directory:
            raise fail(
                ProblemCode.UPDATE_FAILED, message("The machine started with the image in {folder}.", folder=running)
            )
        lost = inventory.missing(before, await inventory.take(self._supervisor.dial))
        if lost:
            raise fail(
                ProblemCode.UPDATE_FAILED,
                count_message(
                    "With the new image, {count} container, image, volume or network is missing.",
                    "With the new image, {count} containers, images, volumes or networks are missing.",
                    len(lost),
                ),
                tail=lost[:_TAIL],
            )
        refused = await inventory.run_again(self._supervisor.dial, before.ran)
        if refused:
            raise fail(
                ProblemCode.UPDATE_FAILED,
                count_message(
                    "With the new image, {count} container that was running doesn't start.",
                    "With the new image, {count} containers that were running don't start.",
                    len(refused),
                ),
                tail=refused[:_TAIL],
            )

    def _commit(self, new: ImageFacts) -> None:
        """Keep the image. Raises WherryError."""
        if config.load(self._dir.config).image.directory:
            config.set_values(self._dir.config, {"image.directory": str(new.directory)})
            try:
                started_with.change(self._dir, "image.directory", str(new.directory))
            except OSError as error:  # at worst a restart is advised that is not needed
                _log.warning("what the machine runs with was not noted: %s", error)
        else:
            images.pin(self._dir, new)

    # -- back -----------------------------------------------------------------------------------------------------
    async def _recover(self, operation: Operation, left: Journal, why: BaseException | None) -> Message | None:
        """Take back an update that did not come to its end; one that was proved is kept if its agent was killed."""
        match left.stage:
            case "committed" if why is None:
                return await self._keep_proved(operation, left)
            case "trying" | "rolling-back" | "committed":
                if why is not None and not isinstance(why, Cancelled):
                    with contextlib.suppress(WherryError):
                        await asyncio.to_thread(self._refuse, Path(str(left.details.get("directory"))))
                await self._roll_back(operation, left, why)
                return message("The guest image update was interrupted and rolled back. Nothing was lost.")
            case _:
                operation.step(message("Restoring the machine"))
                try:
                    await self._bring_back(left)
                except WherryError as error:  # nothing of it was changed, and it shows itself what is wrong with it
                    _log.error("the machine did not come back: %s", error.problem.as_text())
                return message("The guest image update was interrupted before it started. Nothing was changed.")

    async def _keep_proved(self, operation: Operation, left: Journal) -> Message:
        try:
            new = await asyncio.to_thread(image.read_facts, Path(str(left.details.get("directory"))))
        except WherryError as error:
            told = message(
                "The new guest image is missing, so the previous one is used. {reason}", reason=error.problem.summary
            )
        else:
            await asyncio.to_thread(self._commit, new)
            told = message("Guest image updated to {version}.", version=new.version)
        await operation.end_journal()
        await self._power.bring_back(running=left.was_running)
        return told

    async def _roll_back(self, operation: Operation, left: Journal, why: BaseException | None) -> None:
        """Restore disk and image, and the machine to what it was. Raises WherryError (UPDATE_FAILED): it is not."""
        checkpoint = str(left.details.get("checkpoint", ""))
        operation.step(message("Rolling back to the previous image"))
        try:
            if left.stage == _COMMITTED:  # it may have been kept already
                await asyncio.to_thread(lambda: self._commit(image.read_facts(Path(str(left.details.get("old"))))))
            await operation.note(_ROLLING_BACK)
            await self._power.stop(at_once=True)
            disk, found = await self._checkpoints.offline(), await self._checkpoints.find(checkpoint)
            await asyncio.to_thread(disk.restore, found)
            await operation.end_journal()
            if left.was_running:
                operation.step(message("Starting the machine with the previous image"))
                await self._bring_back(left)
        except WherryError as error:
            raise fail(
                ProblemCode.UPDATE_FAILED,
                sentences(
                    message("The update failed, and the machine couldn't be restored."),
                    _reason(why),
                    error.problem.summary,
                ),
                command=error.problem.command,
                tail=error.problem.tail,
                hint=message(
                    "Nothing is lost: everything is in the checkpoint {checkpoint}. Try again with "
                    "wherry start, or restore it: wherry checkpoint restore {checkpoint}",
                    checkpoint=checkpoint,
                ),
            ) from error
        with contextlib.suppress(WherryError):  # the present is what it holds: at worst it takes a little room
            await self._checkpoints.delete(checkpoint)

    async def _bring_back(self, left: Journal) -> None:
        """Have the machine be as it was, with what ran in it. Raises WherryError."""
        await self._power.bring_back(running=left.was_running)
        if left.was_running:
            ran = tuple(str(identity) for identity in left.details.get("ran", ()))
            refused = await inventory.run_again(self._supervisor.dial, ran)
            if refused:
                self._notify(
                    Notice(
                        level="warning",
                        text=message("These containers didn't start again: {names}", names="; ".join(refused[:_TAIL])),
                    )
                )

    def _refuse(self, directory: Path) -> None:
        images.refuse(self._dir, image.read_facts(directory))

    # -- which image ----------------------------------------------------------------------------------------------
    def _running_image(self) -> Path | None:
        """Of the QEMU that runs, by its own command line."""
        record = self._machine.record
        if record is None or "-kernel" not in record.argv:
            return None
        return Path(record.argv[record.argv.index("-kernel") + 1]).parent

    def _offer(self) -> ImageFacts | None:
        try:
            return images.offer(config.load(self._dir.config), self._host, self._dir)
        except WherryError:
            return None  # broken settings: a start tells

    def _is_due(self) -> bool:
        found, kept = self._offer(), images.pinned(self._dir)
        if found is None or (kept is not None and found.digest in kept.refused):
            return False
        return config.load(self._dir.config).image.update == "auto"

    async def _keep(self) -> None:
        """Pin the image that runs. Raises WherryError."""

        def keep() -> Message | None:
            running, before = self._running_image(), images.pinned(self._dir)
            if running is None or images.named(config.load(self._dir.config)) is not None:
                return None
            if before is not None and before.directory == str(running):
                return None
            facts = image.read_facts(running)
            images.pin(self._dir, facts)
            if before is None or not before.directory or (Path(before.directory) / image.MANIFEST).is_file():
                return None
            return message(
                "The guest image {old} is missing; the machine now uses {new}.", old=before.version, new=facts.version
            )

        if (told := await asyncio.to_thread(keep)) is not None:
            self._notify(Notice(level="warning", text=told))


def _failed(why: Problem, version: str) -> WherryError:
    return fail(
        ProblemCode.UPDATE_FAILED,
        message(
            "Couldn't update the guest image to {version}. {summary} Nothing was changed.",
            version=version,
            summary=why.summary,
        ),
        command=why.command,
        tail=why.tail,
        hint=why.hint,
        retryable=why.retryable,
    )


def _reason(why: BaseException | None) -> Message | None:
    """What was raised first; None when the agent was killed."""
    first = why.__cause__ or why if why is not None else None
    if first is None:
        return None
    return first.problem.summary if isinstance(first, WherryError) else verbatim(repr(first))


def _version_of(directory: Path) -> str:
    try:
        return image.read_facts(directory).version
    except WherryError:
        return "unknown"  # it went in the meantime


def _told(facts: ImageFacts) -> messages.ImageVersion:
    return messages.ImageVersion(
        version=facts.version, engine_version=facts.engine_version, directory=str(facts.directory)
    )
