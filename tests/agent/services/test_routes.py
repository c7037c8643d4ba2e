"""A VPN connects and disconnects while the machine runs on the fake QEMU; the next start avoids its ranges."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.control import messages
from backend.errors import Action, ProblemCode
from backend.host.systems.linux import PROC_NET_VARIABLE
from backend.model import MachineStatus, Phase
from tests.agent.machine import Machine, until

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
HOME = "wlan0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
VPN = "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"  # 10.0.0.0/8
VPN_172 = "tun0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"  # 172.17.0.0/16


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the routes of this computer, as the agent sees them."""
    monkeypatch.setenv(PROC_NET_VARIABLE, str(tmp_path))

    def put(text: str) -> None:
        (tmp_path / "route.new").write_text(HEAD + text)
        (tmp_path / "route.new").replace(tmp_path / "route")

    put(HOME)
    return put


def wait_for_conflict(machine: Machine, *, reported: bool, user: str = "10.0.2.0/24") -> MachineStatus:
    with machine.client() as client:
        for update in client.updates(timeout_s=30):
            if isinstance(update, MachineStatus) and update.networks is not None and update.networks.user == user:
                codes = [problem.code for problem in update.problems]
                if (ProblemCode.SUBNET_CLASH in codes) is reported:
                    return update
        raise AssertionError(f"conflict reported: {not reported}\n{client.status}\n{machine.log()[-3000:]}")


def input_of(machine: Machine, name: str) -> str:
    return (machine.paths.guest_inputs / name).read_text()


def test_a_vpn_with_the_same_ranges_is_reported_and_the_next_start_moves(
    routes: Callable[[str], None], make_machine: Callable[..., Machine]
) -> None:
    machine = make_machine(deadlines="routes=0.3")
    machine.started()
    status = wait_for_conflict(machine, reported=False)
    assert status.networks is not None
    assert (status.networks.user, status.networks.bridge) == ("10.0.2.0/24", ("172.17.0.0/16",))
    assert "gateway=10.0.2.2\n" in input_of(machine, "network")

    routes(HOME + VPN + VPN_172)
    reported = wait_for_conflict(machine, reported=True)
    problem = reported.problems[-1]
    assert reported.phase is Phase.RUNNING  # containers keep running
    assert problem.action is Action.RESTART
    assert "10.0.0.0/8 (tun0) overlaps the machine's network (10.0.2.0/24)" in str(problem.summary)
    assert "172.17.0.0/16 (tun0) overlaps the default bridge (172.17.0.0/16)" in str(problem.summary)
    assert "quay" not in str(problem.summary)

    # An agent that was not there then keeps the network that the machine was started with.
    with machine.client() as client:
        os.kill(client.agent_pid, signal.SIGKILL)
    assert wait_for_conflict(machine, reported=True).networks == status.networks
    routes(HOME)
    assert wait_for_conflict(machine, reported=False).networks == status.networks

    routes(HOME + VPN + VPN_172)
    with machine.client() as client:
        client.request(messages.Restart())
        until(client, Phase.RUNNING)
    moved = wait_for_conflict(machine, reported=True, user="192.168.213.0/24")  # the fake's bridge stays where it is
    assert "the machine's network" not in str(moved.problems[-1].summary)
    assert "gateway=192.168.213.2\n" in input_of(machine, "network")
    pools = json.loads(machine.paths.engine_options.read_text())["default-address-pools"]
    assert pools[0] == {"base": "172.18.0.0/15", "size": 16}
    assert "192.168.213.0/24 to this computer, 172.17.0.0/16 for containers" in machine.wherry("status", code=1).stdout
