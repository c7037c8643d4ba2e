"""The agent process through a whole life: start, stop in every phase of a start, Ctrl-C, many clients at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from backend.control import messages
from backend.errors import ProblemCode
from backend.model import Notice, Phase, StepState, StopPolicy
from tests.agent.machine import PATIENCE_S, Machine, alive, eventually, kill, refused, until

PHASES = [
    ("launch", Phase.BOOTING, "launch"),
    ("kernel", Phase.BOOTING, "kernel"),
    ("guest", Phase.BOOTING, "guest"),
    ("ssh", Phase.BOOTING, "guest"),
    ("engine", Phase.CONNECTING, "engine"),
]
"""What the fake QEMU holds back, and where the start stands then."""


def test_a_start_reaches_running_and_a_stop_leaves_nothing(machine: Machine) -> None:
    status = machine.started()
    assert status.pid is not None
    assert alive(status.pid)
    assert status.endpoint is not None
    assert status.endpoint.ready
    assert [step.state for step in status.steps] == [StepState.DONE] * 6
    assert status.accelerator is not None
    assert status.accelerator.name == "tcg"
    with machine.client() as client:
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
    machine.ended()
    machine.assert_nothing_left()


@pytest.mark.parametrize(("held", "phase", "step"), PHASES, ids=[held for held, _, _ in PHASES])
def test_a_stop_in_any_phase_of_the_start_is_obeyed(machine: Machine, held: str, phase: Phase, step: str) -> None:
    machine.hold(held)
    with machine.client() as client:
        client.request(messages.Start())
        until(client, phase, step=step)
        eventually(lambda: machine.launches, "QEMU was started")
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
        assert client.status.problems == ()
    machine.ended()
    machine.assert_nothing_left()


def test_a_stop_while_preparing_is_obeyed(machine: Machine) -> None:
    with machine.client() as client:
        client.request(messages.Start())
        assert client.status.phase is Phase.PREPARING
        client.request(messages.Stop())
        until(client, Phase.STOPPED)
    machine.ended()
    machine.assert_nothing_left()
    assert machine.launches == []


def test_five_starts_at_once_make_one_machine(machine: Machine) -> None:
    starts = [machine.popen("start") for _ in range(5)]
    for start in starts:
        out, err = start.communicate(timeout=2 * PATIENCE_S)
        assert start.returncode == 0, f"{out}\n{err}"
    assert len(machine.launches) == 1
    agents = machine.agents()
    eventually(lambda: len([process for process in agents if alive(process.pid)]) == 1, "the others have ended")


def test_a_start_that_meets_the_end_of_an_agent_succeeds(machine: Machine) -> None:
    """The agent that ends holds its lock a moment longer than its socket: a client must not wait for it in vain."""
    for _ in range(5):
        with machine.client() as client:
            client.request(messages.ShutDownAgent())
            assert refused(lambda: list(client.updates(timeout_s=PATIENCE_S))) is ProblemCode.AGENT_UNREACHABLE
        assert machine.started().phase is Phase.RUNNING
        with machine.client() as client:
            client.request(messages.Stop(policy=StopPolicy.KILL))
            until(client, Phase.STOPPED)


def test_ctrl_c_in_mid_start_undoes_it(machine: Machine) -> None:
    machine.hold("kernel")
    start = machine.popen("start")
    eventually(lambda: machine.launches, "QEMU was started")
    with machine.client() as client:
        until(client, Phase.BOOTING, step="kernel")
        start.send_signal(signal.SIGINT)
        _, err = start.communicate(timeout=PATIENCE_S)
        assert start.returncode == 130
        assert "undone" in err
        assert until(client, Phase.STOPPED).problems == ()
    machine.ended()
    machine.assert_nothing_left()


def test_an_idle_agent_exits(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.2")
    with machine.client() as client:
        pid = client.agent_pid
        client.request(messages.GetPhase())
    eventually(lambda: not alive(pid), "the agent has ended")
    machine.assert_nothing_left()


def test_agents_that_are_idle_at_once_still_serve_every_client(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.01")
    for _ in range(10):
        with machine.client() as client:
            assert client.request(messages.GetPhase()) == messages.CurrentPhase(phase=Phase.STOPPED)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGHUP])
def test_an_agent_that_is_asked_to_exit_leaves_the_machine_running(machine: Machine, signal_number: int) -> None:
    before = machine.started()
    with machine.client() as client:
        pid = client.agent_pid
    os.kill(pid, signal_number)
    eventually(lambda: not alive(pid), "the agent has ended")
    assert before.pid is not None
    assert alive(before.pid)
    with machine.client() as client:
        assert until(client, Phase.RUNNING).pid == before.pid


@pytest.mark.parametrize(
    "name", ["a 'home', a 2nd, 100% \"of\" Zoë & co", "long-" + "x" * 120], ids=["odd letters", "long"]
)
def test_a_home_of_any_name_works(make_machine: Callable[..., Machine], name: str) -> None:
    machine = make_machine(name)
    assert machine.paths.home.name == name
    if len(name) > 100:
        assert machine.paths.run.parent != machine.home
    out = machine.wherry("start").stdout
    assert "running" in out
    status = json.loads(machine.wherry("status", "--json").stdout)
    used = status["processes"]
    assert used["qemu"]["pid"] == status["pid"]
    assert all(used[name][what] > 0 for name in used for what in ("memory_bytes", "threads", "descriptors"))
    assert used["agent"]["descriptors"] < 64
    assert status["phase"] == "running"
    with machine.client() as client:
        kill(client.agent_pid)
    assert json.loads(machine.wherry("start", "--json").stdout)["pid"] == status["pid"]
    assert machine.wherry("shell", "echo", "hello").stdout == "ran echo hello\n"
    machine.wherry("stop")
    machine.ended()
    machine.assert_nothing_left()


def test_a_restart_makes_a_new_machine(machine: Machine) -> None:
    before = machine.started()
    machine.wherry("restart")
    with machine.client() as client:
        assert client.status.phase is Phase.RUNNING
        assert client.status.pid != before.pid
    assert len(machine.launches) == 2


def test_a_restart_leaves_the_new_machine_alone(make_machine: Callable[..., Machine]) -> None:
    """The new one may be there before anybody saw that the old one was gone; its time to shut down is not over."""
    machine = make_machine(deadlines="shutdown=0.7")
    machine.started()
    for _ in range(4):
        machine.wherry("restart")
    restarted = machine.status_now()
    time.sleep(1.5)
    assert machine.status_now().pid == restarted.pid
    assert len(machine.launches) == 5
    assert "stopped unexpectedly" not in machine.log()


@pytest.mark.parametrize(
    ("stopping", "told"),
    [(["12 3", "0 3"], None), (["12 30", "2 3"], "2 containers didn't stop in time and were killed")],
)
def test_a_stop_waits_for_the_containers_that_the_guest_waits_for(
    make_machine: Callable[..., Machine], stopping: list[str], told: str | None
) -> None:
    machine = make_machine(deadlines="shutdown=0.3")
    machine.cue(hold={"off": str(machine.gate("off"))}, stopping=stopping)
    machine.started()
    threading.Timer(1.2, machine.release, ["off"]).start()  # four times the time that the guest alone is given
    texts: list[str] = []
    with machine.client() as client:
        client.request(messages.Stop())
        for update in client.updates(timeout_s=PATIENCE_S):
            if isinstance(update, Notice):
                texts.append(str(update.text))
            elif update.phase is Phase.STOPPED:
                break
    assert not any("didn't shut down in time" in text for text in texts), texts
    assert [text for text in texts if "killed" in text] == ([text for text in texts if told in text] if told else [])
    assert bool(told) == any("killed" in text for text in texts)


def test_a_stop_that_takes_longer_says_what_it_waits_for(machine: Machine) -> None:
    machine.cue(hold={"off": str(machine.gate("off"))}, stopping=["12 60"])
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop())
        for update in client.updates(timeout_s=PATIENCE_S):
            if isinstance(update, Notice):
                assert str(update.text) == "Waiting for 12 containers to stop, each up to 60 s."
                break
        else:
            raise AssertionError("nothing was said")
        machine.release("off")
        until(client, Phase.STOPPED)


def test_docker_clients_are_served_through_the_endpoint(machine: Machine) -> None:
    machine.started()
    with socket.socket(socket.AF_UNIX) as docker:
        docker.settimeout(PATIENCE_S)
        docker.connect(str(machine.paths.docker_socket))
        docker.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        answer = docker.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"OK")
