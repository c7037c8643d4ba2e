"""Suspending the machine and going on from the saved state: the order of things that keeps it safe at every moment.

Suspend: the guest writes out what it holds, its processors stop, memory goes to a file, the file is made durable, the
record is written, QEMU is ended. Resume: QEMU starts as then, reads the file, file and record are given up, the
processors go on. Whoever is killed in between leaves either a machine that can be adopted, or a saved state whose guest
has not run since; `settle` tells them apart.
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
from backend.paths import MachineDir
from backend.vm import migration, suspended
from backend.vm.driver import VmDriver
from backend.vm.run import RunRecord
from backend.vm.suspended import Suspended

_log = logging.getLogger(__name__)

_FLUSH_S: Final = 20.0
_FLUSH: Final = "sync; echo 1 >/proc/sys/vm/drop_caches"
"""Run in the guest: what is only a copy of its disk need not be saved with its memory."""
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
    """Save the running machine. Its processors stand still when this returns, and QEMU waits to be ended.

    Args:
        record: of the running QEMU.
        link: the way to the guest, to have it write out what it holds; closed here, because no connection outlives
            the pause.

    Raises:
        WherryError: it cannot be suspended, and runs on as before (but `link` is closed).
    """
    blocked = await migration.blockers(driver.monitor)
    if blocked is not None or not record.qemu_version:
        raise fail(
            ProblemCode.SUSPEND_FAILED,
            f"{record.accelerator.title} cannot suspend it: {blocked or 'it was started by an older Wherry'}.",
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
        await asyncio.shield(_go_on(directory, driver))
        if isinstance(error, OSError):
            raise fail(
                ProblemCode.SUSPEND_FAILED,
                f"The machine's state cannot be kept: {error.strerror or error}.",
                command=str(error.filename or directory.suspended_state),
            ) from error
        raise


async def resume(
    directory: MachineDir,
    driver: VmDriver,
    found: Suspended,
    preparation: Preparation,
    *,
    progress: Progress,
    deadlines: Deadlines,
    requested_at: float,
) -> RunRecord:
    """Start QEMU as then and let the guest go on. The saved state is used up when this returns.

    Returns:
        The record of the QEMU that runs now.

    Raises:
        WherryError: it cannot go on from there; the QEMU that was started, if any, is to be killed by the caller.
    """
    hardware = found.run.accelerator.hardware
    argv = suspended.restart_arguments(found, preparation.uuid)
    record = RunRecord(
        uuid=preparation.uuid,
        accelerator=found.run.accelerator,
        resources=found.run.resources,
        image_version=found.run.image_version,
        engine_version=found.run.engine_version,
        requested_at=requested_at,
        argv=argv,
        qemu_version=found.run.qemu_version,
        network=found.run.network,
        ipv6=found.run.ipv6,
        ssh_port=found.run.ssh_port,
    )
    progress.climb(RESUME_LADDER)
    progress.begin(LAUNCH)
    await driver.launch(record, argv, timeout_s=deadlines.of(LAUNCH, hardware=hardware))
    progress.begin(RESTORE)
    await migration.load(driver.monitor, directory.suspended_state, timeout_s=deadlines.of(RESTORE, hardware=hardware))
    try:
        await asyncio.to_thread(suspended.discard, directory)
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            f"The saved state could not be removed, so the machine must not go on from it: {error.strerror}.",
            command=str(error.filename or directory.suspended_state),
            hint="Check that the machine's home belongs to you.",
        ) from error
    await driver.monitor.execute("cont")
    return record


async def settle(directory: MachineDir, driver: VmDriver) -> bool:
    """Bring a QEMU that was just adopted out of a suspend or a resume that its agent did not live to finish.

    Returns:
        Whether it runs on. False: it stood still and its state is saved, so it is to be ended and is suspended.

    Raises:
        WherryError: it can neither go on nor be gone on from; it is to be killed.
    """
    status = await driver.monitor.status()
    found = await asyncio.to_thread(suspended.load, directory)
    if status in _STOPPED and found is not None:
        return False
    if status == "inmigrate":
        raise fail(ProblemCode.MACHINE_DIED, "The agent ended while it restored the machine.", retryable=True)
    if status in _STOPPED:
        _log.warning("the adopted machine stands still (%s); it goes on", status)
        await _go_on(directory, driver)
    elif found is not None:
        try:
            await asyncio.to_thread(suspended.discard, directory)
        except OSError as error:  # its disk has been written since, which makes the state void in any case
            _log.warning("the state that the running machine was saved in before was not removed: %s", error)
    return True


async def _go_on(directory: MachineDir, driver: VmDriver) -> None:
    """Take back a suspend that was begun. The state goes first: it is void once the guest runs.

    Raises:
        WherryError: PATH_UNUSABLE, the state is there and cannot be removed; so the guest stands still.
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
            f"To suspend the machine takes up to {held // 1024**2} MiB on this computer's disk, where "
            f"{free // 1024**2} MiB are free.",
            command=f"df -h {directory.machine}",
            hint="Free some space.",
        )


def misfit_problem(why: str) -> Problem:
    """What the user is told when a saved state was given up."""
    return Problem(
        code=ProblemCode.SUSPEND_FAILED,
        summary=f"The suspended state was given up, because {why}. The machine is started anew.",
        hint="Its disk is untouched: containers start again as after a power cut.",
    )
