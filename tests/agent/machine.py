"""A machine for the tests of this folder: its own home directory, the fake QEMU, the real agent and the real CLI."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from backend import host
from backend.control import messages
from backend.control.client import MachineClient
from backend.control.launch import machine_directory
from backend.errors import ProblemCode, WherryError
from backend.model import MachineStatus, Phase
from backend.vm import image
from tests.fakes import qemu

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 60.0
"""Deadline for any wait on a loaded computer; waits end as soon as their condition holds."""


def eventually(holds: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `holds`. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)
    return value


def make_image(directory: Path, *, arch: str | None = None) -> Path:
    """Create a guest image that passes every check but cannot boot."""
    directory.mkdir(parents=True)
    manifest: dict[str, Any] = {
        "format": image.FORMAT,
        "arch": arch or host.current().arch,
        "version": "fake-1",
        "cmdline": "console=ttyS0",
        "docker_version": "28.0.0",
    }
    for name in ("kernel", "initramfs", "root"):
        content = f"the {name} of a fake image\n".encode() * 100
        (directory / name).write_bytes(content)
        manifest[name] = {"file": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (directory / image.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return directory


class Machine:
    """A machine under test: its processes, clients and files."""

    command = (sys.executable, "-m", "backend.cli")

    def __init__(self, home: Path, *, tools: Path, environment: Mapping[str, str]) -> None:
        """Create the home directory with its settings.

        Args:
            home: the machine's directory; created here.
            tools: directory with the fake QEMU and the fake image.
            environment: environment variables for every process started.
        """
        self.home = home
        self.environment = {**environment, "PYTHONPATH": str(ROOT)}
        self.paths = machine_directory(home)
        self.paths.create()
        self.image = make_image(tools / "image")
        self.qemu = qemu.install(tools / "bin")
        self._children: list[subprocess.Popen[str]] = []
        self.configure(qemu={"binary": str(self.qemu)}, image={"directory": str(self.image)})

    def configure(self, **sections: Mapping[str, object]) -> None:
        """Write these sections of config.toml; other sections are kept."""
        self._sections = {**getattr(self, "_sections", {"machine": {"accelerator": "tcg"}}), **sections}
        lines = ["version = 1"]
        for name, values in self._sections.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        self.paths.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # -- the fake QEMU --------------------------------------------------------------------------------------------
    def cue(self, **cues: object) -> None:
        """Set how the next QEMU misbehaves; see tests/fakes/qemu.py."""
        (self.paths.machine / qemu.CUES).write_text(json.dumps(cues), encoding="utf-8")

    def hold(self, *steps: str) -> None:
        """Make the next QEMU wait at these steps until `release`."""
        self.cue(hold={step: str(self.gate(step)) for step in steps})

    def gate(self, step: str) -> Path:
        """The file whose existence releases a held step."""
        return self.paths.machine / f"go-{step}"

    def release(self, step: str) -> None:
        """Release a held step."""
        self.gate(step).touch()

    @property
    def launches(self) -> list[tuple[int, str]]:
        """Process id and accelerator of every QEMU started so far."""
        try:
            lines = (self.paths.machine / qemu.LAUNCHES).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [(int(pid), accelerator) for pid, accelerator in (line.split() for line in lines)]

    def lines_to_guest(self) -> list[str]:
        """Every line that the guests received on their control port."""
        try:
            return (self.paths.machine / qemu.RECEIVED_LINES).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    # -- clients --------------------------------------------------------------------------------------------------
    def client(self) -> MachineClient:
        """Connect a client to the agent, which is started if none is running."""
        return MachineClient.open(self.home)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `wherry` command."""
        child = subprocess.Popen(
            [*self.command, "--home", str(self.home), *arguments],
            env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._children.append(child)
        return child

    def wherry(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a `wherry` command to its end and check its exit code; None accepts any."""
        child = self.popen(*arguments)
        out, err = child.communicate(timeout=2 * PATIENCE_S)
        assert code is None or child.returncode == code, f"{arguments} ended with {child.returncode}:\n{out}\n{err}"
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def started(self) -> MachineStatus:
        """Start the machine, and return its status once it runs."""
        with self.client() as client:
            client.request(messages.Start())
            return until(client, Phase.RUNNING)

    def status_now(self) -> MachineStatus:
        """The current status, from a new client."""
        with self.client() as client:
            return client.status

    def ended(self) -> None:
        """Ask the agent to exit, and wait until none is left."""
        with self.client() as client:
            pid = client.agent_pid
            client.request(messages.ShutDownAgent(for_good=True))
        eventually(lambda: not alive(pid), "the agent ends")

    # -- what is left ---------------------------------------------------------------------------------------------
    def processes(self) -> list[psutil.Process]:
        """Every process with this home directory, or a file in it, among its arguments."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            arguments = process.info["cmdline"] or []
            if any(str(self.home) in argument.replace(",,", ",") for argument in arguments):
                found.append(process)
        return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]

    def agents(self) -> list[psutil.Process]:
        """The agents of this machine, and those that find that it has one."""
        return [process for process in self.processes() if process.cmdline()[1:3] == ["-m", "backend.agent"]]

    def keepers(self) -> list[psutil.Process]:
        """The keepers of its endpoint."""
        return [process for process in self.processes() if "--kind" in process.cmdline()]

    def assert_nothing_left(self) -> None:
        """Assert that no process, record or socket is left and the lock is free."""
        eventually(lambda: not self.processes(), "no process is left")
        assert not self.paths.run_record.exists()
        assert not self.paths.qemu_pid.exists()
        left = sorted(path.name for path in self.paths.run.iterdir())
        assert not left, f"sockets are left: {left}"

    def kill_all(self) -> None:
        """Kill all processes of this machine, at the end of a test."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := self.processes()) and time.monotonic() < deadline:
            for process in left:
                try:
                    process.kill()
                except psutil.Error:
                    continue
            psutil.wait_procs(left, timeout=1)
        for child in self._children:
            child.communicate()

    def log(self) -> str:
        """The agent's log, for assertion messages."""
        if not self.paths.agent_log.exists():
            return ""
        return self.paths.agent_log.read_text(encoding="utf-8", errors="replace")


def until(client: MachineClient, *phases: Phase, step: str | None = None) -> MachineStatus:
    """Wait until the machine is in one of these phases (at this step of the start).

    Raises:
        AssertionError: at the deadline, or when it settles in another phase for good.
    """
    seen: list[str] = []
    for update in client.updates(timeout_s=PATIENCE_S):
        if not isinstance(update, MachineStatus):
            seen.append(str(update.text))
            continue
        active = update.active_step.name if update.active_step else None
        seen.append(f"{update.phase}:{active}")
        if update.phase in phases and (step is None or step == active):
            return update
        if update.phase is Phase.FAILED:
            break
    problems = "\n".join(problem.as_text() for problem in client.status.problems)
    raise AssertionError(f"{[str(phase) for phase in phases]} {step} was not reached: {seen}\n{problems}")


def problem_of(status: MachineStatus) -> ProblemCode | None:
    """The code of the first problem."""
    return status.problems[0].code if status.problems else None


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    """Send SIGKILL, and wait until the process has ended (reaped or not)."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), f"{pid} is gone")


def refused(action: Callable[[], object]) -> ProblemCode:
    """Run `action`, which must fail, and return its problem's code."""
    try:
        action()
    except WherryError as error:
        return error.problem.code
    raise AssertionError("it was not refused")
