"""The supervisor without a machine: what it tells, and on which thread."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path

import pytest

from backend import host
from backend.agent.core.lifecycle import FoundSuspended, StopRequested
from backend.agent.machine.supervisor import Supervisor
from backend.messages import verbatim
from backend.model import MachineStatus, Notice, OperationStatus, Phase, StopPolicy
from backend.paths import MachineDir
from tests.fakes.supervising import supervisor_of


class Recorder:
    """What the supervisor tells, each with the thread that it was told on."""

    def __init__(self) -> None:
        self.statuses: list[MachineStatus] = []
        self.notices: list[Notice] = []
        self.threads: set[int] = set()

    def publish(self, status: MachineStatus) -> None:
        self.threads.add(threading.get_ident())
        self.statuses.append(status)

    def notify(self, notice: Notice) -> None:
        self.threads.add(threading.get_ident())
        self.notices.append(notice)


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    current = host.current()
    made = MachineDir.locate(
        tmp_path / "home",
        max_socket_path_bytes=current.max_socket_path_bytes,
        short_run_base=current.short_run_base(),
    )
    made.create()
    return made


def supervisor(directory: MachineDir, recorder: Recorder) -> Supervisor:
    return supervisor_of(host.current(), directory, publish=recorder.publish, notify=recorder.notify)


def test_a_saved_state_that_cannot_be_removed_is_told_on_the_loops_thread(directory: MachineDir) -> None:
    directory.suspended_record.mkdir()
    recorder = Recorder()

    async def run() -> None:
        machine = supervisor(directory, recorder)
        running = asyncio.create_task(machine.run())
        async with asyncio.timeout(20):
            machine.post(FoundSuspended())
            await machine.ask(StopRequested(StopPolicy.KILL))
            await machine.ask(StopRequested(StopPolicy.KILL))
        assert machine.phase is Phase.STOPPED
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())
    assert len(recorder.notices) == 1
    assert recorder.threads == {threading.get_ident()}


def test_an_equal_snapshot_is_not_published_again(directory: MachineDir) -> None:
    recorder = Recorder()

    async def run() -> None:
        machine = supervisor(directory, recorder)
        running = asyncio.create_task(machine.run())
        async with asyncio.timeout(20):
            seq = await machine.ask(StopRequested())
            before = len(recorder.statuses)
            assert await machine.ask(StopRequested()) == seq, "what is known already heeds it"
            operation = OperationStatus(name="reset", title=verbatim("Resetting"))
            for _ in range(3):
                machine.show_ports(())
                machine.show_networks(None, None)
                machine.show_operation(operation)
                machine.show_offer(None)
            machine.show_operation(None)
        assert len(recorder.statuses) == before + 2
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())
    assert [status.seq for status in recorder.statuses] == list(range(len(recorder.statuses)))
    assert all(one != following for one, following in itertools.pairwise(recorder.statuses))
