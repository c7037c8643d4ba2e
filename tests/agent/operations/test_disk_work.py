"""Growing, moving and resetting the data disk by the real agent on the fake QEMU, also when the agent is killed."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.agent.core import journal as journals
from backend.agent.core.journal import Journal
from backend.control import messages
from backend.control.client import MachineClient
from backend.control.messages.request import Request
from backend.errors import ProblemCode
from backend.model import Phase
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.vm.disk import disks
from tests.agent.machine import Machine, eventually, kill, refused, until

IMAGE_TOOL = shutil.which("qemu-img")
pytestmark = pytest.mark.skipif(IMAGE_TOOL is None, reason="needs qemu-img")


def with_a_disk(machine: Machine) -> Path:
    machine.configure(machine={"accelerator": "tcg", "disk_gib": 8})
    machine.started()
    return data_disk_path(machine.paths)


def place_for(machine: Machine) -> Path:
    place = machine.home.parent / "a drive"
    place.mkdir(exist_ok=True)
    return place


def settled(client: MachineClient) -> None:
    def look() -> bool:
        list(client.updates(timeout_s=0.2))
        return client.status.operation is None

    eventually(look, "it is settled")


def test_the_disk_is_moved_and_the_machine_runs_again(machine: Machine) -> None:
    former, place = with_a_disk(machine), place_for(machine)
    done = json.loads(machine.wherry("--json", "disk", "move", str(place)).stdout)
    assert done == {"path": str(place / "data.qcow2")}
    assert not former.exists()
    assert data_disk_path(machine.paths) == place / "data.qcow2"
    assert [path.name for path in place.glob("*qcow2*")] == ["data.qcow2"]
    assert not machine.paths.operation_journal.exists()
    with machine.client() as client:
        assert client.status.phase is Phase.RUNNING
    machine.wherry("disk", "move", str(machine.paths.machine))
    assert data_disk_path(machine.paths) == former
    assert former.exists()
    assert config.load(machine.paths.config).machine.disk_directory == ""


def test_a_place_with_a_disk_is_refused_and_nothing_stops(machine: Machine) -> None:
    former, place = with_a_disk(machine), place_for(machine)
    (place / "data.qcow2").write_text("of another machine")
    launches = len(machine.launches)
    with machine.client() as client:
        assert refused(lambda: client.request(messages.MoveDisk(directory=str(place)))) is ProblemCode.BAD_REQUEST
        assert client.status.phase is Phase.RUNNING
    assert (place / "data.qcow2").read_text() == "of another machine"
    assert former.exists()
    assert len(machine.launches) == launches


def test_the_setting_is_not_changed_by_hand(machine: Machine) -> None:
    with_a_disk(machine)
    done = machine.wherry("config", "set", "machine.disk_directory", "/elsewhere", code=1)
    assert "wherry disk move" in done.stderr


def test_a_missing_moved_disk_is_never_recreated(machine: Machine) -> None:
    with_a_disk(machine)
    place = place_for(machine)
    machine.wherry("disk", "move", str(place))
    machine.wherry("stop")
    (place / "data.qcow2").rename(place / "away")
    done = machine.wherry("start", code=1)
    assert "isn't there" in done.stderr
    assert not (place / "data.qcow2").exists()
    (place / "away").rename(place / "data.qcow2")
    machine.wherry("start")


@pytest.mark.parametrize("named", ["old", "new"])
def test_an_agent_killed_while_it_changes_over_leaves_one_disk(machine: Machine, named: str) -> None:
    former, place = with_a_disk(machine), place_for(machine)
    machine.wherry("stop")
    machine.ended()
    target = place / "data.qcow2"
    shutil.copy(former, target)
    details = {"source": str(former), "directory": str(place), "inode": target.stat().st_ino}
    journals.save(
        machine.paths.operation_journal,
        Journal(name="disk.move", stage="switching", was_running=True, details=details),
    )
    if named == "new":
        config.set_values(machine.paths.config, {"machine.disk_directory": str(place)}, moved=True)
    with machine.client() as client:
        until(client, Phase.RUNNING)
        settled(client)
    assert former.exists() is (named == "old")
    assert target.exists() is (named == "new")
    assert not machine.paths.operation_journal.exists()


def test_an_agent_killed_while_it_copies_leaves_no_half_copy(machine: Machine) -> None:
    former, place = with_a_disk(machine), place_for(machine)
    machine.wherry("stop")
    machine.ended()
    half = place / ".data.qcow2.moving"
    half.write_bytes(b"half of it")
    stranger = place / "data.qcow2"
    stranger.write_text("put there meanwhile")
    details = {"source": str(former), "directory": str(place)}
    journals.save(
        machine.paths.operation_journal, Journal(name="disk.move", stage="copying", was_running=False, details=details)
    )
    machine.wherry("status", code=3)
    eventually(lambda: not machine.paths.operation_journal.exists(), "it is settled")
    assert not half.exists()
    assert former.exists()
    assert stranger.read_text() == "put there meanwhile"


def test_other_requests_are_refused_meanwhile_with_the_reason(machine: Machine) -> None:
    with_a_disk(machine)
    machine.cue(hold={"off": str(machine.gate("off"))})
    machine.wherry("restart", "--kill")
    place = place_for(machine)
    moving = machine.popen("--json", "disk", "move", str(place))
    with machine.client() as client:
        for update in client.updates(timeout_s=30):
            if getattr(update, "phase", None) is Phase.STOPPING:
                break
        assert client.status.operation is not None
        assert client.status.operation.name == "disk.move"
        requests: tuple[Request[Any], ...] = (
            *(messages.Start(), messages.Stop(), messages.Restart(), messages.ShutDownAgent()),
            *(messages.ResetMachine(), messages.CreateCheckpoint()),
        )
        for request in requests:
            assert refused(functools.partial(client.request, request)) is ProblemCode.BUSY, request
        client.request(messages.CancelOperation())
        machine.release("off")
        out, _ = moving.communicate(timeout=60)
        assert json.loads(out)["problem"]["code"] == "cancelled"
        until(client, Phase.RUNNING)
    assert list(place.glob("*qcow2*")) == []
    assert not list(place.glob(".data*"))


def test_an_agent_killed_in_a_move_is_followed_by_one_that_starts_the_machine(machine: Machine) -> None:
    former = with_a_disk(machine)
    machine.cue(hold={"off": str(machine.gate("off"))})
    machine.wherry("restart", "--kill")
    place = place_for(machine)
    with machine.client() as client:
        pid = client.agent_pid
        asked = machine.popen("disk", "move", str(place))
        for update in client.updates(timeout_s=30):
            if getattr(update, "phase", None) is Phase.STOPPING:
                break
        kill(pid)
    machine.release("off")
    asked.communicate(timeout=60)
    with machine.client() as client:
        until(client, Phase.RUNNING)
        settled(client)
    assert former.exists()
    assert not machine.paths.operation_journal.exists()
    assert not list(place.glob(".data*"))


def test_a_stopped_disk_grows_at_the_next_start_and_keeps_a_checkpoint(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    assert json.loads(machine.wherry("--json", "disk", "grow", "12").stdout) == {"size_gib": 12, "now": False}
    assert disks.present_size_gib(path) == 8
    assert "disk grow" not in machine.wherry("disk", "grow", "4", code=1).stdout
    machine.wherry("start")
    assert disks.present_size_gib(path) == 12
    machine.wherry("stop")
    found = json.loads(machine.wherry("--json", "checkpoint", "list").stdout)["checkpoints"]
    assert [entry["reason"] for entry in found] == ["before-resize"]


def test_a_reset_blanks_the_disk_and_a_checkpoint_brings_it_back(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    fill(path, "0xaa")
    machine.configure(machine={"accelerator": "tcg", "disk_gib": 6})
    checkpoint = json.loads(machine.wherry("--json", "reset", "--yes").stdout)["checkpoint"]
    assert disks.present_size_gib(path) == 6
    assert not holds(path, "0xaa")
    machine.wherry("checkpoint", "restore", checkpoint, "--yes")
    assert disks.present_size_gib(path) == 8
    assert holds(path, "0xaa")
    assert not machine.paths.blank_disk.exists()


def test_a_reset_without_a_checkpoint_deletes_the_disk(machine: Machine) -> None:
    path = with_a_disk(machine)
    assert json.loads(machine.wherry("--json", "reset", "--yes", "--no-checkpoint").stdout) == {
        "deleted": str(path),
        "checkpoint": None,
    }
    assert not path.exists()


def test_a_damaged_disk_is_not_reset_silently(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    path.write_bytes(b"QFI\xfb" + b"\xff" * 5000)
    done = machine.wherry("reset", "--yes", code=1)
    assert "--no-checkpoint" in done.stderr
    assert path.exists()
    machine.wherry("reset", "--yes", "--no-checkpoint")
    assert not path.exists()


def test_a_reset_interrupted_while_it_blanks_is_taken_back(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    fill(path, "0xaa")
    checkpoint = json.loads(machine.wherry("--json", "reset", "--yes").stdout)["checkpoint"]
    machine.ended()
    journals.save(
        machine.paths.operation_journal,
        Journal(name="reset", stage="blanking", was_running=False, details={"checkpoint": checkpoint}),
    )
    machine.wherry("status", code=3)
    eventually(lambda: not machine.paths.operation_journal.exists(), "it is settled")
    assert holds(path, "0xaa")


def spoil_the_blanking(machine: Machine, *, restores: bool) -> Path:
    """Make qemu-img erase only a part of the disk and then fail. Returns the file that turns this on while it exists.

    Args:
        machine: the machine whose tools are replaced.
        restores: whether restoring a checkpoint still works meanwhile.
    """
    spoilt, script = machine.home / "spoilt", machine.qemu.with_name("qemu-img")
    spoilt.touch()
    script.write_text(
        f'#!/bin/sh\nif [ -e "{spoilt}" ] && grep -q blanking "{machine.paths.operation_journal}" 2>/dev/null; then\n'
        '  if [ "$1" = info ] && [ ! -e "$0.once" ]; then\n'
        '    touch "$0.once"; for path in "$@"; do :; done\n'
        '    qemu-io -f qcow2 -c "write -P 0 1M 64k" "$path" >&2\n'
        "    echo '{\"virtual-size\": 9223372036854775808}'; exit 0\n  fi\n"
        + ("" if restores else '  if [ "$1 $3" = "snapshot -a" ]; then echo "qemu-img: spoilt" >&2; exit 1; fi\n')
        + f'fi\nexec {IMAGE_TOOL} "$@"\n'
    )
    script.chmod(0o755)
    return spoilt


@pytest.mark.expect_log("OverflowError|task .* failed|request reset failed")
def test_a_defect_while_it_blanks_is_taken_back(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    fill(path, "0xaa")
    spoil_the_blanking(machine, restores=True)
    assert "too large" in machine.wherry("reset", "--yes", code=1).stderr
    assert holds(path, "0xaa")
    assert not machine.paths.operation_journal.exists()
    machine.wherry("start")


@pytest.mark.expect_log("OverflowError|couldn't be restored")
def test_what_could_not_be_taken_back_is_tried_again_by_a_start(machine: Machine) -> None:
    path = with_a_disk(machine)
    machine.wherry("stop")
    fill(path, "0xaa")
    spoilt = spoil_the_blanking(machine, restores=False)
    launches = len(machine.launches)
    assert "couldn't be restored" in machine.wherry("reset", "--yes", code=1).stderr
    assert machine.paths.operation_journal.exists()
    assert "couldn't be restored" in machine.wherry("start", code=1).stderr
    machine.ended()
    eventually(lambda: "couldn't be restored" in machine.wherry("start", code=1).stderr, "so says the next agent")
    assert len(machine.launches) == launches
    spoilt.unlink()
    machine.wherry("start")
    assert not machine.paths.operation_journal.exists()
    machine.wherry("stop")
    assert holds(path, "0xaa")


def fill(path: Path, pattern: str) -> None:
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 1M 64k", str(path)], check=True)


def holds(path: Path, pattern: str) -> bool:
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-r", "-c", f"read -P {pattern} 1M 64k", str(path)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return "Pattern verification failed" not in done.stdout and done.returncode == 0
