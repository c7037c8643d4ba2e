"""Output of the command line: progress by step, problems, JSON and the status."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

import msgspec

from backend.cli.streams import takes_unicode
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import Message, message, message_in
from backend.model import MachineNetworks, MachineStatus, Notice, OperationStatus, Phase, StepState
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
                self._line(f"{mark} {say(step.title)}  {seconds(step.elapsed_s or 0)}")
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
            self._stream.write(f"\r\x1b[K… {title}  {seconds(elapsed)}")
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
    # Programs read JSON as UTF-8: on a stream in another encoding other characters than ASCII are escaped.
    json.dump(as_plain(msgspec.to_builtins(value)), sys.stdout, ensure_ascii=not takes_unicode(sys.stdout), indent=2)
    sys.stdout.write("\n")


def as_plain(value: Any) -> Any:
    """Builtin types with every message among them as its English sentence."""
    if isinstance(value, dict):
        if value.keys() == _MESSAGE_FIELDS:
            return str(msgspec.convert(value, type=Message))
        return {name: as_plain(member) for name, member in value.items()}
    return [as_plain(member) for member in value] if isinstance(value, list | tuple) else value


def seconds(value: float) -> str:
    """A duration as text: "1.2 s"."""
    return _("{seconds:.1f} s", seconds=float(value))


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print facts with their labels, which are padded to one width."""
    print("\n".join(_aligned(rows, 0)))


def _aligned(rows: Iterable[tuple[str, str]], least_width: int) -> list[str]:
    known = list(rows)
    width = max([least_width, *(len(label) for label, _text in known)])
    return [f"{label:<{width}}  {text}" for label, text in known]


def describe(status: MachineStatus, *, usage: Sequence[tuple[str, str]] = ()) -> str:
    """The text that `wherry status` prints. `usage`: the lines of `describe_usage`."""
    phase = say(_PHASES[status.phase])
    if status.active_step is not None:
        phase += f": {say(status.active_step.title)}"
    if status.phase is Phase.SUSPENDED:
        phase = _("suspended: its containers continue where they were when it is started or used")
    rows = [(_("machine"), phase)]
    if status.operation is not None:
        step = f": {say(status.operation.step)}" if status.operation.step else ""
        rows.append((_("in progress"), f"{say(status.operation.title)}{step}"))
    if status.accelerator is not None:
        rows.append((_("accelerator"), say(status.accelerator.title)))
        rows.extend(("", _("not {reason}", reason=reason)) for reason in status.accelerator.reasons)
    if status.endpoint is not None:
        url = status.endpoint.url
        rows.append((_("endpoint"), url if status.endpoint.ready else _("{url}  (not ready)", url=url)))
    if status.resources is not None:
        given = status.resources
        text = _(
            "{cpus} CPUs, {memory} MiB memory, {disk} GiB disk",
            cpus=given.cpus,
            memory=given.memory_mib,
            disk=given.disk_gib,
        )
        rows.append((_("resources"), text))
    if status.networks is not None:
        rows.append((_("networks"), _networks(status.networks)))
    rows.extend(usage)
    if status.engine_version is not None:
        rows.append((_("engine"), f"Docker {status.engine_version}"))
    if status.image_offer is not None:
        offer = str(status.image_offer)
        rows.append((_("update"), _("guest image {version}; install it with: wherry update", version=offer)))
    if status.boot_seconds is not None:
        rows.append((_("last start"), seconds(status.boot_seconds)))
    lines = _aligned(rows, 11)
    for problem in status.problems:
        lines += ["", problem_text(problem)]
    return "\n".join(lines)


def _networks(networks: MachineNetworks) -> str:
    user = str(networks.user)
    if not networks.bridge:
        return _("{network} to this computer", network=user)
    bridge = ", ".join(str(network) for network in networks.bridge)
    return _("{network} to this computer, {bridge} for containers", network=user, bridge=bridge)


_PHASES: Final = {
    Phase.STOPPED: message_in("phase of the machine", "stopped"),
    Phase.PREPARING: message_in("phase of the machine", "preparing"),
    Phase.BOOTING: message_in("phase of the machine", "booting"),
    Phase.CONNECTING: message_in("phase of the machine", "connecting"),
    Phase.RUNNING: message_in("phase of the machine", "running"),
    Phase.DEGRADED: message_in("phase of the machine", "degraded"),
    Phase.STOPPING: message_in("phase of the machine", "stopping"),
    Phase.SUSPENDED: message_in("phase of the machine", "suspended"),
    Phase.FAILED: message_in("phase of the machine", "failed"),
}
