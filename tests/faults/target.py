"""The machine under test, base class of the real and the fake one: its processes, commands, status and invariants."""

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
_RESTORE_INTERRUPTED = "Restoring a checkpoint was interrupted."
"""Problem after a restore whose agent was killed: reported even when the recovery succeeded."""
_VERBS = {
    Stage.CHECKPOINT: "checkpoint",
    Stage.RESTORE: "checkpoint",
    Stage.UPDATE: "update",
    Stage.SUSPEND: "suspend",
    Stage.RESUME: "suspend",
}


@contextlib.contextmanager
def isolated(deadlines: str) -> Iterator[Path]:
    """A temporary directory for machines. Agents started during the block do not change the user's docker settings.

    Args:
        deadlines: of those agents, in the format of `Deadlines.parse`.
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


class Violation(AssertionError):  # noqa: N818 -- not an error of the driver
    """An invariant is violated."""


class Command:
    """A running program whose output is read continuously. `said` has the last 200 lines."""

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
        """The output so far, at most 200 lines."""
        return "".join(self._said)

    def signal(self, number: int) -> None:
        """Send a signal if the program still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def finish(self, timeout_s: float) -> int | None:
        """Wait for the exit code; None if it does not end in time and was killed."""
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
    """A machine on which faults are injected."""

    kinds: frozenset[Kind]
    """The kinds of faults that can be injected."""
    recovery_s: float
    """Time limit of the recovery, from the end of the fault, in seconds."""
    degraded_s: float
    """Time in which a machine that reports a Problem may recover by itself, before its action is taken."""
    settled_s: float
    """Time after which a machine in a wrong, unchanging state is assumed to be stuck."""
    hold: float = 1.0
    """Factor for the time for which processes are stopped."""
    command_s: float
    """Time limit of a `wherry` command, from the end of the fault, in seconds."""

    def __init__(self, home: Path) -> None:
        """The machine in `home`, which need not exist yet."""
        self.home = home
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.paths = machine_directory(home)
        self.lengths: dict[Stage, float] = {}
        """Usual duration of each stage in seconds."""
        self.stopped_for_now: list[psutil.Process] = []
        self.checkpoint = ""
        """Id of the checkpoint that the current stage restores."""

    # -- the product ----------------------------------------------------------------------------------------------
    def features(self) -> frozenset[Stage]:
        """The stages whose commands `wherry --help` lists."""
        help_text = subprocess.run(
            [*WHERRY, "--help"], env=self.environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        verbs = {line.split()[0] for line in help_text.splitlines() if line.startswith("    ") and line.split()}
        return frozenset(stage for stage in Stage if _VERBS.get(stage, "start") in verbs)

    def begin(self, *arguments: str) -> Command:
        """Start a `wherry` command."""
        return Command([*WHERRY, "--home", str(self.home), *arguments], self.environment)

    def wherry(self, *arguments: str, timeout_s: float | None = None) -> tuple[int | None, str]:
        """Run a `wherry` command. Returns its exit code (None: it timed out) and its output."""
        command = self.begin(*arguments)
        code = command.finish(timeout_s or self.command_s)
        return code, command.said

    def begin_stage(self, fault: Fault) -> Command | None:
        """Start the command of the stage; None if it has none."""
        arguments = self.stage_command(fault)
        return self.begin(*arguments) if arguments else None

    def stage_command(self, fault: Fault) -> tuple[str, ...] | None:
        """Arguments of the `wherry` command of a stage; None if it has none."""
        if fault.stage is Stage.RESTORE:
            return ("checkpoint", "restore", self.checkpoint, "--yes")
        return _COMMANDS.get(fault.stage)

    def take_checkpoint(self) -> str:
        """Take a checkpoint without a fault and return its id. Raises Violation."""
        code, said = self.wherry("checkpoint", "create", "before-fault")
        if code != 0:
            raise Violation(f"checkpoint create ended with {code}: {said}")
        return said.split()[-1]

    def check_checkpoints(self) -> None:
        """Check that checkpoints can be listed and deleted. Raises Violation."""
        with self.client() as client:
            listing = client.request(messages.ListCheckpoints(), reply_timeout_s=self.command_s)
        if listing.problem is not None and not str(listing.problem.summary).startswith(_RESTORE_INTERRUPTED):
            raise Violation(f"checkpoints: {listing.problem}")
        for entry in listing.checkpoints[:-_KEPT_CHECKPOINTS]:
            code, said = self.wherry("checkpoint", "delete", entry.id, "--yes")
            if code != 0:
                raise Violation(f"checkpoint delete ended with {code}: {said}")

    @contextlib.contextmanager
    def client(self) -> Iterator[MachineClient]:
        """Connect to the agent, and start one if there is none."""
        with MachineClient.open(self.home) as client:
            yield client

    def status(self) -> MachineStatus:
        """The status, from a new client. Raises WherryError."""
        with self.client() as client:
            return client.status

    def wait_status(self, what: str, holds: Callable[[MachineStatus], bool], *, timeout_s: float) -> MachineStatus:
        """Wait for a status for which `holds` and return it. Raises Violation at the deadline, with `what`."""
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
                last = str(error.problem.summary)
                time.sleep(0.1)
        raise Violation(f"not within {timeout_s:g} s: {what}; last: {last}")

    def bring_to(self, phase: Phase) -> None:
        """Bring the machine into this phase with `wherry` commands. Raises Violation."""
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
        """All other processes with this home in their arguments."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            arguments = process.info["cmdline"] or []
            if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if any(str(self.home) in argument.replace(",,", ",") for argument in arguments):
                found.append(process)
        return found

    def agents(self) -> list[psutil.Process]:
        """The agent processes of this machine."""
        return [
            process for process in self.processes() if (process.info["cmdline"] or [])[1:3] == ["-m", "backend.agent"]
        ]

    def machines(self) -> list[psutil.Process]:
        """The QEMU processes of this machine."""
        return [process for process in self.processes() if "-uuid" in (process.info["cmdline"] or [])]

    def inject(self, fault: Fault, command: Command | None) -> bool:
        """Inject a fault on the host. Returns whether there was a process to hit."""
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
        """As `inject`, for the kinds that are specific to this target."""

    def arm(self, fault: Fault, delay_s: float) -> bool:
        """Schedule a fault in the guest after the delay. False: `inject` is used instead."""
        return False

    def _stop(self, processes: list[psutil.Process]) -> bool:
        self.stopped_for_now += processes
        return _signal(processes, signal.SIGSTOP)

    def release(self) -> None:
        """Continue all stopped processes."""
        _signal(self.stopped_for_now, signal.SIGCONT)
        self.stopped_for_now.clear()

    # -- what must always hold ------------------------------------------------------------------------------------
    @abstractmethod
    def check_running(self, fault: Fault) -> None:
        """Check the engine, containers, data and clients of a running machine. Raises Violation."""

    @abstractmethod
    def pause(self) -> None:
        """Pause the workload until the next check, so that its state is known."""

    @abstractmethod
    def note_before(self, fault: Fault) -> None:
        """Called before the stage begins."""

    @abstractmethod
    def note_end(self, fault: Fault, came: float) -> None:
        """Called when the machine has recovered, before the checks.

        Args:
            came: time.monotonic() of the fault.
        """

    def deaths(self) -> int:
        """Number of unexpected ends of QEMU in the agent's log."""
        text = (
            self.paths.agent_log.read_text(encoding="utf-8", errors="replace") if self.paths.agent_log.exists() else ""
        )
        return sum(
            text.count(f"notice: {words}")
            for words in ("The virtual machine stopped unexpectedly", "The machine was lost")
        )

    def check_disk(self) -> str:
        """Check the data disk of a stopped machine. Returns a description. Raises Violation: it is damaged."""
        done = subprocess.run(
            ["qemu-img", "check", "--output=json", str(data_disk_path(self.paths))],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        try:
            report = json.loads(done.stdout)
        except ValueError as error:
            raise Violation(f"qemu-img check: {done.stdout}{done.stderr}") from error
        if report.get("corruptions") or report.get("check-errors"):
            raise Violation(f"the data disk is damaged: {done.stdout}")
        return f"{report.get('leaks', 0)} leaked clusters"

    def check_leftovers(self, status: MachineStatus) -> None:
        """Check that no process and no temporary file is left. Raises Violation."""
        live = status.phase.is_live
        deadline = time.monotonic() + 10  # processes and files may take a moment to disappear
        while True:
            complaint = self._find_leftover(live)
            if complaint is None:
                return
            if time.monotonic() > deadline:
                raise Violation(complaint)
            time.sleep(0.1)

    def _find_leftover(self, live: bool) -> str | None:
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
        """Create and start the machine, and start the workload."""

    @abstractmethod
    def close(self) -> None:
        """End all processes, in every state."""

    def end_processes(self) -> None:
        """Kill all processes of this machine."""
        deadline = time.monotonic() + 30
        while (left := self.processes()) and time.monotonic() < deadline:
            _signal(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=1)

    def logs(self) -> str:
        """The last part of each log, for the report of a failure."""
        parts = []
        for path in sorted(self.paths.logs.glob("*")):
            text = path.read_text(encoding="utf-8", errors="replace")
            parts.append(f"--- {path.name}\n{text[-8000:]}")
        return "\n".join(parts)


def describe(status: MachineStatus) -> str:
    """The status as one line of text."""
    problems = "; ".join(f"{problem.code.value}: {problem.summary!s}" for problem in status.problems)
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
