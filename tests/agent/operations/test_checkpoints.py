"""Checkpoints by the real agent on the fake QEMU and real disks: created, refused, restored, interrupted by kills."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from backend.agent.core import journal as journals
from backend.agent.core.journal import Journal
from backend.agent.operations.restoring import RestoreStep
from backend.control import messages
from backend.control.client import MachineClient
from backend.control.messages.request import Request
from backend.errors import ProblemCode
from backend.model import MachineStatus, Phase
from backend.settings.disk import data_disk_path
from tests.agent.machine import Machine, alive, eventually, kill, refused, until

REAL_TOOL = shutil.which("qemu-img")


def create_disk(machine: Machine) -> None:
    """Create the disk of a machine that was never started."""
    data_disk_path(machine.paths).unlink(missing_ok=True)
    qemu_img("create", "-q", "-f", "qcow2", str(data_disk_path(machine.paths)), "64G")
    mark(machine, 0x11)


def qemu_img(*words: str) -> None:
    subprocess.run(["qemu-img", *words], check=True, timeout=60)


def mark(machine: Machine, value: int) -> None:
    """Write a pattern to the disk of a stopped machine."""
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -P {value} 1G 64k", str(data_disk_path(machine.paths))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


def marked(machine: Machine, value: int) -> bool:
    command = [
        "qemu-io",
        "-U",
        "-r",
        "-f",
        "qcow2",
        "-c",
        f"read -P {value} 1G 64k",
        str(data_disk_path(machine.paths)),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return "verification failed" not in said


def listed(client: MachineClient) -> tuple[messages.CheckpointEntry, ...]:
    return client.request(messages.ListCheckpoints()).checkpoints


def reasons(client: MachineClient) -> list[str]:
    return [entry.reason for entry in listed(client)]


def spoil_tool(machine: Machine, option: str, count: int = 1) -> None:
    """Make this option of `qemu-img snapshot` fail `count` times."""
    script = machine.qemu.with_name("qemu-img")
    budget = machine.home / "spoilt"
    budget.write_text("x" * count)
    script.write_text(
        f'#!/bin/sh\nif [ "$1 $3" = "snapshot {option}" ] && [ -s "{budget}" ]; then\n'
        f'  truncate -s -1 "{budget}"; echo "qemu-img: spoilt" >&2; exit 1\nfi\nexec {REAL_TOOL} "$@"\n'
    )
    script.chmod(0o755)


def test_a_machine_that_was_never_started_has_none(machine: Machine) -> None:
    with machine.client() as client:
        assert listed(client) == ()
        assert refused(lambda: client.request(messages.CreateCheckpoint())) is ProblemCode.CHECKPOINT_FAILED
        assert refused(lambda: client.request(messages.RestoreCheckpoint(id="nope"))) is ProblemCode.BAD_REQUEST


def test_a_stopped_machine_goes_back_and_the_present_is_kept(machine: Machine) -> None:
    create_disk(machine)
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint(name="the first")).id
        mark(machine, 0x22)
        done = client.request(messages.RestoreCheckpoint(id=first))
        assert done.running is False
        assert marked(machine, 0x11)
        assert [(entry.name, entry.automatic) for entry in listed(client)] == [("the first", False), ("", True)]
        client.request(messages.RestoreCheckpoint(id=done.present))
        assert marked(machine, 0x22)
        assert client.status.phase is Phase.STOPPED
        assert client.status.operation is None
    assert not machine.launches
    assert not machine.paths.operation_journal.exists()


def test_a_running_machine_is_frozen_for_it_and_runs_again_after_a_restore(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        made_id = client.request(messages.CreateCheckpoint(name='-x, "é"')).id
        words = [line.split()[0] for line in machine.lines_to_guest()]
        assert words.index("freeze") < words.index("thaw")
        seen: list[str] = []
        done = client.request(messages.RestoreCheckpoint(id=made_id))
        assert done.running is True
        seen = [entry.reason for entry in listed(client)]
        assert seen == ["manual", "before-restore"]
        assert until(client, Phase.RUNNING).operation is None
        assert len(machine.launches) == 2
        for entry in listed(client):
            client.request(messages.DeleteCheckpoint(id=entry.id))
        assert listed(client) == ()


@pytest.mark.parametrize("cue", ["refused", "unknown"])
def test_a_guest_that_cannot_freeze_is_a_refusal_that_can_be_overruled(machine: Machine, cue: str) -> None:
    machine.cue(freeze=cue)
    machine.started()
    with machine.client() as client:
        assert refused(lambda: client.request(messages.CreateCheckpoint())) is ProblemCode.CHECKPOINT_FAILED
        assert listed(client) == ()
        client.request(messages.CreateCheckpoint(force=True))
        assert reasons(client) == ["manual"]


def test_a_guest_that_never_replies_is_reported_and_can_be_overruled(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="freeze=0.5")
    machine.cue(freeze="hang")
    machine.started()
    with machine.client() as client:
        assert refused(lambda: client.request(messages.CreateCheckpoint())) is ProblemCode.CHECKPOINT_FAILED
        assert listed(client) == ()
        client.request(messages.CreateCheckpoint(force=True))
        assert reasons(client) == ["manual"]


def test_an_answer_that_is_lost_does_no_harm(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="thaw=1")
    machine.cue(thaw_lost=True)
    machine.started()
    with machine.client() as client:
        client.request(messages.CreateCheckpoint(), reply_timeout_s=60)  # the freeze is active; it ends automatically
        assert reasons(client) == ["manual"]


def test_a_snapshot_that_fails_lets_the_guest_go_on(machine: Machine) -> None:
    machine.cue(snapshot_fails="Failed to create snapshot: Could not write snapshot table: No space left on device")
    machine.started()
    with machine.client() as client:
        assert refused(lambda: client.request(messages.CreateCheckpoint())) is ProblemCode.HOST_DISK_FULL
        assert machine.lines_to_guest()[-1].startswith(("thaw", "time"))
        assert any(line.startswith("thaw") for line in machine.lines_to_guest())
        assert listed(client) == ()


def test_a_restore_that_fails_leaves_the_present(machine: Machine) -> None:
    create_disk(machine)
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint()).id
        mark(machine, 0x22)
        spoil_tool(machine, "-a")
        assert refused(lambda: client.request(messages.RestoreCheckpoint(id=first))) is ProblemCode.CHECKPOINT_FAILED
        assert marked(machine, 0x22)
        spoil_tool(machine, "-c")
        assert refused(lambda: client.request(messages.RestoreCheckpoint(id=first))) is ProblemCode.CHECKPOINT_FAILED
        assert marked(machine, 0x22)
        client.request(messages.RestoreCheckpoint(id=first))
        assert marked(machine, 0x11)


def test_a_start_waits_for_a_checkpoint_that_is_being_taken_for_whoever_has_left(machine: Machine) -> None:
    create_disk(machine)
    begun, go = machine.home / "begun", machine.home / "go"
    script = machine.qemu.with_name("qemu-img")
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = snapshot ]; then\n  touch "{begun}"; while [ ! -e "{go}" ]; do sleep 0.02; done\nfi\n'
        f'exec {REAL_TOOL} "$@"\n'
    )
    script.chmod(0o755)
    taking = machine.popen("checkpoint", "create")
    eventually(begun.exists, "it is being taken")
    kill(taking.pid)
    starting = machine.popen("start")
    with pytest.raises(subprocess.TimeoutExpired):
        starting.wait(timeout=1)
    assert machine.launches == [], "QEMU would find its disk locked, or qemu-img would"
    go.touch()
    assert starting.wait(timeout=60) == 0
    with machine.client() as client:
        assert reasons(client) == ["manual"]


def test_a_checkpoint_from_which_nothing_starts_is_given_up(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint()).id
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
        mark(machine, 0x22)
        client.request(messages.Start())
        until(client, Phase.RUNNING)
        machine.cue(exit_early={"stderr": "qemu: no", "code": 1})
        assert refused(lambda: client.request(messages.RestoreCheckpoint(id=first))) is ProblemCode.CHECKPOINT_FAILED
        machine.cue()
        assert marked(machine, 0x22)
        assert not machine.paths.operation_journal.exists()


def test_other_requests_are_refused_meanwhile(machine: Machine) -> None:
    machine.started()
    with machine.client() as client, machine.client() as other:
        first = client.request(messages.CreateCheckpoint()).id
        machine.hold("engine")
        restoring = machine.popen("checkpoint", "restore", "--yes", first)

        def operation() -> str | None:
            for update in other.updates(timeout_s=0.1):
                if isinstance(update, MachineStatus) and update.operation and update.phase is Phase.CONNECTING:
                    return update.operation.name
            return None

        assert eventually(operation, "the restore to be shown") == "checkpoints.restore"
        requests: tuple[Request[Any], ...] = (
            *(messages.Start(), messages.Stop(), messages.Restart(), messages.CreateCheckpoint()),
        )
        for request in requests:
            assert refused(functools.partial(other.request, request)) is ProblemCode.BUSY, request
        machine.release("engine")
        out, err = restoring.communicate(timeout=60)
        assert restoring.returncode == 0, err
        assert "Restored" in out


@pytest.mark.parametrize("step", list(RestoreStep))
def test_an_agent_that_was_killed_in_a_restore_is_followed_by_one_that_settles_it(
    machine: Machine, step: RestoreStep
) -> None:
    create_disk(machine)
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint()).id
        mark(machine, 0x22)
        present = client.request(messages.CreateCheckpoint(name="the present")).id
        pid = client.agent_pid
    kill(pid)
    if step is not RestoreStep.STOPPING:  # as qemu-img had left it
        tags = json.loads(
            subprocess.run(
                ["qemu-img", "info", "--output=json", str(data_disk_path(machine.paths))],
                check=True,
                capture_output=True,
            ).stdout
        )["snapshots"]
        qemu_img(
            "snapshot",
            "-a",
            next(one["name"] for one in tags if first in one["name"]),
            str(data_disk_path(machine.paths)),
        )
    details = {"target": first, "present": present}
    journal = Journal(name="checkpoints.restore", stage=step, was_running=True, details=details)
    journals.save(machine.paths.operation_journal, journal)
    with machine.client() as client:
        until(client, Phase.RUNNING)
        eventually(lambda: not machine.paths.operation_journal.exists(), "the journal is settled")
        expected = 0x11 if step is RestoreStep.PROVING else 0x22
        assert marked(machine, expected)
        told = client.request(messages.ListCheckpoints()).problem
        assert (told is None) is (step is RestoreStep.PROVING)


def test_an_agent_killed_in_the_midst_leaves_a_machine_that_comes_back(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint()).id
        pid = client.agent_pid
    machine.hold("engine")
    restoring = machine.popen("checkpoint", "restore", "--yes", first)
    eventually(lambda: len(machine.launches) == 2, "it starts from the checkpoint")
    kill(pid)
    out, err = restoring.communicate(timeout=60)
    assert restoring.returncode == 1, out + err
    machine.release("engine")
    with machine.client() as client:
        until(client, Phase.RUNNING)
        eventually(lambda: not machine.paths.operation_journal.exists(), "the restore is settled")
        assert reasons(client) == ["manual", "before-restore"]
    assert alive(machine.launches[-1][0])


def test_automatic_ones_are_pruned_and_those_by_hand_stay(machine: Machine) -> None:
    create_disk(machine)
    machine.configure(checkpoints={"keep_automatic": 2})
    with machine.client() as client:
        first = client.request(messages.CreateCheckpoint(name="keep me")).id
        qemu_img("snapshot", "-c", "another program's", str(data_disk_path(machine.paths)))
        for _ in range(4):
            client.request(messages.RestoreCheckpoint(id=first))
        assert sorted(reasons(client)) == ["", "before-restore", "before-restore", "manual"]
        foreign = next(entry for entry in listed(client) if entry.foreign)
        assert refused(lambda: client.request(messages.RestoreCheckpoint(id=foreign.id))) is ProblemCode.BAD_REQUEST
        client.request(messages.DeleteCheckpoint(id=foreign.id))
        assert client.request(messages.ListCheckpoints()).policy == messages.CheckpointPolicy(
            keep_automatic=2, keep_days=14
        )


def test_the_command_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no checkpoints" in machine.wherry("checkpoint", "list").stdout
    create_disk(machine)
    first = machine.wherry("checkpoint", "create", "before the upgrade").stdout.strip()
    table = machine.wherry("checkpoint", "list").stdout
    assert first in table
    assert "before the upgrade" in table
    assert "by hand" in table
    assert "--yes" in machine.wherry("checkpoint", "restore", first, code=1).stderr
    assert "no checkpoint" in machine.wherry("checkpoint", "delete", "--yes", "nope", code=1).stderr
    assert "Restored" in machine.wherry("checkpoint", "restore", "--yes", first).stdout
    ids = [entry["id"] for entry in json.loads(machine.wherry("checkpoint", "list", "--json").stdout)["checkpoints"]]
    answer = json.loads(machine.wherry("checkpoint", "delete", "--yes", "--json", *ids).stdout)
    assert answer["deleted"] == ids
