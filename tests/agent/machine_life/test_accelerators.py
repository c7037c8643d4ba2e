"""Selection of accelerators by the supervisor: each way in which hardware fails, the fallback, and its persistence.

In one process, so that tests can replace the host's facts: KVM appears available wherever the tests run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from backend.agent.boot.readiness import Deadlines
from backend.agent.core.lifecycle import StartRequested, StopRequested
from backend.errors import ProblemCode
from backend.host import current
from backend.host.base import AcceleratorFact
from backend.host.systems.linux import LinuxHost
from backend.messages import verbatim
from backend.model import MachineStatus, Notice, Phase, StopPolicy
from backend.vm import ladder
from tests.agent.machine import PATIENCE_S, Machine
from tests.fakes.supervising import supervisor_of

KVM = AcceleratorFact(name="kvm", title="KVM", available=True, reason=verbatim("it opens"), fingerprint="this boot")


class KvmHost(LinuxHost):
    """A host on which KVM appears available."""

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        return (KVM,)


class RecordedSupervisor:
    """A supervisor with all its snapshots and notices."""

    def __init__(self, machine: Machine, deadlines: str = "kernel.hardware=0.4") -> None:
        self.notices: list[str] = []
        self._status: MachineStatus | None = None
        self._changed = asyncio.Event()
        self.supervisor = supervisor_of(
            KvmHost(current().arch),
            machine.paths,
            publish=self._publish,
            notify=self._note,
            deadlines=Deadlines.parse(deadlines),
        )

    def _publish(self, status: MachineStatus) -> None:
        self._status = status
        self._changed.set()

    def _note(self, notice: Notice) -> None:
        self.notices.append(str(notice.text))

    async def until(self, *phases: Phase) -> MachineStatus:
        """The first snapshot in one of these phases."""
        async with asyncio.timeout(PATIENCE_S):
            while self._status is None or self._status.phase not in phases:
                self._changed.clear()
                await self._changed.wait()
        return self._status


async def start_once(machine: Machine, recorded: RecordedSupervisor) -> MachineStatus:
    """Start, wait until the start is settled, stop; returns the settled status."""
    serving = asyncio.create_task(recorded.supervisor.run())
    try:
        await recorded.supervisor.ask(StartRequested())
        status = await recorded.until(Phase.RUNNING, Phase.FAILED)
        await recorded.supervisor.ask(StopRequested(StopPolicy.KILL))
        await recorded.until(Phase.STOPPED)
        return status
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        await recorded.supervisor.detach()


@pytest.fixture
def kvm_machine(machine: Machine) -> Machine:
    if current().arch not in ("amd64", "arm64"):
        pytest.fail(f"there are no accelerators for {current().arch}")
    machine.configure(machine={"accelerator": "auto"})
    return machine


FAILURES: list[tuple[str, dict[str, Any], str]] = [
    ("ends early", {"exit_early": {"stderr": "no kvm: Permission denied", "code": 1}}, "QEMU stopped"),
    ("internal error", {"internal_error": True}, "internal-error"),
    ("hangs", {"kernel_hang": True}, "no response within 0.4 s"),
    ("panics", {"guest_panic": "kernel"}, "crashed"),
    ("dies", {"hold": {"kernel": "/nonexistent"}, "die_after": 0.1}, "stopped unexpectedly"),
]


@pytest.mark.parametrize(("name", "cues", "words"), FAILURES, ids=[name for name, _, _ in FAILURES])
@pytest.mark.expect_log("boot: KVM: ")
def test_hardware_that_fails_is_replaced_and_not_tried_again(
    kvm_machine: Machine, name: str, cues: dict[str, Any], words: str
) -> None:
    kvm_machine.cue(only={"kvm": cues})
    recorded = RecordedSupervisor(kvm_machine)
    first = asyncio.run(start_once(kvm_machine, recorded))
    assert first.phase is Phase.RUNNING, first.problems
    assert first.accelerator is not None
    assert (first.accelerator.name, first.accelerator.hardware) == ("tcg", False)
    assert any(words in str(reason) and str(reason).startswith("KVM: ") for reason in first.accelerator.reasons)
    assert any(words in notice for notice in recorded.notices)
    tried = [accelerator for _, accelerator in kvm_machine.launches]
    assert tried[-1] == "tcg"
    assert set(tried[:-1]) == {"kvm"}
    verdicts = ladder.load_verdicts(kvm_machine.paths.verdicts)
    assert all(words in str(reason) for reason in verdicts.values())
    assert len(verdicts) == len(tried) - 1

    second = asyncio.run(start_once(kvm_machine, RecordedSupervisor(kvm_machine)))
    assert [accelerator for _, accelerator in kvm_machine.launches][len(tried) :] == ["tcg"]
    assert second.accelerator is not None
    assert any(words in str(reason) for reason in second.accelerator.reasons)


def test_hardware_that_works_is_used(kvm_machine: Machine) -> None:
    status = asyncio.run(start_once(kvm_machine, RecordedSupervisor(kvm_machine, "")))
    assert status.accelerator is not None
    assert (status.accelerator.name, str(status.accelerator.title), status.accelerator.reasons) == ("kvm", "KVM", ())
    assert [accelerator for _, accelerator in kvm_machine.launches] == ["kvm"]
    assert not kvm_machine.paths.verdicts.exists()


def test_failures_unrelated_to_the_accelerator_do_not_exclude_it(kvm_machine: Machine) -> None:
    words = 'Failed to get "write" lock\nIs another process using the image?'
    kvm_machine.cue(exit_early={"stderr": words, "code": 1})
    status = asyncio.run(start_once(kvm_machine, RecordedSupervisor(kvm_machine)))
    assert status.phase is Phase.FAILED
    assert status.problems[0].code is ProblemCode.DISK_LOCKED
    assert [accelerator for _, accelerator in kvm_machine.launches] == ["kvm"]
    assert not kvm_machine.paths.verdicts.exists()


@pytest.mark.expect_log("boot: KVM: ")
def test_a_forced_accelerator_has_no_fallback(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    machine.configure(machine={"accelerator": "kvm"})
    machine.cue(internal_error=True)
    status = asyncio.run(start_once(machine, RecordedSupervisor(machine)))
    assert status.phase is Phase.FAILED
    assert status.problems[0].code is ProblemCode.BOOT_FAILED
    assert {accelerator for _, accelerator in machine.launches} == {"kvm"}
    status = asyncio.run(start_once(machine, RecordedSupervisor(machine)))
    assert status.problems[0].code is ProblemCode.NO_ACCELERATOR
    assert status.problems[0].hint


@pytest.mark.expect_log("boot: KVM: ")
def test_a_stop_during_the_fallback_is_obeyed(kvm_machine: Machine) -> None:
    gate = str(kvm_machine.gate("kernel"))
    kvm_machine.cue(only={"kvm": {"internal_error": True}, "tcg": {"hold": {"kernel": gate}}})

    async def story() -> None:
        recorded = RecordedSupervisor(kvm_machine)
        serving = asyncio.create_task(recorded.supervisor.run())
        await recorded.supervisor.ask(StartRequested())
        async with asyncio.timeout(PATIENCE_S):
            while "tcg" not in [accelerator for _, accelerator in kvm_machine.launches]:
                await asyncio.sleep(0.01)
        await recorded.supervisor.ask(StopRequested())
        await recorded.until(Phase.STOPPED)
        serving.cancel()
        await asyncio.wait({serving})
        await recorded.supervisor.detach()

    asyncio.run(story())
    kvm_machine.assert_nothing_left()
