"""What a machine that runs has, as values of its phase: nothing of it is there before, and nothing is left after."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import host
from backend.agent.boot.link import GuestLink
from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import Deadlines
from backend.agent.core.guest import Guest
from backend.agent.machine.running import Connected, Launched, RunningMachine
from backend.errors import ProblemCode, WherryError
from backend.messages import verbatim
from backend.model import AcceleratorStatus, MachineResources
from backend.paths import MachineDir
from backend.ssh.keys import ensure_keys
from backend.vm.guest import GuestControl
from backend.vm.run import RunRecord
from backend.vm.spec import SSH_PORT, UserNetwork
from tests.fakes.loop import on_loop


class Silent:
    """The guest's control port, on which nothing comes."""

    async def read(self, max_bytes: int = 65_536) -> bytes:
        return b""

    async def write(self, _data: bytes) -> None:
        raise ConnectionResetError("it is gone")

    async def write_eof(self) -> None:
        """Nothing was open."""

    async def aclose(self) -> None:
        """Nothing was open."""


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    made.create()
    return made


@pytest.fixture
def machine(directory: MachineDir) -> RunningMachine:
    return RunningMachine(host.current(), directory)


def launched(machine: RunningMachine, directory: MachineDir) -> Launched:
    record = RunRecord(
        uuid="u",
        accelerator=AcceleratorStatus(name="kvm", title=verbatim("KVM"), hardware=True),
        resources=MachineResources(cpus=2, memory_mib=2048, disk_gib=8),
        image_version="v",
        engine_version="28",
        requested_at=0,
        argv=[],
        network="10.9.0.0/24",
        ssh_port=2222,
    )
    link = GuestLink(
        machine.driver,
        ensure_keys(directory.keys),
        directory.keys / "known_hosts",
        Progress(lambda: None),
        Deadlines(),
        guest_port=2222,
        changed=lambda: None,
    )
    return Launched(record=record, link=link, is_adopted=True)


@on_loop
async def test_while_nothing_runs_there_is_nothing(machine: RunningMachine) -> None:
    assert (machine.record, machine.link, machine.guest, machine.pid) == (None, None, None, None)
    assert (machine.network, machine.guest_ssh_port, machine.is_hardware) == (UserNetwork(), SSH_PORT, False)
    assert machine.set_disk_size(12) is None
    assert await machine.execute("true", stdin=b"", timeout_s=1) is None
    await machine.tell_guest("resolver 0")
    with pytest.raises(WherryError) as caught:
        async with machine.follow("true"):
            pass
    assert caught.value.problem.code is ProblemCode.SSH_FAILED


@on_loop
async def test_what_runs_says_what_it_was_started_with(machine: RunningMachine, directory: MachineDir) -> None:
    machine.now = launched(machine, directory)
    assert (str(machine.network.net), machine.guest_ssh_port, machine.is_hardware) == ("10.9.0.0/24", 2222, True)
    assert machine.guest is None, "its control port is not open yet"
    assert await machine.execute("true", stdin=b"", timeout_s=1) is None, "nor does its engine answer"


@on_loop
async def test_a_guest_that_was_reached_keeps_what_was_launched(machine: RunningMachine, directory: MachineDir) -> None:
    before = machine.now = launched(machine, directory)
    guest = Guest(GuestControl(Silent()))
    machine.now = before.connected(guest)
    assert machine.guest is guest
    assert (machine.record, machine.link) == (before.record, before.link)
    assert machine.now.is_adopted
    await machine.tell_guest("resolver 0")  # it has just gone, which whoever watches it says


@on_loop
async def test_a_larger_disk_is_part_of_the_record_in_each_phase(
    machine: RunningMachine, directory: MachineDir
) -> None:
    machine.now = launched(machine, directory).connected(Guest(GuestControl(Silent())))
    record = machine.set_disk_size(12)
    assert record is not None
    assert record.resources == MachineResources(cpus=2, memory_mib=2048, disk_gib=12)
    assert machine.record == record
    assert isinstance(machine.now, Connected)
