"""From a prepared machine to a guest whose services are up: one way of running it, watched by every sign of failure.

A guest that does not run shows it in one of several ways: QEMU ends (with words), QEMU stops the CPUs and tells the
monitor, the guest panics and reboots (which ends QEMU), or nothing happens at all. The last is why every rung has a
deadline, and why the kernel's is short where another accelerator can still be tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from backend.agent.boot.prepare import Preparation
from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import GUEST, KERNEL, LAUNCH, Deadlines, Step
from backend.agent.core.guest import Guest
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.model import AcceleratorStatus
from backend.paths import MachineDir
from backend.vm import command, ladder
from backend.vm.driver import VmDriver, VmExit
from backend.vm.run import RunRecord
from backend.vm.spec import Candidate

_log = logging.getLogger(__name__)
SERVICES_STAGE = "sshd"
"""The guest's stage from which on it can be reached."""


class CandidateFailed(WherryError):  # noqa: N818 -- the reducer's word
    """One way of running the guest did not work; another may."""

    def __init__(self, problem: Problem, *, try_next: bool, reason: str | None = None) -> None:
        super().__init__(problem)
        self.try_next = try_next
        self.reason = reason
        """For the user, why a hardware accelerator is not used; None when that was not the cause."""


async def boot(
    host: Host,
    directory: MachineDir,
    driver: VmDriver,
    preparation: Preparation,
    candidate: Candidate,
    *,
    progress: Progress,
    deadlines: Deadlines,
    requested_at: float,
    earlier: tuple[str, ...],
) -> RunRecord:
    """Start QEMU in this way and wait until its kernel has shown life. Returns the record of what runs.

    Args:
        earlier: why better candidates failed in this start, for the user.

    Raises:
        CandidateFailed: it did not work; no QEMU is left.
    """
    hardware = candidate.accelerator != "tcg"
    accelerator = ladder.status(candidate, preparation.facts, (*preparation.plan.rejected, *earlier))
    spec = preparation.spec(host, directory, candidate)
    try:
        argv = command.build(spec)
    except ValueError as error:
        problem = Problem(code=ProblemCode.PATH_UNUSABLE, summary=f"{error}.", hint="Start Wherry with another --home.")
        raise CandidateFailed(problem, try_next=False) from error
    record = RunRecord(
        uuid=spec.uuid,
        accelerator=accelerator,
        resources=preparation.resources,
        image_version=preparation.image.version,
        engine_version=preparation.image.engine_version,
        requested_at=requested_at,
        argv=argv,
        qemu_version=preparation.qemu.version_text,
        network=str(preparation.network.net),
        ipv6=preparation.network.ipv6,
        ssh_port=preparation.image.ssh_port,
    )
    progress.begin(LAUNCH)
    try:
        await driver.launch(record, argv, timeout_s=deadlines.of(LAUNCH, hardware=hardware))
        progress.begin(KERNEL)
        kernel_s = deadlines.of(KERNEL, hardware=hardware)
        await watched(driver, driver.wait_kernel(timeout_s=kernel_s), step=KERNEL, deadline_s=kernel_s, keep=True)
    except WherryError as error:
        await asyncio.shield(driver.kill())
        raise _candidate_failed(error.problem, candidate, preparation, directory, accelerator) from error
    return record


async def wait_services(driver: VmDriver, guest: Guest, *, deadline_s: float, progress: Progress) -> None:
    """Wait until the guest can be reached.

    Raises:
        WherryError: STEP_TIMED_OUT, KERNEL_PANIC or MACHINE_DIED.
    """
    progress.begin(GUEST)
    await watched(driver, guest.reached(SERVICES_STAGE), step=GUEST, deadline_s=deadline_s, keep=False)


async def watched(
    driver: VmDriver, work: Coroutine[Any, Any, None], *, step: Step, deadline_s: float, keep: bool
) -> None:
    """Do `work` within the step's deadline, unless the guest's CPUs stop first.

    Args:
        keep: also watch QEMU's end here (before anybody else does).

    Raises:
        WherryError: the work's time is over, or the machine ended or stopped.
    """
    doing = asyncio.create_task(work, name=f"step {step.name}")
    stopping = asyncio.create_task(_cpus_stopped(driver), name="watch CPUs")
    ending = asyncio.create_task(driver.monitor.wait_closed(), name="watch QEMU") if keep else None
    tasks = {doing, stopping} | ({ending} if ending else set())
    try:
        done, _ = await asyncio.wait(tasks, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if doing in done:
            with contextlib.suppress(TimeoutError):
                await doing
                return
        if ending is not None and ending in done:
            exit_ = await driver.wait()
            raise WherryError(explain_exit(exit_))
        if stopping in done:
            raise fail(
                ProblemCode.BOOT_FAILED,
                f"The virtual machine's processors stopped: {await stopping}.",
                hint=step.hint,
            )
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            f"{step.title}: nothing came within {deadline_s:g} s.",
            hint=step.hint,
            retryable=True,
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=2)


async def _cpus_stopped(driver: VmDriver) -> str:
    """Return QEMU's word for why the guest's CPUs stand still, once they do.

    Polled, because an event that came before anybody listened is never repeated.
    """
    while True:
        try:
            status = await driver.monitor.status()
        except WherryError:
            await asyncio.sleep(3600)  # the monitor is gone: the end of QEMU is reported by who watches that
            continue
        if status in ("internal-error", "guest-panicked", "io-error", "shutdown"):
            return status
        await asyncio.sleep(0.2)


def explain_exit(exit_: VmExit) -> Problem:
    """Why a QEMU that nobody asked to end has ended."""
    if exit_.panicked:
        return Problem(
            code=ProblemCode.KERNEL_PANIC,
            summary="The guest's Linux kernel panicked.",
            tail=exit_.console_tail,
            hint="Start it again; if it happens again, the guest image may be damaged: wherry doctor",
            retryable=True,
        )
    how = f"killed by signal {-exit_.code}" if exit_.code is not None and exit_.code < 0 else f"code {exit_.code}"
    return Problem(
        code=ProblemCode.MACHINE_DIED,
        summary="The virtual machine ended by itself" + (f" ({how})." if exit_.code is not None else "."),
        tail=exit_.tail or exit_.console_tail,
        hint="See QEMU's messages and the guest's console: wherry logs qemu, wherry logs guest",
        retryable=True,
    )


def _candidate_failed(
    problem: Problem,
    candidate: Candidate,
    preparation: Preparation,
    directory: MachineDir,
    accelerator: AcceleratorStatus,
) -> CandidateFailed:
    """Remember what a hardware accelerator did, so that the next start does not wait for it again."""
    reason: str | None = None
    unmendable = (
        ProblemCode.DISK_LOCKED,
        ProblemCode.HOST_DISK_FULL,
        ProblemCode.PATH_UNUSABLE,
        ProblemCode.NOT_OURS,
    )
    if accelerator.hardware and problem.code not in unmendable:
        reason = f"it opens, but does not run a Linux kernel here ({problem.summary.rstrip('.')})"
        for fact in preparation.facts:
            if fact.name == candidate.accelerator:
                key = ladder.verdict_key(candidate, preparation.qemu, fact)
                with contextlib.suppress(OSError):  # not remembered: the next start finds out again
                    ladder.remember_failure(directory.verdicts, key, reason)
        reason = f"{accelerator.title}: {reason}"
        _log.warning("%s", reason)
    return CandidateFailed(problem, try_next=problem.code not in unmendable, reason=reason)
