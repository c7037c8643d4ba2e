"""The header above every page: the machine's state, its current activity, and buttons to start and stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app import texts
from app.features.maintenance.operation import show_fraction
from app.links.link_state import LinkState
from app.state.machine_actions import machine_actions, operation, operation_line, start_label
from app.state.maintenance_store import MaintenanceStore
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, say
from app.ui import icons, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import ElidedLabel, SearchButton, StateDot, button, label
from backend.api import MachineStatus, Phase, StepState, messages

TICK_MS = 200
"""How often the elapsed time of a step is updated."""
_HEIGHT: Final = 78
_HEIGHT_OF_TWO: Final = 126
_LEAST_TEXT: Final = 260
"""Room for the state beside the buttons, with the margins, in pixels at 100 % zoom."""
_STARTING = (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING)


class MachineHeader(QFrame):
    """Shows the machine's state from the store; the buttons emit intents."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("header")
        self._store = store
        intents = store.intents
        self._dot = StateDot(theme.px(14))
        self._phase = label("")
        self._phase.setObjectName("phase")
        self._detail = ElidedLabel(Qt.TextElideMode.ElideRight)
        self._detail.setProperty("role", "muted")
        self._progress = QProgressBar(textVisible=False)
        self._progress.setAccessibleName(_("Startup"))
        self.search = SearchButton(intents.search.emit)
        self.start = button(_("Start"), intents.start_machine.emit, "primary")
        self.suspend = _ActionButton(_("Suspend"), "pause", intents.suspend_machine.emit)
        self.restart = _ActionButton(_("Restart"), "restart", intents.restart_machine.emit)
        self.stop = _ActionButton(_("Stop"), "stop", intents.stop_machine.emit)
        self.cancel = button(_("Cancel"), self._cancel, None, _("Cancel and undo"))
        self._buttons = {"start": self.start, "suspend": self.suspend, "restart": self.restart, "stop": self.stop}
        texts_column = QVBoxLayout()
        texts_column.setSpacing(2)
        texts_column.addWidget(self._phase)
        texts_column.addWidget(self._detail)
        texts_column.addWidget(self._progress)
        left = QHBoxLayout()
        left.setSpacing(10)
        left.addWidget(self._dot)
        left.addLayout(texts_column, 1)
        self._controls = QHBoxLayout()
        self._controls.setSpacing(10)
        self._controls.addWidget(self.search)
        self._controls.addSpacing(theme.px(10))
        self._controls.addStretch(1)
        for widget in (self.cancel, *self._buttons.values()):
            self._controls.addWidget(widget)
        # One row; two where the window is narrow.
        self._rows = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._rows.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        self._rows.setSpacing(10)
        self._rows.addLayout(left, 1)
        self._rows.addLayout(self._controls)
        self.setFixedHeight(theme.px(_HEIGHT))
        self._ticker = QTimer(self, interval=TICK_MS)
        self._ticker.timeout.connect(self._show_detail)
        store.machine_changed.connect(self.refresh)
        store.engine_changed.connect(self.refresh)
        store.part(MaintenanceStore).changed.connect(self.refresh)
        store.part(SettingsStore).first_run_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        phase = self._store.phase
        self._dot.set_colour(theme.phase_colour(theme.current(), phase))
        self._phase.setText(texts.phase(phase))
        self._show_progress()
        self._show_buttons()
        if phase in _STARTING:
            self._ticker.start()
        else:
            self._ticker.stop()
        self._show_detail()

    def _show_progress(self) -> None:
        store, phase = self._store, self._store.phase
        under_way = operation(store)
        self._progress.setVisible(under_way is not None or phase in _STARTING)
        if under_way is not None:
            show_fraction(self._progress, under_way)
        elif phase in _STARTING and store.machine is not None:
            done = sum(step.state is StepState.DONE for step in store.machine.steps)
            total = len(store.machine.steps)
            self._progress.setRange(0, total)
            self._progress.setValue(done)
            self._progress.setAccessibleName(_("Startup"))
            self._progress.setAccessibleDescription(
                _("Startup progress: step {done} of {total}", done=done, total=total)
            )

    def _show_buttons(self) -> None:
        store, phase = self._store, self._store.phase
        offered = {action.name: action for action in machine_actions(store)}
        for name, widget in self._buttons.items():
            action = offered.get(name)
            widget.setVisible(action is not None)
            if action is not None:
                widget.setEnabled(action.enabled)
                widget.setToolTip(tooltip(action.tip))
                widget.setAccessibleDescription(action.tip)
        self.start.setText(start_label(store))
        self.start.setAccessibleName(self.start.text())
        if phase is None:
            self.start.setVisible(True)
            self.start.setEnabled(False)
        # The first-run page has its own button, which applies the settings chosen there.
        if store.part(SettingsStore).first_run:
            self.start.hide()
        if phase is Phase.STOPPING:
            self.stop.setVisible(True)
            self.stop.setEnabled(False)
        under_way = operation(store)
        self.cancel.setVisible(under_way is not None and under_way.cancellable)
        self.cancel.setEnabled(messages.CancelOperation not in store.part(MaintenanceStore).in_flight)
        self._fit()

    def _fit(self) -> None:
        """Use the width: first the buttons lose their labels, then they go below the state."""
        buttons = (self.suspend, self.restart, self.stop)
        room = self.width() - theme.px(_LEAST_TEXT)
        for compact, search_compact in ((False, False), (True, False), (True, True)):
            for widget in buttons:
                widget.set_compact(compact)
            self.search.set_compact(search_compact)
            if self._controls_width <= room:
                break
        in_rows = self._controls_width > room
        direction = QBoxLayout.Direction.TopToBottom if in_rows else QBoxLayout.Direction.LeftToRight
        if direction is not self._rows.direction():
            self._rows.setDirection(direction)
            self._rows.activate()
        self.setFixedHeight(theme.px(_HEIGHT_OF_TWO if in_rows else _HEIGHT))

    @property
    def _controls_width(self) -> int:
        """Width that the search and the shown buttons need. Not the layout's, which is known only later."""
        widgets = [each for each in (self.search, self.cancel, *self._buttons.values()) if not each.isHidden()]
        widths = (max(each.sizeHint().width(), each.minimumWidth()) for each in widgets)
        return sum(widths) + theme.px(10) + self._controls.spacing() * (len(widgets) + 1)

    def _cancel(self) -> None:
        self._store.intents.request_maintenance.emit(messages.CancelOperation())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_ticker"):
            self._dot.set_colour(theme.phase_colour(theme.current(), self._store.phase))

    def _show_detail(self) -> None:
        text = machine_detail(self._store)
        self._detail.set_whole(text)


class _ActionButton(QPushButton):
    """A button with an icon, and a label where there is room for it."""

    def __init__(self, text: str, glyph: str, clicked: Callable[[], object]) -> None:
        super().__init__(text)
        self._text = text
        self._glyph = glyph
        self.setAccessibleName(self._text)
        self.setAutoDefault(True)
        self.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.setIcon(icons.glyph(glyph))
        self.clicked.connect(lambda _checked=False: clicked())

    def set_compact(self, compact: bool) -> None:
        """Show only the icon, or the label too."""
        self.setText("" if compact else self._text)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self.setIcon(icons.glyph(self._glyph))


def machine_detail(store: AppStore) -> str:
    """The line of text below the phase's name."""
    machine = store.machine
    if store.agent_link is not LinkState.UP:
        if store.agent_problem is not None and machine is None:
            return say(store.agent_problem.summary)
        return (
            _("Connecting to the machine…")
            if machine is None
            else _("Lost the connection to the machine's agent. Reconnecting…")
        )
    if machine is None:
        return _("Connecting to the machine…")
    if machine.operation is not None:
        return operation_line(machine.operation)
    match machine.phase:
        case Phase.SUSPENDED:
            return _("Containers pick up where they left off when you resume.")
        case Phase.STOPPED:
            return _("The Docker engine isn't running.")
        case Phase.STOPPING:
            return _("Saving memory to disk…") if store.is_suspending else _("Stopping containers…")
        case Phase.FAILED:
            return say(machine.problems[0].summary) if machine.problems else ""
        case Phase.RUNNING | Phase.DEGRADED:
            return _running_detail(store, machine)
        case _:
            return _step_detail(machine)


def _step_detail(machine: MachineStatus) -> str:
    step = machine.active_step
    if step is None:
        return _("Waiting for the Docker engine…")
    elapsed = step.elapsed_at(time.monotonic()) or 0.0
    return _("{step} · {elapsed}", step=say(step.title), elapsed=texts.seconds(elapsed))


def _running_detail(store: AppStore, machine: MachineStatus) -> str:
    if store.engine_link is LinkState.RECONNECTING:
        return _("The Docker engine isn't responding. Reconnecting…")
    # Problems are shown in the alert bar below.
    parts = []
    if machine.engine_version:
        parts.append(_("Docker {version}", version=machine.engine_version))
    if machine.accelerator is not None:
        parts.append(say(machine.accelerator.title))
    if machine.boot_seconds is not None:
        parts.append(_("started in {elapsed}", elapsed=texts.seconds(machine.boot_seconds)))
    return " · ".join(parts)
