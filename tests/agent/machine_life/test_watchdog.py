"""The watchdog on the fake QEMU: a hang is reported, acted on, and cleared when it is over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.control import messages
from backend.errors import Action, ProblemCode
from backend.model import MachineStatus, Phase
from tests.agent.machine import Machine, eventually, problem_of, until

QUICK = "watch=0.2,hung=2,deaf=2,silent=2,revived=3,engine=60"


@pytest.fixture
def quick(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine(deadlines=QUICK)


def started_with(machine: Machine, **cues: str | bool) -> dict[str, Path]:
    """Start the machine with cues whose values are files that do not exist yet."""
    files = {name: machine.paths.machine / f"cue-{name}" for name, value in cues.items() if value == "file"}
    machine.cue(**{**cues, **{name: str(path) for name, path in files.items()}})
    machine.started()
    return files


def wait_for_problem(machine: Machine, code: ProblemCode) -> MachineStatus:
    """Wait until the first problem has this code, and return the status."""
    with machine.client() as client:
        for update in client.updates(timeout_s=30):
            if isinstance(update, MachineStatus) and problem_of(update) is code:
                return update
        raise AssertionError(f"{code} was not told: {client.status}\n{machine.log()[-3000:]}")


def wait_until_healthy(machine: Machine) -> None:
    with machine.client() as client:
        for update in client.updates(timeout_s=40):
            if isinstance(update, MachineStatus) and update.phase is Phase.RUNNING and not update.problems:
                return
        raise AssertionError(f"it is not well again: {client.status}\n{machine.log()[-3000:]}")


def test_a_guest_that_hangs_is_reported_and_not_ended(quick: Machine) -> None:
    cue = started_with(quick, guest_hang="file")["guest_hang"]
    cue.touch()
    status = wait_for_problem(quick, ProblemCode.GUEST_HUNG)
    assert status.problems[0].action is Action.FORCE_RESTART
    assert "Linux system isn't responding" in str(status.problems[0].summary)
    with quick.client() as client:
        assert until(client, Phase.DEGRADED).problems[0].code is ProblemCode.GUEST_HUNG
    cue.unlink()
    wait_until_healthy(quick)
    assert len(quick.launches) == 1


def test_a_stopped_qemu_is_reported_and_continues(quick: Machine) -> None:
    quick.started()
    ((pid, _),) = quick.launches
    os.kill(pid, signal.SIGSTOP)
    try:
        status = wait_for_problem(quick, ProblemCode.GUEST_HUNG)
        assert "paused by a signal" in str(status.problems[0].summary)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until_healthy(quick)


def test_an_unresponsive_monitor_is_reported(quick: Machine) -> None:
    cue = started_with(quick, deaf="file")["deaf"]
    cue.touch()
    assert "QEMU isn't responding" in str(wait_for_problem(quick, ProblemCode.GUEST_HUNG).problems[0].summary)
    cue.unlink()
    wait_until_healthy(quick)


def test_an_engine_that_hangs_is_restarted_automatically(quick: Machine) -> None:
    cue = started_with(quick, engine_hang="file")["engine_hang"]
    cue.touch()
    eventually(lambda: any("restart dockerd" in line for line in quick.lines_to_guest()), "dockerd is restarted")
    wait_until_healthy(quick)
    assert not cue.exists()


def test_where_a_restart_of_the_engine_does_not_help_the_user_is_offered_the_machines(quick: Machine) -> None:
    cue = started_with(quick, engine_hang="file", engine_hang_lasts=True)["engine_hang"]
    cue.touch()
    status = wait_for_problem(quick, ProblemCode.ENGINE_DOWN)
    with quick.client() as client:
        eventually(
            lambda: any(problem.action is Action.RESTART for problem in _newest(client).problems), "an offer to restart"
        )
    assert len([line for line in quick.lines_to_guest() if "restart dockerd" in line]) == 1, "it is tried once"
    assert status.phase in (Phase.DEGRADED, Phase.RUNNING)
    cue.unlink()
    wait_until_healthy(quick)


def _newest(client: object) -> MachineStatus:
    from backend.control.client import MachineClient

    assert isinstance(client, MachineClient)
    for _ in client.updates(timeout_s=0.2):
        pass
    return client.status


def test_a_guest_paused_by_a_full_disk_continues_when_there_is_space(quick: Machine) -> None:
    cue = started_with(quick, io_error="file")["io_error"]
    cue.touch()
    eventually(lambda: not cue.exists(), "it is let go on")
    wait_until_healthy(quick)


def test_a_paused_machine_continues_by_request_and_by_start(quick: Machine) -> None:
    cue = started_with(quick, paused="file")["paused"]
    with quick.client() as client:
        assert client.request(messages.Continue()).continued is False
        cue.touch()
        assert client.request(messages.Continue()).continued is True
        assert not cue.exists()
        cue.touch()
    assert quick.wherry("start").returncode == 0
    assert not cue.exists()


def test_the_engine_is_restarted_by_request(quick: Machine) -> None:
    quick.started()
    quick.wherry("restart", "--engine")
    assert any(line.startswith("restart dockerd ") for line in quick.lines_to_guest())
    wait_until_healthy(quick)


def test_the_guests_clock_is_set_when_it_is_wrong_and_only_then(make_machine: Callable[..., Machine]) -> None:
    right, wrong = make_machine("right"), make_machine("wrong")
    wrong.cue(clock_offset=-3600)
    begun = time.time()
    for machine in (right, wrong):
        machine.started()
    eventually(lambda: _times(wrong), "the clock is set")
    (said, *_) = _times(wrong)
    assert begun - 1 < said < time.time() + 1
    assert not _times(right)


def _times(machine: Machine) -> list[float]:
    return [float(line.split()[1]) for line in machine.lines_to_guest() if line.startswith("time ")]


def test_reclaim_returns_what_the_host_measures(quick: Machine) -> None:
    quick.started()
    text = quick.wherry("reclaim").stdout
    assert "memory" in text
    assert "reclaimed" in text
    with quick.client() as client:
        usage = client.request(messages.GetUsage())
    assert (usage.memory_used or 0) > 0
    assert (usage.memory_returned or 0) >= 0
    assert "returned" in quick.wherry("status").stdout


@pytest.mark.parametrize("code", ["data-full", "memory-low"])
def test_a_warning_leaves_the_machine_running(quick: Machine, code: str) -> None:
    quick.cue(babble=[f"problem {code} 91% of it"])
    quick.started()
    with quick.client() as client:
        status = client.status
        assert status.phase is Phase.RUNNING
        assert status.problems[0].tail == ("91% of it",)
