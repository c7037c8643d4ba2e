"""The agent process through a whole life: start, stop in every phase of a start, Ctrl-C, many clients at once."""

from __future__ import annotations

import pytest

from backend.model import Phase, StepState
from tests.agent.machine import Machine, alive, eventually, until

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
        client.request("stop")
        until(client, Phase.STOPPED)
    machine.ended()
    machine.assert_nothing_left()


@pytest.mark.parametrize(("held", "phase", "step"), PHASES, ids=[held for held, _, _ in PHASES])
def test_a_stop_in_any_phase_of_the_start_is_heeded(machine: Machine, held: str, phase: Phase, step: str) -> None:
    machine.hold(held)
    with machine.client() as client:
        client.request("start")
        until(client, phase, step=step)
        eventually(lambda: machine.launches, "QEMU was started")
        client.request("stop")
        until(client, Phase.STOPPED)
        assert client.status.problems == ()
    machine.ended()
    machine.assert_nothing_left()


def test_a_stop_while_preparing_is_heeded(machine: Machine) -> None:
    with machine.client() as client:
        client.request("start")
        assert client.status.phase is Phase.PREPARING
        client.request("stop")
        until(client, Phase.STOPPED)
    machine.ended()
    machine.assert_nothing_left()
    assert machine.launches == []
