"""Fixtures that create machines on the fake QEMU, and end them after each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.machine import Machine
from tests.plugins import logfail

DEADLINES = "idle=30,shutdown=20"


@pytest.fixture
def make_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machine]]:
    """Creates machines: `name` is the home directory's, `deadlines` the value of the agent's variable."""
    base = Path(tempfile.mkdtemp(prefix="wherry-t-"))  # short, so that sockets stay in the home
    made: list[Machine] = []
    environment = {
        "DOCKER_CONFIG": str(base / "docker"),
        "XDG_CACHE_HOME": str(base / "cache"),
        "XDG_DATA_HOME": str(base / "data"),
    }

    def make(name: str = "home", *, deadlines: str = "") -> Machine:
        environment["WHERRY_DEADLINES"] = f"{DEADLINES},{deadlines}"
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        tools = base / f"tools-{len(made)}"
        machine = Machine(base / name, tools=tools, environment=dict(os.environ))
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.kill_all()
        if machine.paths.run.parent != machine.home:
            shutil.rmtree(machine.paths.run, ignore_errors=True)
    errors = "".join(logfail.unexpected_errors(request.node, machine.log()) for machine in made)
    shutil.rmtree(base, ignore_errors=True)
    if errors:
        pytest.fail(f"an agent logged errors that are not expected (see tests/plugins/logfail.py):\n{errors}")


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    """A machine that was never started."""
    return make_machine()
