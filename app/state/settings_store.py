"""What the agent has told of the settings: a part of the store that views read. Values are replaced whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from PySide6.QtCore import QObject, Signal

from app.ui.safe_text import clean_line
from backend.api import (
    DaemonFinding,
    FindingSeverity,
    MachineResources,
    Phase,
    Problem,
    ProblemCode,
    clean_text,
)

Value = int | str | bool
REQUESTS: Final = (
    *("config.get", "config.set", "daemon.get", "daemon.set"),
    *("context.get", "context.install", "context.select", "context.remove"),
    *("autostart.get", "autostart.set", "logs.tail"),
)
"""What is asked of the agent on behalf of settings; their answers come here, their problems too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """What this computer has."""

    cpus: int
    memory_mib: int
    disk_free_gib: int
    minimum_memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """config.toml and what belongs to it."""

    values: Mapping[str, Value]
    """By key: "machine.cpus"..."""
    chosen: MachineResources
    """What the values mean: 0 is what Wherry chooses."""
    host: HostLimits
    disk_exists: bool
    disk_gib: int | None
    """Present size of the data disk."""
    disk_path: str = ""
    """Its file."""
    disk_used_bytes: int | None = None
    """What that takes on this computer; None: not told."""
    restart_reasons: tuple[str, ...] = ()
    """Keys (and "daemon") of which a change waits for a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """daemon.json as it is saved, or with what is wrong in a text that was not saved."""

    text: str
    findings: tuple[DaemonFinding, ...] = ()
    saved: bool = True
    asked_dockerd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextState:
    """The docker context."""

    name: str
    exists: bool
    selected: bool
    current: str
    """The one that docker uses."""
    overridden_by: str
    """A variable that goes before it; "" for none."""
    note: str
    """What the last change did."""


class SettingsStore(QObject):
    """Written by the wiring, read by views."""

    machine_changed = Signal()
    daemon_changed = Signal()
    context_changed = Signal()
    autostart_changed = Signal()
    console_changed = Signal()
    first_run_changed = Signal()
    problem_changed = Signal(str)  # the request's kind: "config", "daemon", "context", "autostart", "logs"

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.machine: MachineSettings | None = None
        self.daemon: DaemonSettings | None = None
        self.context: ContextState | None = None
        self.autostart: bool | None = None
        """Whether the window starts at login; None while not known."""
        self.console = ""
        """The guest's serial console, its end. Clean."""
        self.first_run = False
        """Whether this machine was never up: the first run's page is shown in place of the lists."""
        self._problems: dict[str, Problem] = {}

    def problem(self, kind: str) -> Problem | None:
        """Why the last request of a kind was refused, if it was."""
        return self._problems.get(kind)

    def config_problem(self, keys: Collection[str]) -> Problem | None:
        """Why settings could not be read or changed; None for a value of a setting that is not one of `keys`."""
        problem = self.problem("config")
        if problem is None or problem.code is not ProblemCode.BAD_REQUEST or self.machine is None:
            return problem
        named = [key for key in self.machine.values if key in problem.summary]
        return problem if not named or any(key in keys for key in named) else None

    def take(self, name: str, result: dict[str, Any]) -> None:
        """An answer of the agent, to a request of REQUESTS."""
        kind = name.partition(".")[0]
        # Before the views are told of the answer: what was wrong before it is over.
        was_refused = self._problems.pop(kind, None) is not None
        try:
            self._TAKERS[kind](self, result)
        except (KeyError, TypeError, ValueError) as error:
            summary = f"The machine's agent answered {name!r} in a way that this window does not understand: {error!r}."
            self.refuse(name, Problem(code=ProblemCode.AGENT_TOO_OLD, summary=summary, hint="wherry restart --agent"))
            return
        if was_refused:
            self.problem_changed.emit(kind)

    def refuse(self, name: str, problem: Problem) -> None:
        """The agent refused a request of REQUESTS."""
        kind = name.partition(".")[0]
        self._problems[kind] = problem
        self.problem_changed.emit(kind)

    def note_phase(self, phase: Phase | None) -> None:
        """A machine that came up is no first run any more."""
        if phase in (Phase.RUNNING, Phase.DEGRADED):
            self._set_first_run(False)

    def _set_first_run(self, first: bool) -> None:
        if first != self.first_run:
            self.first_run = first
            self.first_run_changed.emit()

    def _take_machine(self, result: dict[str, Any]) -> None:
        disk = result["disk"]
        self.machine = MachineSettings(
            values={str(key): value for key, value in result["values"].items()},
            chosen=MachineResources(**result["chosen"]),
            host=HostLimits(**{name: int(result["host"][name]) for name in HostLimits.__slots__}),
            disk_exists=bool(disk["exists"]),
            disk_gib=None if disk["size_gib"] is None else int(disk["size_gib"]),
            disk_path=clean_text(str(disk.get("path", "")), limit=400),
            disk_used_bytes=None if disk.get("used_bytes") is None else int(disk["used_bytes"]),
            restart_reasons=tuple(map(str, result["restart_reasons"])),
        )
        self.machine_changed.emit()
        if not self.machine.disk_exists:
            self._set_first_run(True)

    def _take_daemon(self, result: dict[str, Any]) -> None:
        self.daemon = DaemonSettings(
            text=str(result["text"]),
            findings=tuple(_finding(entry) for entry in result["findings"]),
            saved=bool(result.get("saved", True)),
            asked_dockerd=bool(result.get("asked_dockerd", False)),
        )
        self.daemon_changed.emit()
        if "restart_reasons" in result and self.machine is not None:
            self.machine = replace(self.machine, restart_reasons=tuple(map(str, result["restart_reasons"])))
            self.machine_changed.emit()

    def _take_context(self, result: dict[str, Any]) -> None:
        self.context = ContextState(
            name=str(result["name"]),
            exists=bool(result["exists"]),
            selected=bool(result["selected"]),
            current=clean_text(str(result["current"])),
            overridden_by=str(result["overridden_by"]),
            note=clean_text(str(result["note"]), limit=400),
        )
        self.context_changed.emit()

    def _take_autostart(self, result: dict[str, Any]) -> None:
        self.autostart = bool(result["on"])
        self.autostart_changed.emit()

    def _take_logs(self, result: dict[str, Any]) -> None:
        untrusted = str(result["text"])
        lines = (clean_line(line.rstrip("\r").encode("utf-8", "replace")) for line in untrusted.split("\n"))
        console = "\n".join("".join(span.text for span in spans) for spans in lines)
        if console != self.console:
            self.console = console
            self.console_changed.emit()

    _TAKERS: Final[dict[str, Callable[[SettingsStore, dict[str, Any]], None]]] = {
        "config": _take_machine,
        "daemon": _take_daemon,
        "context": _take_context,
        "autostart": _take_autostart,
        "logs": _take_logs,
    }


def _finding(entry: dict[str, Any]) -> DaemonFinding:
    return DaemonFinding(
        severity=FindingSeverity(entry["severity"]),
        line=int(entry["line"]),
        column=int(entry["column"]),
        message=clean_text(str(entry["message"]), limit=900),
    )
