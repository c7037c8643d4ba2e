"""A machine with the fake QEMU. Fast enough for hundreds of faults per minute, to find races of agent and clients."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from pathlib import Path

from backend.model import Phase
from tests.agent.machine import make_image
from tests.fakes import qemu
from tests.faults import http
from tests.faults.plan import Fault, Kind, Stage
from tests.faults.target import Target, Violation

_AWAY_S = 0.1
_ANSWER_S = 15.0
"""Longest wait of a docker client on this machine."""
_STAGES = frozenset({Stage.START, Stage.RUNNING, Stage.STOP, Stage.RESTART, Stage.SUSPEND, Stage.RESUME})
"""Without checkpoints and updates: the fake guest has no file system."""
_GATES = {
    Kind.DOCKERD_KILL: "engine_away",
    Kind.DOCKERD_STOP: "engine_hang",
    Kind.SSH_CUT: "ssh_cut",
    Kind.SSHD_KILL: "ssh_cut",
}


class FakeTarget(Target):
    """The workload is a client that stores lines in the engine, and one that reads its events."""

    kinds = frozenset(
        {
            Kind.AGENT_KILL,
            Kind.AGENT_STOP,
            Kind.QEMU_KILL,
            Kind.QEMU_STOP,
            Kind.BOTH_KILL,
            Kind.VERB_KILL,
            Kind.VERB_STOP,
            *_GATES,
        }
    )
    recovery_s = 30.0
    command_s = 60.0
    settled_s = 0.3
    degraded_s = 15.0
    hold = 0.2

    def __init__(self, base: Path) -> None:
        self._tools = base / "tools"
        super().__init__(base / "home")
        self._over = threading.Event()
        self._acknowledged: list[int] = []
        self._waits: dict[str, float] = {}
        """By client: since when it waits for an answer."""
        self._clients = [
            threading.Thread(target=self._write_lines, daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]

    def set_up(self) -> None:
        """See Target."""
        self.paths.create()
        image = make_image(self._tools / "image")
        binary = qemu.install(self._tools / "bin")
        self.paths.config.write_text(
            'version = 1\n[machine]\naccelerator = "tcg"\nstart_on_demand = false\n'
            f'[qemu]\nbinary = "{binary}"\n[image]\ndirectory = "{image}"\n[docker]\ncontext = false\n',
            encoding="utf-8",
        )
        cues = {gate: str(self._gate(gate)) for gate in set(_GATES.values())}
        (self.paths.machine / qemu.CUES).write_text(json.dumps(cues), encoding="utf-8")
        self.bring_to(Phase.RUNNING)
        self.lengths[Stage.STOP] = 0.7 * self.lengths[Stage.START]
        self.lengths[Stage.RUNNING] = 0.3
        self.lengths[Stage.RESTART] = self.lengths[Stage.START] + self.lengths[Stage.STOP]
        for client in self._clients:
            client.start()

    def features(self) -> frozenset[Stage]:
        """See Target."""
        return super().features() & _STAGES

    def inject_other(self, fault: Fault) -> bool:
        """See Target."""
        if fault.kind not in _GATES or not self.machines():
            return False
        gate = self._gate(_GATES[fault.kind])
        gate.touch()
        if fault.kind is not Kind.DOCKERD_STOP:
            time.sleep(_AWAY_S)
            gate.unlink()
        return True

    def release(self) -> None:
        """See Target."""
        super().release()
        for gate in _GATES.values():
            self._gate(gate).unlink(missing_ok=True)

    def _gate(self, name: str) -> Path:
        return self.paths.machine / f"gate-{name}"

    def pause(self) -> None:
        """See Target. Lines are kept beside the disk: no checkpoint has them."""

    def note_before(self, fault: Fault) -> None:
        """See Target."""

    def note_end(self, fault: Fault, came: float) -> None:
        """See Target."""

    # -- the workload ---------------------------------------------------------------------------------------------
    def _write_lines(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            self._waits["the writer"] = time.monotonic()
            with contextlib.suppress(OSError):
                if self._ask(f"/lines/{number}"):
                    self._acknowledged.append(number)
            self._waits.pop("the writer", None)
            self._over.wait(0.03)

    def _ask(self, target: str) -> bool:
        try:
            return http.ask(self.paths.docker_socket, "POST", target, timeout_s=_ANSWER_S)[0] == 200
        except TimeoutError:
            self._waits["a docker client that gave up"] = time.monotonic() - _ANSWER_S
            return False

    def _listen(self) -> None:
        """Read events, like `docker events`, and reconnect when the connection ends."""
        while not self._over.is_set():
            with contextlib.suppress(OSError), http.stream(self.paths.docker_socket, "/events", timeout_s=1.0) as body:
                while not self._over.is_set():
                    self._waits["the listener"] = time.monotonic()
                    try:
                        if not body.readline():
                            break
                    except TimeoutError:
                        break
            self._waits.pop("the listener", None)
            self._over.wait(0.05)

    def check_running(self, fault: Fault) -> None:
        """See Target."""
        before = len(self._acknowledged)
        deadline = time.monotonic() + _ANSWER_S
        while len(self._acknowledged) < before + 2:
            if time.monotonic() > deadline:
                raise Violation("the engine acknowledges no more lines")
            time.sleep(0.01)
        for who, since in tuple(self._waits.items()):
            if time.monotonic() - since > _ANSWER_S:
                self._waits.pop(who, None)
                raise Violation(f"{who} has waited for {time.monotonic() - since:.0f} s")
        kept = [int(line) for line in (self.paths.machine / qemu.LINES).read_text(encoding="ascii").split()]
        if kept != sorted(set(kept)):
            raise Violation("lines were kept twice, or in another order")
        lost = set(self._acknowledged[: before + 2]) - set(kept)
        if lost:
            raise Violation(f"acknowledged lines are lost: {sorted(lost)[:20]}")

    def stage_command(self, fault: Fault) -> tuple[str, ...] | None:
        """See Target."""
        return None if fault.stage is Stage.RUNNING else super().stage_command(fault)

    def close(self) -> None:
        """See Target."""
        self._over.set()
        self.end_processes()
        for client in self._clients:
            if client.is_alive():
                client.join(_ANSWER_S + 5)
        if self.paths.run.parent != self.home:
            shutil.rmtree(self.paths.run, ignore_errors=True)
