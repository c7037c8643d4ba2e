"""The workload of the real machine during faults, and a ledger of what must exist in it afterwards.

Writers are containers with a restart policy. Each appends the next number to a file on a volume, syncs it, and then
prints it; a number that we have read is acknowledged and must not be lost. Besides, docker commands create and remove
containers, volumes and image tags, and other docker clients stay attached. A command that succeeded has changed the
ledger; one that failed may have taken effect or not.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults import http
from tests.faults.target import Violation
from tests.vm.support.machine import BUSYBOX, Machine

WRITERS = ("writer-1", "writer-2")
_WRITE = """\
trap 'exit 0' TERM
n=$(tail -n 1 /v/lines 2>/dev/null)
n=${n:-0}
while :; do
    n=$((n + 1))
    echo $n >>/v/lines && sync -d /v/lines && echo "acknowledged $n"
    sleep 0.3
done
"""
_MARKER = "made-after-the-checkpoint"
_CLIENT_S = 240.0
"""Time limit of a docker command: nothing takes longer, a start of the machine included."""
_RECENT_S = 12.0
"""The guest's kernel writes unsynced data of dockerd within this time: the 5 s of its journal plus the time of an
emulated disk. A crash may undo changes that are younger."""


class Ledger:
    """Objects that are known to exist in the machine, by kind and name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[tuple[str, str], tuple[bool | None, bool | None, float]] = {}

    @contextlib.contextmanager
    def changing(self, kind: str, name: str, *, exists: bool) -> Iterator[Callable[[], None]]:
        """Record a change: it is uncertain until the yielded function is called."""
        before = self._facts.get((kind, name), (False, False, 0.0))[0]
        with self._lock:
            self._facts[kind, name] = (None, before, time.monotonic())

        def done() -> None:
            with self._lock:
                self._facts[kind, name] = (exists, before, time.monotonic())

        yield done

    def copy(self) -> dict[tuple[str, str], tuple[bool | None, bool | None, float]]:
        """A copy of the ledger for `recall`."""
        with self._lock:
            return dict(self._facts)

    def recall(self, facts: dict[tuple[str, str], tuple[bool | None, bool | None, float]]) -> None:
        """Restore a copy, after the machine was restored to that time."""
        with self._lock:
            self._facts = dict(facts)

    def crash(self, when_it_came: float) -> None:
        """The guest lost unsynced data at this time.monotonic(): changes of the seconds before become uncertain."""
        with self._lock:
            for key, (_, before, when) in self._facts.items():
                if when_it_came - when < _RECENT_S:
                    self._facts[key] = (None, before, when)

    def compare(self, kind: str, present: set[str]) -> None:
        """Raise Violation if `present` contradicts the ledger. Uncertain objects become known."""
        with self._lock:
            facts = {name: fact for (of, name), fact in self._facts.items() if of == kind}
            wrong = [
                f"{name} {'is missing' if fact[0] else 'is back'}"
                for name, fact in facts.items()
                if fact[0] is not None and fact[0] is not (name in present)
            ]
            unknown = present - facts.keys()
            for name in facts:
                self._facts[kind, name] = (name in present, name in present, 0.0)
        if wrong or unknown:
            raise Violation(f"{kind}: {', '.join(wrong)}; not made by anybody here: {sorted(unknown)}")

    def known(self, kind: str) -> list[str]:
        """Names that may exist, oldest first."""
        with self._lock:
            return [name for (of, name), fact in self._facts.items() if of == kind and fact[0] is not False]


class Attached:
    """A docker command with endless output; `on_line` is called with each line, on a thread."""

    def __init__(self, machine: Machine, *arguments: str, on_line: Callable[[str], None]) -> None:
        self.arguments = arguments
        self.last = time.monotonic()
        """Time of the last line."""
        self.process = subprocess.Popen(
            [str(machine.tools.docker), *arguments],
            env=machine.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.last = time.monotonic()
                self._on_line(line)

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return self.process.poll() is not None

    def close(self) -> None:
        """Kill the command."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(10)
        self._reader.join(10)


class Workload:
    """Containers, commands and clients, and the ledger of their effects."""

    def __init__(self, machine: Machine, socket: Path) -> None:
        self.ledger = Ledger()
        self.acknowledged = dict.fromkeys(WRITERS, 0)
        self._machine = machine
        self._socket = socket
        self._attached: dict[str, Attached] = {}
        self._may_run = threading.Event()
        self._over = threading.Event()
        self._idle = threading.Event()
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._commands_thread = threading.Thread(target=self._run_commands, daemon=True)
        self._number = 0
        self._before: tuple[dict[tuple[str, str], tuple[bool | None, bool | None, float]], dict[str, int]] = ({}, {})

    def begin(self) -> None:
        """Create the writers and start everything."""
        for name in WRITERS:
            self._machine.docker(
                "run", "-d", "--init", "--restart", "always", "--name", name, "-v", f"{name}:/v", BUSYBOX, "sh", "-c",
                _WRITE,
            )  # fmt: skip
            for kind in ("containers", "volumes"):
                with self.ledger.changing(kind, name, exists=True) as done:
                    done()
        with self.ledger.changing("images", BUSYBOX, exists=True) as done:
            done()
        self._commands_thread.start()
        self.attach()

    def attach(self) -> None:
        """Start attached clients that have ended again, and resume the commands."""
        for name in WRITERS:
            self._attach(f"logs of {name}", "logs", "-f", "--tail", "1", name, on_line=self._line_handler(name))
        self._attach("events", "events", on_line=lambda _: None)
        self._may_run.set()

    def _attach(self, name: str, *arguments: str, on_line: Callable[[str], None]) -> None:
        old = self._attached.get(name)
        if old is None or old.ended:
            self._attached[name] = Attached(self._machine, *arguments, on_line=on_line)

    def _line_handler(self, writer: str) -> Callable[[str], None]:
        def on_line(line: str) -> None:
            word, _, number = line.partition(" ")
            if word == "acknowledged" and number.strip().isdigit():
                self.acknowledged[writer] = max(self.acknowledged[writer], int(number))

        return on_line

    def pause(self) -> None:
        """Start no new command until `attach`."""
        self._may_run.clear()

    def settle(self) -> None:
        """Wait until the running command has ended. Raises Violation."""
        if not self._idle.wait(_CLIENT_S):
            raise Violation("a docker command does not end")

    def attached(self, choice: int) -> Attached:
        """One of the attached clients, selected by `choice`."""
        names = sorted(self._attached)
        return self._attached[names[choice % len(names)]]

    # -- what comes and goes --------------------------------------------------------------------------------------
    def _run_commands(self) -> None:
        while not self._over.is_set():
            self._idle.set()
            self._may_run.wait(1)
            if not self._may_run.is_set() or self._over.is_set():
                continue
            self._idle.clear()
            self._number += 1
            name = f"guest-{self._number}"
            with self.ledger.changing("volumes", name, exists=True) as made:
                if self._docker("volume", "create", name):
                    made()
            if not self._may_run.is_set():
                continue
            with self.ledger.changing("containers", name, exists=True) as made:
                if self._docker("run", "-d", "--name", name, "-v", f"{name}:/x", BUSYBOX, "sleep", "1000000"):
                    made()
            if not self._may_run.is_set():
                continue
            tag = f"tag:{self._number}"
            with self.ledger.changing("images", tag, exists=True) as made:
                if self._docker("tag", BUSYBOX, tag):
                    made()
            self._remove("containers", "rm", "-f")
            self._remove("volumes", "volume", "rm", "-f")
            self._remove("images", "rmi")
            self._over.wait(0.3)

    def _remove(self, kind: str, *command: str) -> None:
        """Remove the oldest objects of a kind when there are enough of them."""
        kept = {"containers": 2, "volumes": 4, "images": 4}[kind]
        made = [name for name in self.ledger.known(kind) if name.startswith(("guest-", "tag:"))]
        for name in made[: max(0, len(made) - kept)][:2]:
            if not self._may_run.is_set():
                return
            with self.ledger.changing(kind, name, exists=False) as gone:
                if self._docker(*command, name):
                    gone()

    def _docker(self, *arguments: str) -> bool:
        """Run a docker command. Returns whether it succeeded; one that does not end is recorded as a failure."""
        try:
            return self._machine.docker(*arguments, check=False, timeout_s=_CLIENT_S).returncode == 0
        except subprocess.TimeoutExpired:
            self._failures.put(f"docker {' '.join(arguments)} did not end within {_CLIENT_S:g} s")
            return False

    # -- going back -----------------------------------------------------------------------------------------------
    def mark(self) -> None:
        """Save the ledger before a checkpoint is taken, while the workload is paused."""
        self._before = (self.ledger.copy(), dict(self.acknowledged))

    def set_marker(self) -> None:
        """Create a volume after the checkpoint: it is missing once the checkpoint is restored."""
        self._machine.docker("volume", "create", _MARKER)

    def recall_if_gone_back(self) -> None:
        """Restore the saved ledger if the machine was restored to the checkpoint."""
        volumes = http.listing(self._socket, "/volumes", timeout_s=60)["Volumes"] or []
        if any(entry["Name"] == _MARKER for entry in volumes):
            self._machine.docker("volume", "rm", _MARKER)
            return
        facts, acknowledged = self._before
        self.ledger.recall(facts)
        self.acknowledged.update(acknowledged)

    # -- what must hold -------------------------------------------------------------------------------------------
    def check(self, *, timeout_s: float) -> None:
        """Raise Violation if acknowledged data or objects are missing, or a client hangs."""
        deadline = time.monotonic() + timeout_s
        self.pause()
        try:
            self._check_writers(deadline)
            if not self._idle.wait(max(1.0, deadline - time.monotonic())):
                raise Violation("a docker command that the fault met does not end")
            if not self._failures.empty():
                raise Violation(self._failures.get())
            self._check_lists(deadline)
            self._check_attached(deadline)
        finally:
            self.attach()

    def _check_writers(self, deadline: float) -> None:
        for name in WRITERS:
            floor = self.acknowledged[name]
            while True:
                done = self._machine.docker("exec", name, "cat", "/v/lines", check=False, timeout_s=_CLIENT_S)
                if done.returncode == 0:
                    break
                if time.monotonic() > deadline:
                    raise Violation(f"{name} does not run again: {done.stderr[-500:]}")
                time.sleep(0.3)
            lines = done.stdout.splitlines()
            if lines and not done.stdout.endswith("\n"):
                lines.pop()  # it is being written
            expected = [str(number) for number in range(1, len(lines) + 1)]
            if lines != expected:
                first = next(at for at, line in enumerate(lines) if line != expected[at])
                raise Violation(f"{name}: line {first + 1} of {len(lines)} is {lines[first][:80]!r}")
            if len(lines) < floor:
                raise Violation(f"{name}: acknowledged {floor} lines, {len(lines)} are there")

    def _check_lists(self, deadline: float) -> None:
        left_s = max(5.0, deadline - time.monotonic())
        containers = http.listing(self._socket, "/containers/json?all=1", timeout_s=left_s)
        self.ledger.compare("containers", {entry["Names"][0].lstrip("/") for entry in containers if entry["Names"]})
        volumes = http.listing(self._socket, "/volumes", timeout_s=left_s)["Volumes"] or []
        self.ledger.compare("volumes", {entry["Name"] for entry in volumes})
        images = http.listing(self._socket, "/images/json", timeout_s=left_s)
        self.ledger.compare("images", {tag for entry in images for tag in entry["RepoTags"] or ()})

    def _check_attached(self, deadline: float) -> None:
        """Check that each client has ended or prints new lines: writers write, and tags are changed for the events."""
        asked = time.monotonic()
        at = 0
        while waiting := [name for name, one in self._attached.items() if not one.ended and one.last < asked]:
            if "events" in waiting:
                at += 1
                http.ask(self._socket, "POST", f"/images/{BUSYBOX}/tag?repo=probe&tag=probe", timeout_s=30)
                http.ask(self._socket, "DELETE", "/images/probe:probe", timeout_s=30)
            if time.monotonic() > deadline:
                raise Violation(f"these clients neither end nor go on: {', '.join(waiting)}")
            time.sleep(0.3)

    def close(self) -> None:
        """End all clients."""
        self._over.set()
        self._may_run.set()
        for client in self._attached.values():
            client.close()
        if self._commands_thread.is_alive():
            self._commands_thread.join(30)
