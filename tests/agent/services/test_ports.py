"""A published port that another program holds when the machine starts, on the fake QEMU."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from backend.errors import Problem, ProblemCode
from backend.model import MachineStatus, Phase
from tests.agent.machine import Machine, eventually, kill

ID = "c" * 64


def web(port: int) -> dict[str, Any]:
    row = {"HostIp": "127.0.0.1", "HostPort": str(port)}
    return {
        "Id": ID,
        "Name": "/web",
        "State": {"Running": True},
        "HostConfig": {"PortBindings": {"80/tcp": [row]}, "NetworkMode": "bridge"},
        "NetworkSettings": {"Ports": {"80/tcp": [row]}},
    }


def put(path: Path, containers: list[dict[str, Any]]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(containers), encoding="utf-8")
    fresh.replace(path)


def port_problems(machine: Machine, *, wanted: bool) -> tuple[Problem, ...]:
    """Wait until there are port problems (or none), and return them."""
    with machine.client() as client:
        for update in client.updates(timeout_s=30):
            if isinstance(update, MachineStatus) and update.phase is Phase.RUNNING:
                found = tuple(one for one in update.problems if one.code is ProblemCode.PORT_TAKEN)
                if bool(found) is wanted:
                    return found
        raise AssertionError(f"told: {not wanted}\n{client.status}\n{machine.log()[-3000:]}")


def test_a_table_of_addresses_that_cannot_be_read_keeps_nothing_from_working(machine: Machine) -> None:
    machine.paths.published_addresses.write_text("{", encoding="utf-8")
    machine.started()
    with machine.client() as client:
        eventually(
            lambda: (
                list(client.updates(timeout_s=0.1))
                and any(
                    str(machine.paths.published_addresses) in (str(one.hint) or "") for one in client.status.problems
                )
            ),
            "the table to be told of",
        )
    machine.wherry("stop")
    assert machine.paths.published_addresses.read_text(encoding="utf-8") == "{"


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_a_taken_port_is_a_problem_until_it_is_published_or_its_container_is_gone(machine: Machine) -> None:
    containers = machine.home / "containers.json"
    machine.cue(containers=str(containers))
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        put(containers, [web(port)])
        machine.started()
        (problem,) = port_problems(machine, wanted=True)
        assert str(problem.summary).startswith(f"web isn't published at 127.0.0.1:{port}/tcp. ")
        assert f"(process {os.getpid()})" in str(problem.summary)
        assert problem.hint is not None
        assert "Wherry publishes it as soon as possible." in str(problem.hint)
        said = machine.wherry("status", code=1).stdout
        assert str(problem.summary) in said
        assert "port-taken" in said

        with machine.client() as client:
            agent = client.agent_pid
        kill(agent)
        assert port_problems(machine, wanted=True) == (problem,), "the next agent finds it, too"
    port_problems(machine, wanted=False)
    assert listens(port)

    with socket.create_server(("127.0.0.1", 0)) as holder:
        put(containers, [{**web(holder.getsockname()[1]), "Id": "d" * 64}])
        port_problems(machine, wanted=True)
        assert not listens(port)
        put(containers, [])
        port_problems(machine, wanted=False)
    assert machine.wherry("status").stdout
