"""Suspends and resumes the machine, in an order that is safe if the agent or QEMU is killed at any moment.

Suspend: the guest writes out its caches, its CPUs are stopped, memory is saved to a file, the file is synced, the
record is written, QEMU is ended. Resume: QEMU starts with the same configuration and reads the file, file and record
are deleted, the CPUs run. A kill in between leaves either a QEMU that can be adopted, or a saved state whose guest has
not run since; `settle` distinguishes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from typing import Final

from backend.agent.boot.link import GuestLink
from backend.agent.boot.prepare import Preparation
from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import LAUNCH, RESTORE, RESUME_LADDER, Deadlines
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.files import explain_os_error
from backend.host.base import Host
from backend.host.process import resident_bytes
from backend.messages import Message, message
from backend.paths import MachineDir
from backend.vm import migration, suspended
from backend.vm.driver import VmDriver
from backend.vm.run import RunRecord
from backend.vm.suspended import Suspended

_log = logging.getLogger(__name__)

_FLUSH_S: Final = 20.0
_FLUSH: Final = "sync; echo 1 >/proc/sys/vm/drop_caches"
"""Run in the guest: the page cache is a copy of its disk and need not be saved with its memory."""
_SPARE_BYTES: Final = 256 * 1024**2
_STOPPED: Final = frozenset({"paused", "postmigrate", "finish-migrate", "prelaunch"})


async def suspend(
    host: Host,
    directory: MachineDir,
    driver: VmDriver,
    record: RunRecord,
    *,
    link: GuestLink | None,
    deadlines: Deadlines,
) -> None:
    """Save the state of the running machine. Afterwards its CPUs are stopped, and the caller ends QEMU.

    Args:
        record: of the running QEMU.
        link: used to make the guest write out its caches. It is closed, because connections do not survive the pause.

    Raises:
        WherryError: SUSPEND_FAILED or HOST_DISK_FULL; the machine continues to run (but `link` is closed).
    """
    blocked = await migration.blockers(driver.monitor)
    if blocked is not None or not record.qemu_version:
        raise fail(
            ProblemCode.SUSPEND_FAILED,
            message(
                "{accelerator} can't suspend this machine: {reason}.",
                accelerator=record.accelerator.title,
                reason=blocked,
            )
            if blocked is not None
            else message("This machine can't be suspended because it was started by an older Wherry."),
            command="query-migrate",
        )
    await asyncio.to_thread(_check_room, directory, driver.pid)
    if link is not None:
        try:
            await link.execute(_FLUSH, stdin=b"", timeout_s=_FLUSH_S)
        except WherryError as error:  # its disk is then as after a power cut, if the state cannot be used later
            _log.warning("the guest did not write out its caches: %s", error.problem.summary)
        await link.aclose()
    await driver.monitor.execute("stop")
    try:
        timeout_s = deadlines.of(RESTORE, hardware=record.accelerator.hardware)
        await migration.save(driver.monitor, directory.suspended_partial, timeout_s=timeout_s)
        await asyncio.to_thread(suspended.save, directory, record, cpu=host.cpu_identity())
    except BaseException as error:
        await asyncio.shield(_undo_suspend(directory, driver))
        if isinstance(error, OSError):
            raise fail(
                ProblemCode.SUSPEND_FAILED,
                message("Couldn't save the machine's state: {error}.", error=error.strerror or error),
                command=str(error.filename or directory.suspended_state),
            ) from error
        raise


async def resume(
    directory: MachineDir,
    driver: VmDriver,
    saved: Suspended,
    preparation: Preparation,
    *,
    progress: Progress,
    deadlines: Deadlines,
    requested_at: float,
) -> RunRecord:
    """Start QEMU with the saved state and resume the guest. The saved state is deleted.

    Returns:
        The record of the running QEMU.

    Raises:
        WherryError: it cannot be resumed; the caller MUST kill QEMU, if it was started.
    """
    hardware = saved.run.accelerator.hardware
    argv = suspended.restart_arguments(saved, preparation.uuid)
    record = RunRecord(
        uuid=preparation.uuid,
        accelerator=saved.run.accelerator,
        resources=saved.run.resources,
        image_version=saved.run.image_version,
        engine_version=saved.run.engine_version,
        requested_at=requested_at,
        argv=argv,
        qemu_version=saved.run.qemu_version,
        network=saved.run.network,
        ipv6=saved.run.ipv6,
        ssh_port=saved.run.ssh_port,
    )
    progress.set_steps(RESUME_LADDER)
    progress.begin(LAUNCH)
    await driver.launch(record, argv, timeout_s=deadlines.of(LAUNCH, hardware=hardware))
    progress.begin(RESTORE)
    await migration.load(driver.monitor, directory.suspended_state, timeout_s=deadlines.of(RESTORE, hardware=hardware))
    try:
        await asyncio.to_thread(suspended.discard, directory)
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            message(
                "Couldn't delete the saved state, so the machine can't start: {error}.",
                error=error.strerror,
            ),
            command=str(error.filename or directory.suspended_state),
            hint=message("Check that the machine's folder belongs to you."),
        ) from error
    await driver.monitor.execute("cont")
    return record


async def settle(directory: MachineDir, driver: VmDriver) -> bool:
    """Complete or undo a suspend or resume that was interrupted by the end of an earlier agent.

    Args:
        driver: of the adopted QEMU.

    Returns:
        True: the machine runs. False: its state is saved completely, so the caller ends QEMU: it is suspended.

    Raises:
        WherryError: the machine cannot be resumed and has no saved state; the caller MUST kill QEMU.
    """
    status = await driver.monitor.status()
    saved = await asyncio.to_thread(suspended.load, directory)
    if status in _STOPPED and saved is not None:
        return False
    if status == "inmigrate":
        raise fail(ProblemCode.MACHINE_DIED, message("The agent stopped while resuming the machine."), retryable=True)
    if status in _STOPPED:
        _log.warning("the adopted machine stands still (%s); it goes on", status)
        await _undo_suspend(directory, driver)
    elif saved is not None:
        try:
            await asyncio.to_thread(suspended.discard, directory)
        except OSError as error:  # its disk has been written since, which makes the state void in any case
            _log.warning("the state that the running machine was saved in before was not removed: %s", error)
    return True


async def _undo_suspend(directory: MachineDir, driver: VmDriver) -> None:
    """Undo a suspend. The state is deleted before the guest runs, which makes it invalid.

    Raises:
        WherryError: PATH_UNUSABLE, the state cannot be deleted; so the guest stays stopped.
    """
    await migration.cancel(driver.monitor)
    try:
        await asyncio.to_thread(suspended.discard, directory)
    except OSError as error:
        if suspended.load(directory) is not None:
            raise WherryError(explain_os_error(error)) from error
        _log.warning("the saved state is gone, but might come back after a power cut: %s", error)
    with contextlib.suppress(WherryError):
        await driver.monitor.execute("cont")


def _check_room(directory: MachineDir, pid: int | None) -> None:
    held = (resident_bytes(pid) if pid is not None else None) or 0
    free = shutil.disk_usage(directory.machine).free
    if free < held + _SPARE_BYTES:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            message(
                "Suspending the machine needs up to {needed} MiB on this computer's disk, but "
                "only {free} MiB are free.",
                needed=held // 1024**2,
                free=free // 1024**2,
            ),
            command=f"df -h {directory.machine}",
            hint=message("Free up some space."),
        )


def misfit_problem(why: Message) -> Problem:
    """The problem for the user when a saved state cannot be used and was deleted."""
    return Problem(
        code=ProblemCode.SUSPEND_FAILED,
        summary=message("The suspended state was discarded. {why} The machine is started from scratch.", why=why),
        hint=message("The disk is unchanged. Containers start as after a power failure."),
    )
