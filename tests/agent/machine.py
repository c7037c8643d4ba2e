"""One machine on the fake QEMU, as the tests of this folder use it: a home of its own, the real agent, the real CLI."""

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
"""How long anything may take on a loaded computer; nothing ever sleeps for it."""


def eventually(holds: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `holds`. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := holds()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)
    return value


def make_image(directory: Path, *, arch: str | None = None) -> Path:
    """A guest image that passes every check and boots nothing."""
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
    """Everything of one machine that a test looks at."""

    command = (sys.executable, "-m", "backend.cli")

    def __init__(self, home: Path, *, tools: Path, environment: Mapping[str, str]) -> None:
        """Make the home with its settings.

        Args:
            home: of the machine; made here.
            tools: where the fake QEMU and the fake image are kept.
            environment: of every process that is started.
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
        """Write config.toml anew; a section that is not named stays."""
        self._sections = {**getattr(self, "_sections", {"machine": {"accelerator": "tcg"}}), **sections}
        lines = ["version = 1"]
        for name, values in self._sections.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        self.paths.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # -- the fake QEMU --------------------------------------------------------------------------------------------
    def cue(self, **cues: object) -> None:
        """How the next QEMU is to misbehave; see tests/fakes/qemu.py."""
        (self.paths.machine / qemu.CUES).write_text(json.dumps(cues), encoding="utf-8")

    def hold(self, *steps: str) -> None:
        """Make the next QEMU stand still at these steps until `release`."""
        self.cue(hold={step: str(self.gate(step)) for step in steps})

    def gate(self, step: str) -> Path:
        """The file that lets a held step go on."""
        return self.paths.machine / f"go-{step}"

    def release(self, step: str) -> None:
        """Let a held step go on."""
        self.gate(step).touch()

    @property
    def launches(self) -> list[tuple[int, str]]:
        """Every QEMU that was ever started: pid and accelerator."""
        try:
            lines = (self.paths.machine / qemu.LAUNCHES).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [(int(pid), accelerator) for pid, accelerator in (line.split() for line in lines)]

    def lines_to_guest(self) -> list[str]:
        """Every line that the guests got on their control port."""
        try:
            return (self.paths.machine / qemu.RECEIVED_LINES).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    # -- clients --------------------------------------------------------------------------------------------------
    def client(self) -> MachineClient:
        """A client of the agent, which is started if there is none."""
        return MachineClient.open(self.home)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a `wherry` command."""
        child = subprocess.Popen(
            [*self.command, "--home", str(self.home), *arguments],
            env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._children.append(child)
        return child

    def wherry(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a `wherry` command to its end; `code` None: any exit code will do."""
        child = self.popen(*arguments)
        out, err = child.communicate(timeout=2 * PATIENCE_S)
        assert code is None or child.returncode == code, f"{arguments} ended with {child.returncode}:\n{out}\n{err}"
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def started(self) -> MachineStatus:
        """Start it, and return the status once it runs."""
        with self.client() as client:
            client.request(messages.Start())
            return until(client, Phase.RUNNING)

    def status_now(self) -> MachineStatus:
        """The status, as a client sees it that is opened now."""
        with self.client() as client:
            return client.status

    def ended(self) -> None:
        """Return once no agent is left, having asked it to go."""
        with self.client() as client:
            pid = client.agent_pid
            client.request(messages.ShutDownAgent())
        eventually(lambda: not alive(pid), "the agent ends")

    # -- what is left ---------------------------------------------------------------------------------------------
    def processes(self) -> list[psutil.Process]:
        """Every process that has this home, or a file of it, among its arguments."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            arguments = process.info["cmdline"] or []
            if any(str(self.home) in argument.replace(",,", ",") for argument in arguments):
                found.append(process)
        return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]

    def assert_nothing_left(self) -> None:
        """No process, no record, no socket; and the lock can be had."""
        eventually(lambda: not self.processes(), "no process is left")
        assert not self.paths.run_record.exists()
        assert not self.paths.qemu_pid.exists()
        left = sorted(path.name for path in self.paths.run.iterdir())
        assert not left, f"sockets are left: {left}"

    def kill_all(self) -> None:
        """End whatever this machine has running; for the end of a test."""
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
        """The agent's log, for a failed assertion."""
        if not self.paths.agent_log.exists():
            return ""
        return self.paths.agent_log.read_text(encoding="utf-8", errors="replace")


def until(client: MachineClient, *phases: Phase, step: str | None = None) -> MachineStatus:
    """Follow the machine until it is in one of these phases (at this step of the start).

    Raises:
        AssertionError: at the deadline, or when it settles in another phase for good.
    """
    seen: list[str] = []
    for update in client.updates(timeout_s=PATIENCE_S):
        if not isinstance(update, MachineStatus):
            seen.append(update.text)
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
    """kill -9, and wait until it is gone (reaped or not)."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), f"{pid} is gone")


def refused(action: Callable[[], object]) -> ProblemCode:
    """The code of the problem with which `action` is refused."""
    try:
        action()
    except WherryError as error:
        return error.problem.code
    raise AssertionError("it was not refused")
