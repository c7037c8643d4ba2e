"""Killed processes: the next agent adopts a running QEMU, and a QEMU that dies is restarted up to a limit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable

import pytest

from backend.agent.core.lifecycle import MAX_REVIVALS
from backend.control import messages
from backend.errors import ProblemCode
from backend.host.process import figures_of
from backend.model import Desired, MachineStatus, Phase
from backend.settings.disk import data_disk_path
from tests.agent.machine import PATIENCE_S, Machine, alive, eventually, kill, problem_of, until
from tests.agent.machine_life.test_start_stop import PHASES
from tests.fakes import qemu


def test_an_agent_has_no_more_open_the_more_it_has_been_through(machine: Machine) -> None:
    machine.started()
    counts: list[int] = []
    for _ in range(3):
        with machine.client() as client:
            until(client, Phase.RUNNING)
            figures = figures_of(client.agent_pid)
            assert figures is not None
            assert figures.descriptors is not None
            counts.append(figures.descriptors)
        machine.ended()
    assert max(counts) - min(counts) <= 1, counts


def test_the_next_agent_adopts_the_running_machine(machine: Machine) -> None:
    before = machine.started()
    assert before.pid is not None
    with machine.client() as client:
        kill(client.agent_pid)
    assert alive(before.pid)
    with machine.client() as client:
        after = until(client, Phase.RUNNING)
        assert (after.pid, after.ssh_port) == (before.pid, before.ssh_port)
        assert after.accelerator == before.accelerator
        assert after.resources == before.resources
        assert after.desired is Desired.RUNNING
    assert len(machine.launches) == 1


@pytest.mark.parametrize(("held", "phase", "step"), PHASES, ids=[held for held, _, _ in PHASES])
def test_an_agent_killed_in_mid_start_is_followed(machine: Machine, held: str, phase: Phase, step: str) -> None:
    machine.hold(held)
    with machine.client() as client:
        client.request(messages.Start())
        until(client, phase, step=step)
        eventually(lambda: machine.launches, "QEMU was started")
        kill(client.agent_pid)
    pid = machine.launches[0][0]
    assert alive(pid)
    if held == "launch":
        machine.release(held)  # a new agent answers once it knows what runs, and this QEMU does not answer it yet
    with machine.client() as client:
        machine.release(held)
        assert until(client, Phase.RUNNING).pid == pid
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
    assert len(machine.launches) == 1
    machine.ended()
    machine.assert_nothing_left()


def test_an_agent_killed_while_preparing_leaves_a_machine_that_starts(machine: Machine) -> None:
    with machine.client() as client:
        client.request(messages.Start())
        kill(client.agent_pid)
    assert machine.started().phase is Phase.RUNNING
    assert len([pid for pid, _ in machine.launches if alive(pid)]) == 1


def test_a_stop_right_after_an_adoption_is_orderly(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        kill(client.agent_pid)
    machine.wherry("stop")
    assert "didn't shut down" not in machine.log()
    assert "Exited(run=1, orderly=True, problem=None" in machine.log()
    assert "poweroff" in machine.lines_to_guest()


def test_a_machine_that_should_run_and_ended_without_an_agent_is_restarted(machine: Machine) -> None:
    status = machine.started()
    with machine.client() as client:
        kill(client.agent_pid)
    assert status.pid is not None
    kill(status.pid)
    assert machine.paths.monitor_socket.exists(), "a killed QEMU leaves its socket"
    with machine.client() as client:
        assert client.status.phase.is_live, "no client is told that it rests"
        again = until(client, Phase.RUNNING)
    assert again.problems == ()
    assert again.pid not in (None, status.pid)


def test_a_stop_interrupted_by_the_agents_death_is_finished_by_the_next_agent(machine: Machine) -> None:
    machine.hold("off")
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop())
        until(client, Phase.STOPPING)
        kill(client.agent_pid)
    machine.release("off")
    with machine.client() as client:
        until(client, Phase.STOPPED)
        assert client.status.desired is Desired.STOPPED
    assert not machine.paths.run_record.exists()


def test_adoption_while_qemu_dies_ends_in_a_running_machine(machine: Machine) -> None:
    for _ in range(3):
        status = machine.started()
        with machine.client() as client:
            kill(client.agent_pid)
        assert status.pid is not None
        adopting = machine.popen("status")
        kill(status.pid)
        adopting.communicate(timeout=PATIENCE_S)
        assert machine.started().phase is Phase.RUNNING
    assert len([pid for pid, _ in machine.launches if alive(pid)]) == 1


def test_a_foreign_qemu_is_left_alone(machine: Machine) -> None:
    status = machine.started()
    with machine.client() as client:
        kill(client.agent_pid)
    record = json.loads(machine.paths.run_record.read_text(encoding="utf-8"))
    machine.paths.run_record.write_text(json.dumps({**record, "uuid": "0" * 36}), encoding="utf-8")
    before = machine.paths.run_record.read_bytes()
    with machine.client() as client:
        found = next(update for update in client.updates(timeout_s=PATIENCE_S) if is_failed(update))
        assert isinstance(found, MachineStatus)
        assert problem_of(found) is ProblemCode.NOT_OURS
        client.request(messages.Start())
        again = next(update for update in client.updates(timeout_s=PATIENCE_S) if is_failed(update))
        assert isinstance(again, MachineStatus)
        assert problem_of(again) is ProblemCode.NOT_OURS
    assert status.pid is not None
    assert alive(status.pid)
    assert machine.paths.run_record.read_bytes() == before
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(machine.paths.monitor_socket))


def is_failed(update: object) -> bool:
    return isinstance(update, MachineStatus) and update.phase is Phase.FAILED


def test_an_unresponsive_qemu_is_ended_and_restarted(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="adopt=2")
    status = machine.started()
    with machine.client() as client:
        kill(client.agent_pid)
    assert status.pid is not None
    with socket.socket(socket.AF_UNIX) as other:  # the monitor has one client at a time
        other.connect(str(machine.paths.monitor_socket))
        with machine.client() as client:
            brought_back = until_running_past_failure(client)
    assert brought_back.pid != status.pid
    assert not alive(status.pid)


def until_running_past_failure(client: object) -> MachineStatus:
    from backend.control.client import MachineClient

    assert isinstance(client, MachineClient)
    for update in client.updates(timeout_s=PATIENCE_S):
        if isinstance(update, MachineStatus) and update.phase is Phase.RUNNING:
            return update
    raise AssertionError(f"it was not brought back: {client.status}")


def test_a_killed_qemu_is_restarted_up_to_the_limit(machine: Machine) -> None:
    with machine.client() as client:
        client.request(messages.Start())
        pid = until(client, Phase.RUNNING).pid
        for _ in range(MAX_REVIVALS):
            assert pid is not None
            kill(pid)
            until(client, Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING)
            pid = until(client, Phase.RUNNING).pid
        assert pid is not None
        kill(pid)
        failed = next(update for update in client.updates(timeout_s=PATIENCE_S) if is_failed(update))
        assert isinstance(failed, MachineStatus)
        assert problem_of(failed) is ProblemCode.MACHINE_DIED
        assert "killed by signal 9" in str(failed.problems[0].summary)
        client.request(messages.Start())
        until(client, Phase.RUNNING)


def test_poweroff_in_the_guest_counts_as_a_requested_stop(machine: Machine) -> None:
    machine.cue(poweroff_when=str(machine.gate("poweroff")))
    with machine.client() as client:
        client.request(messages.Start())
        until(client, Phase.RUNNING)
        machine.release("poweroff")
        assert until(client, Phase.STOPPED).desired is Desired.STOPPED
    assert len(machine.launches) == 1


def test_a_guest_that_does_not_shut_down_is_ended(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="shutdown=0.3")
    machine.cue(ignore_powerdown=True)
    machine.started()
    done = machine.wherry("stop")
    assert "didn't shut down in time" in done.stderr
    machine.ended()
    machine.assert_nothing_left()


def test_kill_overtakes_a_shutdown_under_way(machine: Machine) -> None:
    machine.cue(ignore_powerdown=True)
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop())
        assert until(client, Phase.STOPPING).desired is Desired.STOPPED
        machine.wherry("stop", "--kill")
        until(client, Phase.STOPPED)


def test_a_lost_engine_is_reconnected_automatically(machine: Machine) -> None:
    machine.cue(engine_away=str(machine.gate("away")))
    with machine.client() as client:
        client.request(messages.Start())
        until(client, Phase.RUNNING)
        machine.release("away")
        degraded = until(client, Phase.DEGRADED)
        assert problem_of(degraded) is ProblemCode.ENGINE_DOWN
        assert degraded.endpoint is not None
        assert not degraded.endpoint.ready
        machine.gate("away").unlink()
        assert until(client, Phase.RUNNING).problems == ()
    assert len(machine.launches) == 1


def test_an_endpoint_taken_at_an_adoption_does_not_end_the_machine(machine: Machine) -> None:
    before = machine.started()
    with machine.client() as client:
        kill(client.agent_pid)
    machine.paths.docker_socket.unlink()
    machine.paths.docker_socket.write_text("in the way")
    with machine.client() as client:
        degraded = until(client, Phase.DEGRADED)
        assert problem_of(degraded) is ProblemCode.ENDPOINT_TAKEN
        assert degraded.pid == before.pid
        machine.paths.docker_socket.unlink()
        assert until(client, Phase.RUNNING).pid == before.pid


def test_restarting_the_agent_leaves_the_machine_alone(machine: Machine) -> None:
    before = machine.started()
    with machine.client() as client:
        first = client.agent_pid
    machine.wherry("restart", "--agent")
    with machine.client() as client:
        assert client.agent_pid != first
        assert until(client, Phase.RUNNING).pid == before.pid


def test_restarting_the_agent_in_mid_start_leaves_the_start_alone(machine: Machine) -> None:
    machine.hold("kernel")
    with machine.client() as client:
        client.request(messages.Start())
        pid = until(client, Phase.BOOTING, step="kernel").pid
        restarting = machine.popen("restart", "--agent")
        first = client.agent_pid
        eventually(lambda: not alive(first), "the first agent has ended")
    machine.release("kernel")
    assert restarting.wait(PATIENCE_S) == 0
    with machine.client() as client:
        assert until(client, Phase.RUNNING).pid == pid


def test_a_locked_data_disk_has_one_qemu(machine: Machine) -> None:
    """The fake takes QEMU's own locks: qemu-io, which is QEMU's, is refused a disk that the fake has."""
    machine.started()
    write = ["qemu-io", "-c", "write 0 1k", str(data_disk_path(machine.paths))]
    refused = subprocess.run(write, capture_output=True, text=True, check=False)
    assert 'Failed to get "write" lock' in refused.stdout + refused.stderr
    with pytest.raises(BlockingIOError):
        os.close(qemu.lock_for_writing(data_disk_path(machine.paths)))
