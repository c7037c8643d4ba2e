"""The steps of a machine start, each with state, name and time. Used by the Machine page and the first-run page."""

from __future__ import annotations

import time

from PySide6.QtCore import QSize, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import texts
from app.state.store import AppStore
from app.texts import _, say
from app.ui import icons, theme
from app.ui.widgets import Card, label
from backend.api import StepState, StepStatus

_GLYPHS = {
    StepState.PENDING: "circle-outline",
    StepState.ACTIVE: "progress-clock",
    StepState.DONE: "check-circle",
    StepState.FAILED: "alert-circle",
}
_TICK_MS = 200


class StepsCard(Card):
    """Shows the startup steps from the store; the time of the active step is updated continuously."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Startup"))
        self._store = store
        self._rows: list[tuple[QWidget, QLabel, QLabel, QLabel]] = []
        self._none = label(_("The machine hasn't been started yet."), "muted", wrap=True)
        self._total = label("", "muted")
        self._list = QVBoxLayout()
        self._list.setSpacing(7)
        self.body.addWidget(self._none)
        self.body.addLayout(self._list)
        self.body.addWidget(self._total)
        self._ticker = QTimer(self, interval=_TICK_MS)
        self._ticker.timeout.connect(self._show_all)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        machine = self._store.machine
        self._show_all()
        if machine is not None and machine.active_step is not None:
            self._ticker.start()
        else:
            self._ticker.stop()

    def _show_all(self) -> None:
        machine = self._store.machine
        self._show_steps(machine.steps if machine else (), machine.boot_seconds if machine else None)

    def _show_steps(self, steps: tuple[StepStatus, ...], total_s: float | None) -> None:
        self._none.setVisible(not steps)
        self._total.setVisible(total_s is not None)
        if total_s is not None:
            self._total.setText(_("The last start took {elapsed}.", elapsed=texts.seconds(total_s)))
        while len(self._rows) < len(steps):
            self._add_row()
        for number, (row, mark, name, elapsed) in enumerate(self._rows):
            row.setVisible(number < len(steps))
            if number < len(steps):
                self._show_step(steps[number], mark, name, elapsed)

    @staticmethod
    def _show_step(step: StepStatus, mark: QLabel, name: QLabel, elapsed: QLabel) -> None:
        current = theme.current()
        colour = {
            StepState.PENDING: current.stopped,
            StepState.ACTIVE: current.warning,
            StepState.DONE: current.running,
            StepState.FAILED: current.danger,
        }[step.state]
        mark.setPixmap(icons.glyph(_GLYPHS[step.state], colour).pixmap(QSize(theme.px(18), theme.px(18))))
        mark.setAccessibleName(texts.step_state(step.state))
        name.setText(say(step.title))
        name.setEnabled(step.state is not StepState.PENDING)
        seconds = step.elapsed_at(time.monotonic())
        elapsed.setText(texts.seconds(seconds) if seconds is not None else "")

    def _add_row(self) -> None:
        row = QWidget()
        mark, name, time = QLabel(), label("", wrap=True), label("", "muted")
        mark.setFixedSize(theme.px(18), theme.px(18))
        across = QHBoxLayout(row)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(10)
        across.addWidget(mark)
        across.addWidget(name, 1)
        across.addWidget(time)
        self._list.addWidget(row)
        self._rows.append((row, mark, name, time))
