"""Suspend and resume on the fake QEMU, with failures and killed processes at each point."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from backend.control import messages
from backend.engine.client.engine_client import EngineClient
from backend.errors import ProblemCode
from backend.model import Desired, MachineStatus, Notice, Phase, StopPolicy
from backend.settings.disk import data_disk_path
from backend.vm import suspended
from tests.agent.machine import PATIENCE_S, Machine, eventually, kill, refused, until


def suspended_machine(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        status = until(client, Phase.SUSPENDED)
    assert status.desired is Desired.STOPPED
    assert machine.paths.suspended_state.exists()
    assert not machine.paths.run_record.exists()


def started_again(machine: Machine) -> tuple[MachineStatus, list[str]]:
    """Start the machine; returns the status once it runs, and the texts of the notices until then."""
    told: list[str] = []
    with machine.client() as client:
        client.request(messages.Start())
        for update in client.updates(timeout_s=PATIENCE_S):
            if isinstance(update, Notice):
                told.append(str(update.text))
            elif update.phase is Phase.RUNNING:
                return update, told
    raise AssertionError(f"it did not run again: {told}")


def test_a_suspended_machine_resumes(machine: Machine) -> None:
    suspended_machine(machine)
    assert machine.paths.suspended_state.stat().st_mode & 0o777 == 0o600
    status, _ = started_again(machine)
    assert [step.name for step in status.steps] == ["prepare", "launch", "restore", "guest", "ssh", "engine"]
    assert not machine.paths.suspended_state.exists()
    assert not machine.paths.suspended_record.exists()
    assert len(machine.launches) == 2


def test_it_can_be_suspended_again_and_again(machine: Machine) -> None:
    for _ in range(3):
        suspended_machine(machine)
    status, _ = started_again(machine)
    assert status.phase is Phase.RUNNING
    assert len(machine.launches) == 4


@pytest.mark.parametrize(
    "cues", [{"migrate_blocked": "State blocked by the accelerator"}, {"migrate_fails": "save"}], ids=str
)
def test_where_it_cannot_be_suspended_it_is_shut_down_in_order(machine: Machine, cues: dict[str, str]) -> None:
    machine.cue(**cues)
    machine.started()
    told: list[str] = []
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        for update in client.updates(timeout_s=PATIENCE_S):
            if isinstance(update, Notice):
                told.append(str(update.text))
            elif not update.phase.is_live:
                break
        assert client.status.phase is Phase.STOPPED
    assert any("shut down instead of suspended" in text for text in told), told
    assert "poweroff" in machine.lines_to_guest()
    assert not machine.paths.suspended_state.exists()
    assert not machine.paths.suspended_partial.exists()


def test_a_state_that_cannot_be_restored_is_given_up_and_the_machine_booted(machine: Machine) -> None:
    suspended_machine(machine)
    machine.cue(migrate_fails="load")
    status, told = started_again(machine)
    assert any("was discarded" in text for text in told), told
    assert [step.name for step in status.steps][2] == "kernel"
    assert not machine.paths.suspended_state.exists()
    assert data_disk_path(machine.paths).exists()


def test_a_state_of_another_qemu_is_given_up(machine: Machine) -> None:
    suspended_machine(machine)
    record = json.loads(machine.paths.suspended_record.read_text())
    record["run"]["qemu_version"] = "6.2.0"
    machine.paths.suspended_record.write_text(json.dumps(record))
    status, told = started_again(machine)
    assert any("another version of QEMU" in text for text in told), told
    assert status.phase is Phase.RUNNING
    assert not machine.paths.suspended_state.exists()


def test_a_state_whose_disk_was_changed_since_is_given_up(machine: Machine) -> None:
    suspended_machine(machine)
    later = time.time() + 3600
    os.utime(data_disk_path(machine.paths), (later, later))
    _, told = started_again(machine)
    assert any("disk has changed" in text for text in told), told


def test_a_state_that_was_cut_off_is_none(machine: Machine) -> None:
    suspended_machine(machine)
    machine.ended()
    with machine.paths.suspended_state.open("r+b") as file:
        file.truncate(100)
    assert suspended.load(machine.paths) is None
    with machine.client() as client:
        assert client.status.phase is Phase.STOPPED
    assert machine.started().phase is Phase.RUNNING
    assert not machine.paths.suspended_state.exists()


def test_an_agent_killed_while_it_saves_leaves_a_machine_that_is_suspended_by_the_next(machine: Machine) -> None:
    machine.hold("migrate")
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        eventually(machine.paths.suspended_partial.exists, "it saves")
        kill(client.agent_pid)
    machine.release("migrate")
    with machine.client() as client:
        until(client, Phase.SUSPENDED)
    status, told = started_again(machine)
    assert (status.phase, told) == (Phase.RUNNING, [])
    assert not machine.paths.suspended_partial.exists()


def test_an_agent_killed_while_it_restores_leaves_the_state_for_the_next(machine: Machine) -> None:
    suspended_machine(machine)
    machine.hold("migrate")
    with machine.client() as client:
        client.request(messages.Start())
        until(client, Phase.BOOTING, step="restore")
        kill(client.agent_pid)
    machine.release("migrate")
    with machine.client() as client:
        status = until(client, Phase.RUNNING)
    assert "restore" in [step.name for step in status.steps]
    assert not machine.paths.suspended_state.exists()


def test_a_suspended_machine_is_reported_without_an_agent(machine: Machine) -> None:
    suspended_machine(machine)
    machine.ended()
    assert "suspended" in machine.wherry("status", code=3).stdout
    with machine.client() as client:
        assert client.status.phase is Phase.SUSPENDED


def test_to_stop_it_brings_it_up_and_shuts_it_down_in_order(machine: Machine) -> None:
    suspended_machine(machine)
    machine.wherry("stop")
    assert machine.lines_to_guest()[-1] == "poweroff"
    assert not machine.paths.suspended_state.exists()
    with machine.client() as client:
        assert client.status.phase is Phase.STOPPED


def test_to_kill_it_gives_the_state_up(machine: Machine) -> None:
    suspended_machine(machine)
    machine.wherry("stop", "--kill")
    assert not machine.paths.suspended_state.exists()
    assert len(machine.launches) == 1


def test_a_kill_overtakes_a_suspend(machine: Machine) -> None:
    machine.hold("migrate")
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        eventually(machine.paths.suspended_partial.exists, "it saves")
        client.request(messages.Stop(policy=StopPolicy.KILL))
        until(client, Phase.STOPPED)
    assert not machine.paths.suspended_partial.exists()
    assert not machine.paths.suspended_state.exists()


def test_a_docker_command_resumes_a_suspended_machine(machine: Machine) -> None:
    suspended_machine(machine)
    assert b"200 OK" in ping(machine)
    with machine.client() as client:
        until(client, Phase.RUNNING)  # the engine answers a moment before
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
    assert b"200 OK" in ask_by_command(machine, "/_ping")


def test_a_program_that_was_connected_before_does_not_undo_what_a_person_asked_for(machine: Machine) -> None:
    machine.started()
    assert b"200 OK" in ping(machine)
    suspended_machine(machine)
    assert b"503" in ping(machine)
    assert b"503" in ask(machine, "/v1.50/containers/a/logs?follow=1")
    kill(machine_agent(machine))
    with machine.client():  # the next agent knows of it, too
        assert b"503" in ping(machine)
    assert b"200 OK" in ask_by_command(machine, "/_ping")


def test_a_client_that_only_listens_brings_up_nothing(machine: Machine) -> None:
    suspended_machine(machine)
    assert b"503" in ask(machine, "/v1.50/events")
    with machine.client() as client:
        assert client.status.phase is Phase.SUSPENDED


def test_the_windows_own_connections_bring_up_nothing(machine: Machine) -> None:
    """A log follower that reconnects during the suspend and after it does not undo what the person asked for."""
    machine.hold("migrate")
    machine.started()
    url = f"unix://{machine.paths.docker_socket}"
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        eventually(machine.paths.suspended_partial.exists, "it saves")
        assert refused(lambda: EngineClient(url)) in (ProblemCode.ENGINE_DOWN, ProblemCode.ENGINE_ERROR)
        machine.release("migrate")
        until(client, Phase.SUSPENDED)
        assert refused(lambda: EngineClient(url)) in (ProblemCode.ENGINE_DOWN, ProblemCode.ENGINE_ERROR)
        assert machine.status_now().phase is Phase.SUSPENDED
        assert client.status.desired is Desired.STOPPED
    assert len(machine.launches) == 1
    assert b"200 OK" in ping(machine), "a docker command still does"


def test_a_stop_is_not_undone_by_a_client_that_comes_meanwhile(machine: Machine) -> None:
    machine.hold("off")
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop())
        until(client, Phase.STOPPING)
        assert b"503" in ping(machine)
        machine.release("off")
        until(client, Phase.STOPPED)
        assert client.status.desired is Desired.STOPPED


def test_but_not_where_the_settings_say_no(machine: Machine) -> None:
    suspended_machine(machine)
    machine.configure(machine={"accelerator": "tcg", "start_on_demand": False})
    answer = ping(machine)
    assert b"503" in answer
    assert b"wherry start" in answer


def ping(machine: Machine) -> bytes:
    """Send /_ping to the endpoint, as docker does first."""
    return ask(machine, "/_ping")


def machine_agent(machine: Machine) -> int:
    """The agent's process id."""
    with machine.client() as client:
        return client.agent_pid


def ask_by_command(machine: Machine, path: str) -> bytes:
    """As `ask`, from a process that begins now."""
    script = (
        "import socket, sys; client = socket.socket(socket.AF_UNIX); client.connect(sys.argv[1]);"
        "client.sendall(f'GET {sys.argv[2]} HTTP/1.1\\r\\nHost: docker\\r\\nConnection: close\\r\\n\\r\\n'.encode());"
        "[sys.stdout.write(piece.decode()) for piece in iter(lambda: client.recv(4096), b'')]"
    )
    command = [sys.executable, "-c", script, str(machine.paths.docker_socket), path]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S).stdout


def ask(machine: Machine, path: str) -> bytes:
    """The endpoint's reply to a GET request."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(machine.paths.docker_socket))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    return answer
