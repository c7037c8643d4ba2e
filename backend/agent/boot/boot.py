"""Boots the guest with one launch candidate, from starting QEMU to running services, and detects every failure.

A failed boot shows in one of four ways: QEMU ends, QEMU stops the CPUs and reports it on the monitor, the guest panics
and reboots (which ends QEMU), or nothing happens at all. Because of the last, every step has a deadline; the kernel's
is short with a hardware accelerator, so that the next one is tried soon.
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
from backend.messages import Message, message
from backend.model import AcceleratorStatus
from backend.paths import MachineDir
from backend.vm import command, ladder
from backend.vm.driver import VmDriver, VmExit
from backend.vm.run import RunRecord
from backend.vm.spec import Candidate

_log = logging.getLogger(__name__)
SERVICES_STAGE = "sshd"
"""The guest's boot stage in which its SSH server runs."""


class CandidateFailed(WherryError):  # noqa: N818 -- an event, and no mistake
    """A launch candidate failed. `try_next`: whether another one may work."""

    def __init__(self, problem: Problem, *, try_next: bool, reason: Message | None = None) -> None:
        super().__init__(problem)
        self.try_next = try_next
        self.reason = reason
        """For the user: why a hardware accelerator is not used; None if the accelerator was not the cause."""


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
    earlier: tuple[Message, ...],
) -> RunRecord:
    """Start QEMU with this candidate and wait until the guest's kernel runs.

    Args:
        requested_at: when the user requested the start, in seconds since the epoch.
        earlier: for the user, why better candidates failed in this start.

    Returns:
        The record of the running QEMU.

    Raises:
        CandidateFailed: it failed, and QEMU has ended.
    """
    hardware = candidate.accelerator != "tcg"
    accelerator = ladder.status(candidate, preparation.facts, (*preparation.plan.rejected, *earlier))
    spec = preparation.spec(host, directory, candidate)
    try:
        argv = command.build(spec)
    except ValueError as error:
        problem = Problem(
            code=ProblemCode.PATH_UNUSABLE,
            summary=message("The machine's folder can't be used: {error}.", error=error),
            hint=message("Start Wherry with another --home."),
        )
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
    """Wait until the guest's SSH server runs.

    Raises:
        WherryError: STEP_TIMED_OUT, KERNEL_PANIC or MACHINE_DIED.
    """
    progress.begin(GUEST)
    await watched(driver, guest.reached(SERVICES_STAGE), step=GUEST, deadline_s=deadline_s, keep=False)


async def watched(
    driver: VmDriver, work: Coroutine[Any, Any, None], *, step: Step, deadline_s: float, keep: bool
) -> None:
    """Await `work` until the deadline, and fail at once when the guest's CPUs stop.

    Args:
        step: named in the errors.
        keep: also fail when QEMU ends (for as long as nobody else watches that).

    Raises:
        WherryError: STEP_TIMED_OUT; BOOT_FAILED, the CPUs stopped; KERNEL_PANIC or MACHINE_DIED; or that of `work`.
    """
    working = asyncio.create_task(work, name=f"step {step.name}")
    stopping = asyncio.create_task(_cpus_stopped(driver), name="watch CPUs")
    ending = asyncio.create_task(driver.monitor.wait_closed(), name="watch QEMU") if keep else None
    tasks = {working, stopping} | ({ending} if ending else set())
    try:
        done, _ = await asyncio.wait(tasks, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            with contextlib.suppress(TimeoutError):
                await working
                return
        if ending is not None and ending in done:
            exit_ = await driver.wait()
            raise WherryError(explain_exit(exit_))
        if stopping in done:
            raise fail(
                ProblemCode.BOOT_FAILED,
                message("The virtual machine's processors stopped ({state}).", state=await stopping),
                hint=step.hint,
            )
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            message("{title}: no response within {seconds:g} s.", title=step.title, seconds=deadline_s),
            hint=step.hint,
            retryable=True,
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=2)


async def _cpus_stopped(driver: VmDriver) -> str:
    """Wait until the guest's CPUs have stopped, and return QEMU's run state ("internal-error", "io-error"...).

    Polled, because QEMU does not repeat an event that came before we subscribed.
    """
    while True:
        try:
            status = await driver.monitor.status()
        except WherryError:
            await asyncio.sleep(3600)  # QEMU has ended, which another task reports
            continue
        if status in ("internal-error", "guest-panicked", "io-error", "shutdown"):
            return status
        await asyncio.sleep(0.2)


def explain_exit(exit_: VmExit) -> Problem:
    """The problem for the user when QEMU has ended unexpectedly."""
    if exit_.panicked:
        return Problem(
            code=ProblemCode.KERNEL_PANIC,
            summary=message("The guest's Linux kernel crashed."),
            tail=exit_.console_tail,
            hint=message(
                "Start the machine again. If this happens again, the guest image may be damaged: wherry doctor"
            ),
            retryable=True,
        )
    if exit_.code is None:
        summary = message("The virtual machine stopped unexpectedly.")
    elif exit_.code < 0:
        summary = message("The virtual machine was killed by signal {signal}.", signal=-exit_.code)
    else:
        summary = message("The virtual machine stopped unexpectedly with code {code}.", code=exit_.code)
    return Problem(
        code=ProblemCode.MACHINE_DIED,
        summary=summary,
        tail=exit_.tail or exit_.console_tail,
        hint=message("Check QEMU's log and the guest's console: wherry logs qemu, wherry logs guest"),
        retryable=True,
    )


def _candidate_failed(
    problem: Problem,
    candidate: Candidate,
    preparation: Preparation,
    directory: MachineDir,
    accelerator: AcceleratorStatus,
) -> CandidateFailed:
    """Make the error, and save the failure of a hardware accelerator, so that the next start does not try it again."""
    reason: Message | None = None
    unrelated = (
        ProblemCode.DISK_LOCKED,
        ProblemCode.HOST_DISK_FULL,
        ProblemCode.PATH_UNUSABLE,
        ProblemCode.NOT_OURS,
    )
    if accelerator.hardware and problem.code not in unrelated:
        reason = message("It doesn't run a Linux kernel here. {summary}", summary=problem.summary)
        for fact in preparation.facts:
            if fact.name == candidate.accelerator:
                key = ladder.verdict_key(candidate, preparation.qemu, fact)
                with contextlib.suppress(OSError):  # not saved: the next start tries it again
                    ladder.remember_failure(directory.verdicts, key, reason)
        reason = message("{title}: {reason}", title=accelerator.title, reason=reason)
        _log.warning("%s", reason)
    return CandidateFailed(problem, try_next=problem.code not in unrelated, reason=reason)
