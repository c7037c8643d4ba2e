"""A machine that faults are made on: its processes, commands and state. The real one and the fake one share this."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from backend.control import messages
from backend.control.client import MachineClient
from backend.control.launch import machine_directory
from backend.errors import WherryError
from backend.model import Desired, MachineStatus, Phase
from backend.settings.disk import data_disk_path
from tests.faults.plan import Fault, Kind, Stage

ROOT = Path(__file__).resolve().parent.parent.parent
WHERRY = (sys.executable, "-m", "backend.cli")
_COMMANDS = {
    Stage.START: ("start",),
    Stage.STOP: ("stop",),
    Stage.RESTART: ("restart",),
    Stage.CHECKPOINT: ("checkpoint", "create", "fault"),
    Stage.SUSPEND: ("suspend",),
    Stage.RESUME: ("start",),
}
_KEPT_CHECKPOINTS = 3
_SETTLED = "The restore of a checkpoint was interrupted."
"""What is told of one whose agent was killed, when all is in order again."""
_VERBS = {
    Stage.CHECKPOINT: "checkpoint",
    Stage.RESTORE: "checkpoint",
    Stage.UPDATE: "update",
    Stage.SUSPEND: "suspend",
    Stage.RESUME: "suspend",
}


@contextlib.contextmanager
def isolated(deadlines: str) -> Iterator[Path]:
    """A directory for machines; agents that this process starts leave the user's own docker settings alone.

    Args:
        deadlines: of those agents, as `Deadlines.parse` reads them.
    """
    base = Path(tempfile.mkdtemp(prefix="wherry-f-"))  # short, so that sockets stay in the home
    own = {"DOCKER_CONFIG": str(base / "docker"), "WHERRY_DEADLINES": deadlines}
    others = ("WHERRY_HOME", "WHERRY_IMAGE", "DOCKER_HOST", "DOCKER_CONTEXT")
    before = {name: os.environ.pop(name, None) for name in (*own, *others)}
    os.environ.update(own)
    (base / "docker").mkdir()
    try:
        yield base
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(base, ignore_errors=True)


class Violation(AssertionError):  # noqa: N818 -- a finding
    """Something that must always hold does not."""


class Command:
    """A program under way, with what it says kept; never a pipe that nobody reads."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.argv = argv
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._said.append(line)
                del self._said[:-200]

    @property
    def said(self) -> str:
        """Its words."""
        return "".join(self._said)

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def finish(self, timeout_s: float) -> int | None:
        """Its exit code; None when it does not end in time (it is killed then)."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            return None
        finally:
            self._reader.join(5)
        return code


class Target(ABC):
    """See the module."""

    kinds: frozenset[Kind]
    """Which kinds of fault can be made on it."""
    recovery_s: float
    """Bound for the machine to be as it should be again, from the end of the fault."""
    degraded_s: float
    """How long a machine may take to mend a fault that it shows before its Problem is acted upon."""
    settled_s: float
    """How long a user looks at a machine that is not as wanted and does not change."""
    hold: float = 1.0
    """What the time for which something is stopped is multiplied by."""
    command_s: float
    """Bound for a `wherry` command to end, from the end of the fault."""

    def __init__(self, home: Path) -> None:
        """Describe the machine that lives, or will, in `home`."""
        self.home = home
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.paths = machine_directory(home)
        self.lengths: dict[Stage, float] = {}
        """The usual length of each stage, in seconds."""
        self.stopped_for_now: list[psutil.Process] = []
        self.checkpoint = ""
        """Id of the one that the present stage goes back to."""

    # -- the product ----------------------------------------------------------------------------------------------
    def features(self) -> frozenset[Stage]:
        """Which stages this product has."""
        told = subprocess.run(
            [*WHERRY, "--help"], env=self.environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        verbs = {line.split()[0] for line in told.splitlines() if line.startswith("    ") and line.split()}
        return frozenset(stage for stage in Stage if _VERBS.get(stage, "start") in verbs)

    def begin(self, *arguments: str) -> Command:
        """Begin a `wherry` command."""
        return Command([*WHERRY, "--home", str(self.home), *arguments], self.environment)

    def wherry(self, *arguments: str, timeout_s: float | None = None) -> tuple[int | None, str]:
        """Run one; returns its exit code (None: it hung) and what it said."""
        command = self.begin(*arguments)
        code = command.finish(timeout_s or self.command_s)
        return code, command.said

    def begin_stage(self, fault: Fault) -> Command | None:
        """Set the stage's work going; None where there is none."""
        arguments = self.stage_command(fault)
        return self.begin(*arguments) if arguments else None

    def stage_command(self, fault: Fault) -> tuple[str, ...] | None:
        """What a user types for the stage."""
        if fault.stage is Stage.RESTORE:
            return ("checkpoint", "restore", self.checkpoint, "--yes")
        return _COMMANDS.get(fault.stage)

    def take_checkpoint(self) -> str:
        """Take one without a fault, and return its id. Raises Violation."""
        code, said = self.wherry("checkpoint", "create", "before-fault")
        if code != 0:
            raise Violation(f"checkpoint create ended with {code}: {said}")
        return said.split()[-1]

    def check_checkpoints(self) -> None:
        """They can be listed and deleted. Raises Violation."""
        with self.client() as client:
            found = client.request(messages.ListCheckpoints(), reply_timeout_s=self.command_s)
        if found.problem is not None and not found.problem.summary.startswith(_SETTLED):
            raise Violation(f"checkpoints: {found.problem}")
        for entry in found.checkpoints[:-_KEPT_CHECKPOINTS]:
            code, said = self.wherry("checkpoint", "delete", entry.id, "--yes")
            if code != 0:
                raise Violation(f"checkpoint delete ended with {code}: {said}")

    @contextlib.contextmanager
    def client(self) -> Iterator[MachineClient]:
        """What any client of the user's does first: find the agent, start one if there is none."""
        with MachineClient.open(self.home) as client:
            yield client

    def status(self) -> MachineStatus:
        """The machine's state, as any client sees it that is opened now. Raises WherryError."""
        with self.client() as client:
            return client.status

    def wait_status(self, what: str, holds: Callable[[MachineStatus], bool], *, timeout_s: float) -> MachineStatus:
        """Return the first state for which `holds`. Raises Violation at the deadline."""
        deadline = time.monotonic() + timeout_s
        last = "no agent answered"
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    for update in client.updates(timeout_s=max(0.1, deadline - time.monotonic())):
                        if isinstance(update, MachineStatus):
                            last = describe(update)
                            if holds(update):
                                return update
            except WherryError as error:
                last = error.problem.summary
                time.sleep(0.1)
        raise Violation(f"not within {timeout_s:g} s: {what}; last: {last}")

    def bring_to(self, phase: Phase) -> None:
        """Have the machine running, stopped or suspended, by the ordinary commands. Raises Violation."""
        if self.status().phase is phase:
            return
        if phase is Phase.SUSPENDED:
            self.bring_to(Phase.RUNNING)
        verb = {Phase.RUNNING: "start", Phase.STOPPED: "stop", Phase.SUSPENDED: "suspend"}[phase]
        began = time.monotonic()
        code, said = self.wherry(verb, timeout_s=2 * self.recovery_s)
        if code != 0:
            raise Violation(f"wherry {verb} ended with {code}: {said[-2000:]}")
        self.wait_status(f"{phase} after wherry {verb}", lambda status: status.phase is phase, timeout_s=10)
        stage = {Phase.RUNNING: Stage.START, Phase.STOPPED: Stage.STOP, Phase.SUSPENDED: Stage.SUSPEND}[phase]
        self.lengths.setdefault(stage, time.monotonic() - began)

    # -- its processes --------------------------------------------------------------------------------------------
    def processes(self) -> list[psutil.Process]:
        """Every process that has this home among its arguments, but for what this driver started."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            arguments = process.info["cmdline"] or []
            if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if any(str(self.home) in argument.replace(",,", ",") for argument in arguments):
                found.append(process)
        return found

    def agents(self) -> list[psutil.Process]:
        """The agents of this machine."""
        return [process for process in self.processes() if "backend.agent" in (process.info["cmdline"] or [])]

    def machines(self) -> list[psutil.Process]:
        """The QEMUs of this machine."""
        return [process for process in self.processes() if "-uuid" in (process.info["cmdline"] or [])]

    def inject(self, fault: Fault, command: Command | None) -> bool:
        """Make a fault of those on the host; returns whether there was anything to hit."""
        match fault.kind:
            case Kind.AGENT_KILL:
                return _signal(self.agents(), signal.SIGKILL)
            case Kind.QEMU_KILL:
                return _signal(self.machines(), signal.SIGKILL)
            case Kind.BOTH_KILL:
                return _signal([*self.agents(), *self.machines()], signal.SIGKILL)
            case Kind.AGENT_STOP:
                return self._stop(self.agents())
            case Kind.QEMU_STOP | Kind.QEMU_FREEZE:
                return self._stop(self.machines())
            case Kind.VERB_KILL | Kind.VERB_STOP:
                if command is None or command.process.poll() is not None:
                    return False
                command.signal(signal.SIGKILL if fault.kind is Kind.VERB_KILL else signal.SIGSTOP)
                if fault.kind is Kind.VERB_STOP:
                    self.stopped_for_now.append(psutil.Process(command.process.pid))
                return True
        return self.inject_other(fault)

    @abstractmethod
    def inject_other(self, fault: Fault) -> bool:
        """The same for the kinds that are this target's own."""

    def arm(self, fault: Fault, delay_s: float) -> bool:
        """Prepare a fault inside the guest to happen after the delay; False: it is made by `inject`."""
        return False

    def _stop(self, processes: list[psutil.Process]) -> bool:
        self.stopped_for_now += processes
        return _signal(processes, signal.SIGSTOP)

    def release(self) -> None:
        """Let everything that was stopped go on."""
        _signal(self.stopped_for_now, signal.SIGCONT)
        self.stopped_for_now.clear()

    # -- what must always hold ------------------------------------------------------------------------------------
    @abstractmethod
    def check_running(self, fault: Fault) -> None:
        """Of a machine that runs: its engine, its containers, its data, its clients. Raises Violation."""

    @abstractmethod
    def pause(self) -> None:
        """Let nothing come or go until the next check: what is there now is to be known."""

    @abstractmethod
    def note_before(self, fault: Fault) -> None:
        """Called when the stage is about to begin."""

    @abstractmethod
    def note_end(self, fault: Fault, came: float) -> None:
        """Called when the machine is as it should be, before it is checked.

        Args:
            came: when the fault came (time.monotonic).
        """

    def deaths(self) -> int:
        """How many QEMUs the agents have found dead, or have given up, that nobody asked to end."""
        text = (
            self.paths.agent_log.read_text(encoding="utf-8", errors="replace") if self.paths.agent_log.exists() else ""
        )
        return sum(
            text.count(f"notice: {words}") for words in ("The virtual machine ended by itself", "The machine was lost")
        )

    def check_disk(self) -> str:
        """After a full stop: the data disk is whole. Returns a word on it. Raises Violation."""
        done = subprocess.run(
            ["qemu-img", "check", "--output=json", str(data_disk_path(self.paths))],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        try:
            found = json.loads(done.stdout)
        except ValueError as error:
            raise Violation(f"qemu-img check: {done.stdout}{done.stderr}") from error
        if found.get("corruptions") or found.get("check-errors"):
            raise Violation(f"the data disk is damaged: {done.stdout}")
        return f"{found.get('leaks', 0)} leaked clusters"

    def check_leftovers(self, status: MachineStatus) -> None:
        """No process too many, no file too many. Raises Violation."""
        live = status.phase.is_live
        deadline = time.monotonic() + 10  # what was replaced may take a moment to be gone
        while True:
            complaint = self._complaint(live)
            if complaint is None:
                return
            if time.monotonic() > deadline:
                raise Violation(complaint)
            time.sleep(0.1)

    def _complaint(self, live: bool) -> str | None:
        if len(self.agents()) > 1:
            return f"there are {len(self.agents())} agents"
        if len(self.machines()) != int(live):
            return f"there are {len(self.machines())} QEMUs"
        if not live:
            for path in (
                self.paths.run_record,
                self.paths.qemu_pid,
                self.paths.monitor_socket,
                self.paths.control_socket,
                self.paths.console_socket,
            ):
                if path.exists():
                    return f"{path.name} is left"
        left = [
            path
            for directory in (self.home, self.paths.machine, self.paths.keys, self.paths.guest_inputs, self.paths.run)
            if directory.is_dir()
            for path in directory.iterdir()
            if path.name.startswith(".") or path.name.endswith((".new", ".tmp", ".part"))
        ]
        return f"temporary files are left: {[str(path.relative_to(self.home)) for path in left]}" if left else None

    # -- the end --------------------------------------------------------------------------------------------------
    @abstractmethod
    def set_up(self) -> None:
        """Make the machine, start it, and begin the workload."""

    @abstractmethod
    def close(self) -> None:
        """End everything, whatever state it is in."""

    def end_processes(self) -> None:
        """Kill whatever of this home runs."""
        deadline = time.monotonic() + 30
        while (left := self.processes()) and time.monotonic() < deadline:
            _signal(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=1)

    def logs(self) -> str:
        """The ends of the logs, for a failure."""
        parts = []
        for path in sorted(self.paths.logs.glob("*")):
            text = path.read_text(encoding="utf-8", errors="replace")
            parts.append(f"--- {path.name}\n{text[-8000:]}")
        return "\n".join(parts)


def describe(status: MachineStatus) -> str:
    """One line."""
    problems = "; ".join(f"{problem.code.value}: {problem.summary}" for problem in status.problems)
    operation = f" [{status.operation.name}]" if status.operation else ""
    wanted = "" if status.desired is Desired.RUNNING else " (not wanted)"
    return f"{status.phase.value}{wanted}{operation} {problems}".strip()


def _signal(processes: list[psutil.Process], number: int) -> bool:
    hit = False
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
            hit = True
    return hit
