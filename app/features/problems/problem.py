"""The full view of a Problem: summary, command, output, hint, and buttons to solve it and to copy the details."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app import texts
from app.state.machine_actions import refusal
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.ports import PORT_CODES, is_of_ports
from app.ui.safe_text import tooltip
from app.ui.widgets import MONOSPACE, CopyButton, button, label
from backend.api import Action, Phase, Problem, ProblemCode, Request, messages

_TAIL_LINES_SHOWN = 8
WARNINGS: Final = (
    *(ProblemCode.DATA_DISK_FULL, ProblemCode.HOST_DISK_FULL, ProblemCode.MEMORY_LOW),
    *PORT_CODES,
)
"""Problems that are only warnings while the machine runs."""
_ACTIONS: Final = {
    Action.START: (message("Start the machine"), message("Start the machine and the Docker engine")),
    Action.RESTART: (message("Restart the machine"), message("Stop all containers, then restart the machine")),
    Action.FORCE_RESTART: (
        message("Force restart"),
        message("Restart immediately without stopping containers first. The disk stays consistent."),
    ),
    Action.RESTART_ENGINE: (
        message("Restart the Docker engine"),
        message("Restart only the engine; the machine keeps running"),
    ),
    Action.CONTINUE: (message("Continue"), message("Continue running the paused machine")),
    Action.RECLAIM: (
        message("Reclaim space and memory"),
        message("Return unused memory and disk space to this computer"),
    ),
    Action.DOCTOR: (message("Run diagnostics"), message("Check everything the machine needs")),
}
"""Label and tool tip of each action's button."""


def is_warning(problem: Problem, phase: Phase | None) -> bool:
    """Whether a problem is only a warning in this phase."""
    return problem.code in WARNINGS and phase in (Phase.RUNNING, Phase.DEGRADED)


def action_label(action: Action) -> str:
    """Label of the button for an action."""
    return say(_ACTIONS[action][0])


def related_pages(store: AppStore, problem: Problem) -> list[tuple[str, Callable[[], object]]]:
    """Buttons to pages with more about a problem: label, and what a click does."""
    if is_of_ports(problem):
        return [(_("Show ports"), partial(store.intents.show_page.emit, "ports"))]
    if problem.code is ProblemCode.NETWORK_FAILED:
        return [(_("Check network…"), partial(store.intents.check_network.emit, ""))]
    return []


_REQUESTS: Final[dict[Action, type[Request[Any]]]] = {
    Action.RESTART_ENGINE: messages.RestartEngine,
    Action.RECLAIM: messages.Reclaim,
}
"""Requests of actions that take time; the button is disabled until the reply."""


class ActionButton(QPushButton):
    """Runs an action that a problem offers. Disabled while it is not available; the tool tip says why."""

    def __init__(self, store: AppStore, action: Action, role: str | None = None) -> None:
        super().__init__(action_label(action))
        self._store = store
        self._action = action
        self._requested = False
        self.setAccessibleName(self.text())
        self.setAutoDefault(True)
        if role:
            self.setProperty("role", role)
        self.clicked.connect(lambda _checked=False: self._request())
        store.machine_changed.connect(self._on_machine)
        store.part(MaintenanceStore).changed.connect(self._enable)
        store.problem_changed.connect(self._on_machine)
        self._enable()

    def _request(self) -> None:
        # Until the machine's status shows the effect, so that a second click does not repeat the request.
        self._requested = self._action is not Action.DOCTOR
        self._enable()
        self._store.intents.act_on_problem.emit(self._action)

    def _on_machine(self) -> None:
        self._requested = False
        self._enable()

    def _enable(self) -> None:
        reason = "" if self._action is Action.DOCTOR else refusal(self._store)
        request = _REQUESTS.get(self._action)
        is_pending = request in self._store.part(MaintenanceStore).in_flight
        self.setEnabled(not reason and not is_pending and not self._requested)
        self.setToolTip(tooltip(reason or say(_ACTIONS[self._action][1])))


class ProblemView(QFrame):
    """Shows one problem. Hidden while there is none."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("problem")
        self._store = store
        self._problem: Problem | None = None
        self._warns = False
        self._title = label("", "danger", wrap=True)
        self._summary = label("", wrap=True, selectable=True)
        self._ran_heading = label(_("Command"), "muted")
        self._ran = label("", "code", wrap=True, selectable=True)
        self._output_heading = label(_("Output"), "muted")
        self._output = QPlainTextEdit(readOnly=True)
        self._output.setProperty("role", "code")
        self._output.setAccessibleName(_("Output"))
        self._output.setTabChangesFocus(True)
        self._output.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._output.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for widget in (self._ran, self._output):
            font = widget.font()
            font.setFamilies(MONOSPACE)
            widget.setFont(font)
        self._hint_heading = label(_("What to do"), "muted")
        self._hint = label("", wrap=True, selectable=True)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(theme.px(8))
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(16), theme.px(14), theme.px(16), theme.px(14))
        column.setSpacing(theme.px(6))
        for item in (
            *(self._title, self._summary, self._hint_heading, self._hint),
            *(self._ran_heading, self._ran, self._output_heading, self._output),
        ):
            column.addWidget(item)
        column.addSpacing(theme.px(4))
        column.addLayout(self._buttons)
        self.hide()

    @property
    def problem(self) -> Problem | None:
        """The problem that is shown."""
        return self._problem

    def show_problem(self, problem: Problem | None, actions: Sequence[tuple[str, Callable[[], object]]] = ()) -> None:
        """Show `problem` with buttons for `actions` (label, callback), the main one first; None hides the view."""
        warns = problem is not None and is_warning(problem, self._store.phase)
        if (problem, warns) == (self._problem, self._warns):
            return
        self._problem, self._warns = problem, warns
        self.setVisible(problem is not None)
        if problem is None:
            return
        for widget, name, value in (
            (self, "level", "warning" if warns else "error"),
            (self._title, "role", "warning-title" if warns else "danger"),
        ):
            widget.setProperty(name, value)
            widget.style().polish(widget)
        title = texts.problem_title(problem.code)
        self.setAccessibleName(_("Problem: {title}", title=title))
        self._title.setText(title)
        self._summary.setText(say(problem.summary))
        self._fill(self._ran_heading, self._ran, problem.command)
        self._fill(self._hint_heading, self._hint, say(problem.hint) if problem.hint is not None else None)
        self._output_heading.setVisible(bool(problem.tail))
        self._output.setVisible(bool(problem.tail))
        self._output.setPlainText("\n".join(problem.tail))
        lines = min(max(len(problem.tail), 1), _TAIL_LINES_SHOWN)
        self._output.setFixedHeight(self._output.fontMetrics().lineSpacing() * lines + theme.px(40))
        self._output.verticalScrollBar().setValue(self._output.verticalScrollBar().maximum())
        self._fill_buttons(problem, actions)

    @staticmethod
    def _fill(heading: QWidget, body: QLabel, text: str | None) -> None:
        heading.setVisible(bool(text))
        body.setVisible(bool(text))
        body.setText(text or "")

    def _fill_buttons(self, problem: Problem, actions: Sequence[tuple[str, Callable[[], object]]]) -> None:
        while (item := self._buttons.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        offered = problem.action
        if offered is not None:
            self._buttons.addWidget(ActionButton(self._store, offered, "primary"))
        for number, (text, clicked) in enumerate([*actions, *related_pages(self._store, problem)]):
            self._buttons.addWidget(button(text, clicked, "primary" if number == 0 and offered is None else None))
        self._buttons.addWidget(CopyButton(problem.as_text, _("Copy details")))
        self._buttons.addStretch(1)
        self._buttons.setAlignment(Qt.AlignmentFlag.AlignLeft)
