"""Runs faults of a plan: injects each, waits for the recovery, checks the invariants and records the outcome."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TextIO

from backend.errors import Action, WherryError
from backend.model import Desired, MachineStatus, Phase
from tests.faults import http
from tests.faults.plan import CRASHES, FREEZES, FROM_STOPPED, IN_GUEST, LEADS_TO_STOPPED, Fault, Kind, Stage
from tests.faults.target import Command, Target, Violation, describe

_STOPS = frozenset(
    {Kind.AGENT_STOP, Kind.QEMU_STOP, Kind.VERB_STOP, Kind.CLIENT_STOP, Kind.SSHD_STOP, Kind.DOCKERD_STOP}
)
_COMMAND_KILLED = frozenset({Kind.VERB_KILL})
_POLL_S = 0.05
_LASTING_S = 1.5
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one fault."""

    fault: Fault
    how: str
    """How it recovered: "itself", "again" (the command was run again), "action" (of the Problem), or "failed"."""
    hit: bool
    """Whether there was a process to hit."""
    seconds: float
    """Duration of the recovery in seconds, from the fault (or from SIGCONT)."""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            **self.fault.as_dict(), "how": self.how, "hit": self.hit, "seconds": round(self.seconds, 3),
            "note": self.note,
        }  # fmt: skip


def perform(target: Target, fault: Fault) -> Outcome:
    """Inject a fault and return its outcome. Failures are part of the outcome; no exception is raised."""
    attempt = _Attempt(target, fault)
    try:
        attempt.inject()
        attempt.settle()
        attempt.check()
    except (AssertionError, WherryError, OSError, ValueError) as error:
        said = error.problem.as_text() if isinstance(error, WherryError) else f"{type(error).__name__}: {error}"
        return Outcome(
            fault=fault, how="failed", hit=attempt.hit, seconds=time.monotonic() - attempt.began, note=said[:4000]
        )  # fmt: skip
    finally:
        target.release()
        attempt.end()
    seconds = max(0.0, attempt.reached - attempt.began)
    return Outcome(fault=fault, how=attempt.how, hit=attempt.hit, seconds=seconds, note=attempt.note)


class _Attempt:
    def __init__(self, target: Target, fault: Fault) -> None:
        self.how = "itself"
        self.hit = False
        self.note = ""
        self._target = target
        self._fault = fault
        self.began = time.monotonic()
        """Time of the fault, or of SIGCONT."""
        self.reached = 0.0
        """Time of the recovery; 0: not recovered."""
        self._armed = False
        self._deaths = 0
        self._command: Command | None = None
        self._code: int | None = 0
        goal = {Phase.RUNNING}
        if fault.stage is Stage.SUSPEND:
            goal = {Phase.SUSPENDED, Phase.STOPPED}
        elif fault.stage is Stage.STOP:
            goal = {Phase.STOPPED}
        self._goal = frozenset(goal)

    def inject(self) -> None:
        target, fault = self._target, self._fault
        before = Phase.RUNNING
        if fault.stage in FROM_STOPPED:
            before = Phase.STOPPED if fault.stage is Stage.START else Phase.SUSPENDED
        target.bring_to(before)
        if fault.stage is Stage.RESTORE:
            target.pause()
            self._target.checkpoint = target.take_checkpoint()
        target.note_before(fault)
        delay_s = fault.moment * target.lengths.get(fault.stage, 1.0)
        self._deaths = target.deaths()
        self._armed = fault.kind in IN_GUEST and target.arm(fault, delay_s)
        self._command = target.begin_stage(fault)
        time.sleep(delay_s)
        self.began = time.monotonic()
        self.hit = self._armed or target.inject(fault, self._command)
        if fault.kind in _STOPS:
            time.sleep(fault.hold_s * target.hold)
            target.release()
            self.began = time.monotonic()

    def settle(self) -> None:
        """Wait for the recovery, and act like a user when it is needed. Raises Violation."""
        target, fault = self._target, self._fault
        deadline = time.monotonic() + target.recovery_s
        if self._command is not None:
            self._code = self._command.finish(target.command_s)
            if self._code is None:
                raise Violation(f"{self._command.argv[3:]} did not end within {target.command_s:g} s")
            if "Traceback" in self._command.said:
                raise Violation(f"{self._command.argv[3:]} broke: {self._command.said}")
            if fault.kind in _STOPS:
                deadline = time.monotonic() + target.recovery_s
        stuck_since: float | None = None
        last = "no agent answered"
        while time.monotonic() < deadline:
            try:
                status = target.status()
            except WherryError as error:
                last = str(error.problem.summary)
                time.sleep(_POLL_S)
                continue
            last = describe(status)
            if self._is_good(status):
                self.reached = self.reached or time.monotonic()
                # A fault scheduled in the guest may come later: the good state must last.
                if not self._armed or time.monotonic() - self.reached > _LASTING_S:
                    return
            else:
                self.reached = 0.0
            if self.reached or not self._is_stuck(status):
                stuck_since = None
            else:
                stuck_since = stuck_since or time.monotonic()
                if time.monotonic() - stuck_since > self._patience_s(status):
                    stuck_since = None
                    self._act_as_user(status)
                    deadline = time.monotonic() + target.recovery_s
            time.sleep(_POLL_S)
        raise Violation(f"not as it should be within {target.recovery_s:g} s: {last}{self._command_result()}")

    def _is_good(self, status: MachineStatus) -> bool:
        if status.phase not in self._goal or status.operation is not None:
            return False
        if self._fault.stage in LEADS_TO_STOPPED:
            return True
        return http.answers(self._target.paths.docker_socket, timeout_s=_ANSWER_S)

    def _is_stuck(self, status: MachineStatus) -> bool:
        """Whether the state will not change without an action."""
        if status.operation is not None or not status.phase.is_settled:
            return False
        return status.phase not in self._goal or bool(status.problems)

    def _patience_s(self, status: MachineStatus) -> float:
        """Seconds for which a user watches an unchanging state before acting."""
        # The next agent recovers an interrupted restore or update, and stops and starts the machine for that.
        long = self._fault.stage in (Stage.RESTORE, Stage.UPDATE)
        mends_itself = long or status.phase in (*self._goal, Phase.DEGRADED)
        return self._target.degraded_s if mends_itself else self._target.settled_s

    def _act_as_user(self, status: MachineStatus) -> None:
        """Take the action of the Problem, or run the interrupted command again. Raises Violation."""
        target, fault = self._target, self._fault
        if status.problems:
            action = next((problem.action for problem in status.problems if problem.action is not None), None)
            if action is None or self.how == "action":
                raise Violation(f"{describe(status)}: nothing is offered that helps{self._command_result()}")
            self._run_action(action)
            return
        lost = self._command is not None and (self._code != 0 or fault.kind in _COMMAND_KILLED)
        if not lost or self.how != "itself":
            raise Violation(f"it stays {describe(status)} (wanted: {sorted(self._goal)}){self._command_result()}")
        arguments = target.stage_command(fault)
        assert arguments is not None
        code, said = target.wherry(*arguments)
        self.how, self.note = "again", " ".join(arguments)
        if code != 0:
            raise Violation(f"wherry {' '.join(arguments)}, run again, ended with {code}: {said[-2000:]}")

    def _run_action(self, action: Action) -> None:
        arguments = action.command.split()[1:]
        code, said = self._target.wherry(*arguments)
        self.how, self.note = "action", action.command
        if code != 0:
            raise Violation(f"{action.command} ended with {code}: {said[-2000:]}")

    def _command_result(self) -> str:
        if self._command is None:
            return ""
        return f"; the command ended with {self._code}: {self._command.said[-600:]}"

    def check(self) -> None:
        """Check all invariants. Raises Violation."""
        target = self._target
        if self._fault.kind in FREEZES:
            target.release()
        target.note_end(self._fault, self.began)
        # A QEMU that only reads the saved state has no guest yet: the next agent ends it and reads the state again.
        is_reading = self._fault.stage is Stage.RESUME and self._fault.kind is Kind.AGENT_KILL
        if target.deaths() > self._deaths and self._fault.kind not in CRASHES and not is_reading:
            raise Violation("QEMU ended though nothing was done to it; see the agent's log")
        status = target.status()
        wanted = Desired.STOPPED if self._fault.stage in LEADS_TO_STOPPED else Desired.RUNNING
        if status.desired is not wanted:
            raise Violation(f"the machine is {status.phase}, but {status.desired} is wanted")
        target.check_leftovers(status)
        if status.phase is Phase.RUNNING:
            target.check_running(self._fault)
        if self._fault.stage in (Stage.CHECKPOINT, Stage.RESTORE):
            target.check_checkpoints()

    def end(self) -> None:
        """End the command if it still runs."""
        if self._command is not None and self._command.process.poll() is None:
            self._command.process.kill()
            self._command.finish(5)


def perform_all(
    target: Target,
    faults: Iterable[Fault],
    *,
    is_over: Callable[[], bool] = lambda: False,
    artefact: TextIO | None = None,
    head: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Inject the faults one after the other. After a failure the machine is reset by force.

    Args:
        is_over: returns True to end the run before the next fault.
        artefact: file for a line of JSON per fault.
        head: additional fields of these lines: seed, target.
        report: called with a line of text per fault.
    """
    outcomes = []
    for fault in faults:
        if is_over():
            break
        outcome = perform(target, fault)
        outcomes.append(outcome)
        report(
            f"{fault.number:4} {fault.stage.value:10} {fault.kind.value:20} {outcome.how:7}"
            f"{' ' if outcome.hit else '*'}{outcome.seconds:6.2f} s  {outcome.note}"
        )
        line = {**(head or {}), **outcome.as_dict()}
        if outcome.how == "failed":
            line["logs"] = target.logs()
        if artefact is not None:
            artefact.write(json.dumps(line) + "\n")
            artefact.flush()
        if outcome.how == "failed" and not _reset_machine(target):
            report("the machine cannot be brought back: the run ends here")
            break
    return outcomes


def _reset_machine(target: Target) -> bool:
    target.release()
    with contextlib.suppress(Violation, WherryError):
        if target.status().phase in (Phase.RUNNING, Phase.STOPPED, Phase.SUSPENDED):
            return True
    target.end_processes()
    try:
        target.bring_to(Phase.STOPPED)
        target.bring_to(Phase.RUNNING)
    except (Violation, WherryError):
        return False
    return True
