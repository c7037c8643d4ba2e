"""State of the settings in the window, as the agent last reported it. Values are replaced, never modified."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from msgspec import structs
from PySide6.QtCore import QObject, Signal

from app.ui.safe_text import clean_line
from backend.api import DaemonFinding, Phase, Problem, ProblemCode, Request, clean_text, cleaned, messages


class Topic(StrEnum):
    """Subject of a request. A failed request's problem is shown until a request with the same subject succeeds."""

    MACHINE = "machine"  # config.toml
    ENGINE = "engine"  # daemon.json
    CONTEXT = "context"
    AUTOSTART = "autostart"
    LOGS = "logs"


_TOPICS: Final[dict[type[Request[Any]], Topic]] = {
    messages.GetSettings: Topic.MACHINE,
    messages.SetSettings: Topic.MACHINE,
    messages.GetDaemonFile: Topic.ENGINE,
    messages.SetDaemonFile: Topic.ENGINE,
    messages.GetContext: Topic.CONTEXT,
    messages.InstallContext: Topic.CONTEXT,
    messages.SelectContext: Topic.CONTEXT,
    messages.RemoveContext: Topic.CONTEXT,
    messages.GetAutostart: Topic.AUTOSTART,
    messages.SetAutostart: Topic.AUTOSTART,
    messages.ReadLog: Topic.LOGS,
}
REQUESTS: Final = tuple(_TOPICS)
"""Requests that views may send through `Intents.request_agent`; replies and problems arrive in `take`."""
_NOTE_LIMIT: Final = 400
_FINDING_LIMIT: Final = 900


class SettingsStore(QObject):
    """Written by the wiring, read by views. Each value has a signal that is emitted when it changes."""

    machine_changed = Signal()
    daemon_changed = Signal()
    context_changed = Signal()
    autostart_changed = Signal()
    console_changed = Signal()
    first_run_changed = Signal()
    problem_changed = Signal(object)  # Topic

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.machine: messages.SettingsReply | None = None
        self.daemon: messages.DaemonFileSaved | None = None
        """The saved daemon.json; if `saved` is false, a text that was rejected, with its errors."""
        self.context: messages.ContextState | None = None
        self.autostart: bool | None = None
        """Whether the window starts at login; None while unknown."""
        self.console = ""
        """The last lines of the guest's serial console, sanitized."""
        self.first_run = False
        """Whether this machine never ran before. The first-run page then replaces the lists."""
        self._problems: dict[Topic, Problem] = {}

    def problem(self, topic: Topic) -> Problem | None:
        """Why the last request with this topic failed; None if it succeeded."""
        return self._problems.get(topic)

    def config_problem(self, keys: Collection[str]) -> Problem | None:
        """Why reading or changing settings failed; None if the failure names only settings outside `keys`."""
        problem = self.problem(Topic.MACHINE)
        if problem is None or problem.code is not ProblemCode.BAD_REQUEST or self.machine is None:
            return problem
        named = [key for key in self.machine.values if key in str(problem.summary)]
        return problem if not named or any(key in keys for key in named) else None

    def take(self, request: Request[Any], answer: object) -> None:
        """Store the reply to a request of REQUESTS, or the Problem that it failed with."""
        topic = _TOPICS[type(request)]
        if isinstance(answer, Problem):
            self._problems[topic] = answer
            self.problem_changed.emit(topic)
            return
        # Removed before the views are notified of the reply, so that they do not show the old problem again.
        was_refused = self._problems.pop(topic, None) is not None
        match answer:
            case messages.SettingsReply():
                self._take_machine(answer)
            case messages.DaemonFile():
                self._take_daemon(
                    messages.DaemonFileSaved(findings=answer.findings, valid=answer.valid, text=answer.text)
                )
            case messages.DaemonFileSaved():
                self._take_daemon(answer)
            case messages.ContextState():
                self._take_context(answer)
            case messages.AutostartState():
                self.autostart = answer.on
                self.autostart_changed.emit()
            case messages.LogTail():
                self._take_log(answer)
        if was_refused:
            self.problem_changed.emit(topic)

    def note_phase(self, phase: Phase | None) -> None:
        """End the first run once the machine has reached a running phase."""
        if phase in (Phase.RUNNING, Phase.DEGRADED):
            self._set_first_run(False)

    def _set_first_run(self, first: bool) -> None:
        if first != self.first_run:
            self.first_run = first
            self.first_run_changed.emit()

    def _take_machine(self, untrusted: messages.SettingsReply) -> None:
        path = clean_text(untrusted.disk.path, limit=_NOTE_LIMIT)
        self.machine = structs.replace(untrusted, disk=structs.replace(untrusted.disk, path=path))
        self.machine_changed.emit()
        if not self.machine.disk.exists:
            self._set_first_run(True)

    def _take_daemon(self, untrusted: messages.DaemonFileSaved) -> None:
        findings = tuple(_clean_finding(finding) for finding in untrusted.findings)
        self.daemon = structs.replace(untrusted, findings=findings)
        self.daemon_changed.emit()
        if untrusted.restart_reasons is not None and self.machine is not None:
            self.machine = structs.replace(self.machine, restart_reasons=untrusted.restart_reasons)
            self.machine_changed.emit()

    def _take_context(self, untrusted: messages.ContextState) -> None:
        self.context = structs.replace(
            untrusted,
            current=clean_text(untrusted.current),
            note=untrusted.note and cleaned(untrusted.note, limit=_NOTE_LIMIT),
        )
        self.context_changed.emit()

    def _take_log(self, untrusted: messages.LogTail) -> None:
        lines = (clean_line(line.rstrip("\r").encode("utf-8", "replace")) for line in untrusted.text.split("\n"))
        console = "\n".join("".join(span.text for span in spans) for spans in lines)
        if console != self.console:
            self.console = console
            self.console_changed.emit()


def _clean_finding(untrusted: DaemonFinding) -> DaemonFinding:
    return replace(untrusted, message=cleaned(untrusted.message, limit=_FINDING_LIMIT))
