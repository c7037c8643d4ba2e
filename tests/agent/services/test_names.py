"""The agent sends the guest the address of its DNS resolver: at its start, and when the settings change."""

from __future__ import annotations

from backend.control import messages
from backend.model import Phase
from tests.agent.machine import Machine, eventually, kill, until


def resolver_lines(machine: Machine) -> list[str]:
    return [line for line in machine.lines_to_guest() if line.startswith(("hello", "resolver"))]


def test_each_agent_sends_the_guest_the_same_port_and_every_change(machine: Machine) -> None:
    machine.started()
    port = int(machine.paths.resolver_port.read_text())
    assert resolver_lines(machine)[:2] == ["hello", f"resolver {port}"]
    with machine.client() as client:
        kill(client.agent_pid)
    before = len(resolver_lines(machine))
    with machine.client() as client:
        until(client, Phase.RUNNING)
        eventually(lambda: len(resolver_lines(machine)) > before + 1, "the next agent says it too")
        assert resolver_lines(machine)[before:][:2] == ["hello", f"resolver {port}"]
        before = len(resolver_lines(machine))
        client.request(messages.SetSettings(values={"network.dns": "127.0.0.1#9"}))
        eventually(lambda: len(resolver_lines(machine)) > before, "what was kept is to be forgotten")
        assert resolver_lines(machine)[-1] == f"resolver {port}"
