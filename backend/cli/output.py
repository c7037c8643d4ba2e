"""Output of the command line: progress by step, problems, JSON and the status."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final, TextIO

import msgspec

from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import Message, message
from backend.model import MachineStatus, Notice, OperationStatus, Phase, StepState
from backend.texts import _, problem_text, say

_TICK_S: Final = 0.2


_MESSAGE_FIELDS: Final = frozenset({"text", "values", "plural", "context"})


class ProgressPrinter:
    """Prints each step when it is done; on a terminal also the active step with its elapsed time."""

    def __init__(self, *, quiet: bool, steps: bool = True, stream: TextIO | None = None) -> None:
        """
        Args:
            quiet: print nothing.
            steps: print the steps of the start.
            stream: standard error by default, because standard output is for results.
        """
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._steps = steps
        self._live = not quiet and self._stream.isatty()
        self._printed: set[str] = set()
        self._open_line = False
        self._active_since = time.monotonic()
        self._active: object = None
        """Name of the step, or the message of the operation's."""

    def show(self, status: MachineStatus) -> None:
        """Print what is new in a status."""
        if self._quiet:
            return
        for step in status.steps if self._steps else ():
            if step.state is StepState.PENDING or step.state is StepState.ACTIVE:
                self._printed.discard(step.name)  # a step that is repeated is printed again
            elif step.name not in self._printed:
                mark = "✓" if step.state is StepState.DONE else "✗"
                self._line(f"{mark} {say(step.title)}  {step.elapsed_s or 0:.1f} s")
                self._printed.add(step.name)
        if status.operation is not None and status.operation.step:
            self._operation(status.operation)
            return
        active = status.active_step if self._steps else None
        if active is not None:
            if active.name != self._active:
                self._active_since = active.began_at or time.monotonic()
            self._active = active.name
            self._tick(say(active.title))
        elif status.phase is Phase.STOPPING:
            self._tick(_("Stopping the machine"))

    def _operation(self, operation: OperationStatus) -> None:
        step = say(operation.step) if operation.step is not None else ""
        if operation.step != self._active:
            self._active, self._active_since = operation.step, time.monotonic()
            if not self._live:
                self._line(f"… {step}")
        done = "" if operation.fraction is None else f"  {operation.fraction:.0%}"
        self._tick(f"{step}{done}")

    def note(self, notice: Notice) -> None:
        """Print a notice."""
        if not self._quiet:
            self._line(say(notice.text) if notice.level == "info" else f"! {say(notice.text)}")

    def close(self) -> None:
        """Erase the line of the active step."""
        if self._open_line:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open_line = False

    def _tick(self, title: str) -> None:
        if self._live:
            elapsed = time.monotonic() - self._active_since
            self._stream.write(f"\r\x1b[K… {title}  {elapsed:.1f} s")
            self._stream.flush()
            self._open_line = True

    def _line(self, text: str) -> None:
        self.close()
        self._stream.write(text + "\n")
        self._stream.flush()


def stopped() -> WherryError:
    """The error of commands that need a running machine."""
    return fail(
        ProblemCode.MACHINE_STOPPED, message("The machine is stopped."), hint=message("Start it with: wherry start")
    )


def print_problem(problem: Problem, *, as_json: bool) -> None:
    """Print a problem as text to standard error, or as {"problem": {...}} to standard output."""
    if as_json:
        print_json({"problem": msgspec.to_builtins(problem)})
    else:
        sys.stderr.write(problem_text(problem) + "\n")


def print_json(value: Any) -> None:
    """Print a struct, list or dictionary as JSON to standard output. Messages are English, whatever the language is."""
    json.dump(as_plain(msgspec.to_builtins(value)), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def as_plain(value: Any) -> Any:
    """Builtin types with every message among them as its English sentence."""
    if isinstance(value, dict):
        if value.keys() == _MESSAGE_FIELDS:
            return str(msgspec.convert(value, type=Message))
        return {name: as_plain(member) for name, member in value.items()}
    return [as_plain(member) for member in value] if isinstance(value, list | tuple) else value


def describe(status: MachineStatus, *, usage: str | None = None) -> str:
    """The text that `wherry status` prints. `usage`: the lines of `describe_usage`."""
    lines = [f"machine      {status.phase.value}"]
    if status.active_step is not None:
        lines[0] += f": {status.active_step.title}"
    if status.phase is Phase.SUSPENDED:
        lines[0] += ": its containers go on where they were when it is started or used"
    if status.operation is not None:
        step = f": {status.operation.step}" if status.operation.step else ""
        lines.append(f"under way    {status.operation.title}{step}")
    if status.accelerator is not None:
        lines.append(f"accelerator  {status.accelerator.title}")
        lines.extend(f"             not {reason}" for reason in status.accelerator.reasons)
    if status.endpoint is not None:
        lines.append(f"endpoint     {status.endpoint.url}" + ("" if status.endpoint.ready else "  (not ready)"))
    if status.resources is not None:
        given = status.resources
        lines.append(f"given        {given.cpus} CPUs, {given.memory_mib} MiB memory, {given.disk_gib} GiB disk")
    if status.networks is not None:
        bridge = f", {', '.join(status.networks.bridge)} for containers" if status.networks.bridge else ""
        lines.append(f"networks     {status.networks.user} to this computer{bridge}")
    if usage:
        lines.append(usage)
    if status.engine_version is not None:
        lines.append(f"engine       Docker {status.engine_version}")
    if status.image_offer is not None:
        lines.append(f"offer        guest image {status.image_offer}; take it with: wherry update")
    if status.boot_seconds is not None:
        lines.append(f"last start   {status.boot_seconds:.1f} s")
    for problem in status.problems:
        lines.append("")
        lines.append(problem.as_text())
    return "\n".join(lines)
