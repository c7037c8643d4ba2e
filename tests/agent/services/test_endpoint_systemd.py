"""systemd's user manager keeps the docker endpoint: with a real manager, in a namespace of mounts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.control.session import endpoint_place
from backend.host.systems.session_managers import SystemdUser
from tests.agent.machine import PATIENCE_S, ROOT, Machine, eventually
from tests.agent.services.test_endpoint import assert_answered, kill_agent, new_command

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), "")


@pytest.fixture
def user_manager(tmp_path: Path) -> Iterator[None]:
    """A manager for $XDG_RUNTIME_DIR, which ends with the test."""
    if not SYSTEMD or os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs systemd, and root for a namespace of mounts")
    log = tmp_path / "manager.log"
    with log.open("wb") as output:
        manager = subprocess.Popen(
            ["unshare", "-m", "--kill-child", "sh", str(ROOT / "tests" / "fakes" / "user_manager.sh"), SYSTEMD],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        eventually(
            lambda: SystemdUser.is_available() or manager.poll() is not None, "the user manager starts", timeout_s=20
        )
        if manager.poll() is not None:
            pytest.skip(f"no user manager starts here: {log.read_text(errors='replace')[-300:]}")
        eventually(lambda: systemctl("is-active", "default.target") == "active", "the user manager is up")
        yield
    finally:
        if manager.poll() is None:
            systemctl("exit")
            try:
                manager.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(manager.pid, signal.SIGKILL)
                manager.wait()
        shutil.rmtree(Path(os.environ["XDG_RUNTIME_DIR"]) / "systemd", ignore_errors=True)


def systemctl(*arguments: str) -> str:
    answer = subprocess.run(
        ["systemctl", "--user", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return (answer.stdout or answer.stderr).strip()


def test_the_user_manager_keeps_the_endpoint(user_manager: None, machine: Machine) -> None:
    name = endpoint_place(machine.paths).name
    machine.started()
    assert systemctl("is-active", f"{name}.socket") == "active"
    assert systemctl("is-enabled", f"{name}.socket") == "enabled"
    units = [str(path) for path in SystemdUser().units(endpoint_place(machine.paths))]
    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--user", *units], capture_output=True, text=True, check=False
    )
    assert (verdict.returncode, verdict.stderr) == (0, "")
    qemu = machine.launches[-1][0]

    kill_agent(machine)
    assert_answered(machine)
    assert machine.launches[-1][0] == qemu, "the machine went on"
    with machine.client() as client:  # an agent that a person starts gets the same socket
        os.kill(client.agent_pid, signal.SIGKILL)
    machine.wherry("status")
    assert_answered(machine)
    eventually(lambda: len(machine.agents()) == 1, "one agent is left")

    for process in machine.keepers():
        process.kill()
    assert_answered(machine)
    kill_agent(machine)
    assert_answered(machine)
    eventually(lambda: len(machine.agents()) == 1, "one agent is left")

    machine.wherry("stop", "--quit")
    assert systemctl("is-active", f"{name}.socket") == "inactive"
    machine.assert_nothing_left()
    systemctl("start", f"{name}.socket")  # as at the next login
    assert not machine.processes()
    assert new_command(machine)[0] == 200

    machine.wherry("config", "set", "docker.keep_endpoint", "false")
    assert not any(Path(unit).exists() for unit in units)
    assert systemctl("is-enabled", f"{name}.socket") != "enabled"
    assert_answered(machine)  # the agent goes on listening
    machine.wherry("config", "set", "docker.keep_endpoint", "true")
    assert systemctl("is-active", f"{name}.socket") == "active"
    assert_answered(machine)
    machine.wherry("stop", "--quit")
