"""The strip above every page: how the machine is, what it does right now, and the buttons that change it."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from app import texts, theme
from app.safe_text import tooltip
from app.store import AppStore, LinkState
from app.texts import text
from app.widgets import SearchButton, StateDot, button, label
from backend.api import MachineStatus, Phase, StepState

TICK_MS = 200
"""How often the elapsed time of a step is written anew."""
_STARTING = (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING)


class MachineHeader(QFrame):
    """A function of the store."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("header")
        self._store = store
        intents = store.intents
        self._dot = StateDot(theme.px(14))
        self._phase = label("")
        self._phase.setObjectName("phase")
        self._detail = label("", "muted")
        self._detail.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._progress = QProgressBar(textVisible=False)
        self._progress.setAccessibleName(text("machine.steps"))
        self.search = SearchButton(intents.search.emit)
        self.start = button(text("machine.start"), intents.start_machine.emit, "primary", text("machine.start.tip"))
        self.restart = button(text("machine.restart"), intents.restart_machine.emit, None, text("machine.restart.tip"))
        self.stop = button(text("machine.stop"), intents.stop_machine.emit, None, text("machine.stop.tip"))
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._phase)
        words.addWidget(self._detail)
        words.addWidget(self._progress)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        row.setSpacing(10)
        row.addWidget(self._dot)
        row.addLayout(words, 1)
        row.addWidget(self.search)
        row.addSpacing(theme.px(10))
        for widget in (self.start, self.restart, self.stop):
            row.addWidget(widget)
        self.setFixedHeight(theme.px(78))
        self._ticker = QTimer(self, interval=TICK_MS)
        self._ticker.timeout.connect(self._show_detail)
        store.machine_changed.connect(self.refresh)
        store.engine_changed.connect(self.refresh)
        store.settings.first_run_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        store, phase = self._store, self._store.phase
        self._dot.set_colour(theme.phase_colour(theme.current(), phase))
        self._phase.setText(texts.phase(phase))
        starting = phase in _STARTING
        self._progress.setVisible(starting)
        if starting and store.machine is not None:
            done = sum(step.state is StepState.DONE for step in store.machine.steps)
            total = len(store.machine.steps)
            self._progress.setRange(0, total)
            self._progress.setValue(done)
            self._progress.setAccessibleDescription(text("machine.progress", done=done, total=total))
        failed = phase is Phase.FAILED
        self.start.setText(text("machine.start-again") if failed else text("machine.start"))
        self.start.setAccessibleName(self.start.text())
        # The first run has a button of its own, which heeds what was chosen there.
        self.start.setVisible(phase in (None, Phase.STOPPED, Phase.FAILED) and not store.settings.first_run)
        self.start.setEnabled(phase is not None)
        up = phase in (Phase.RUNNING, Phase.DEGRADED)
        self.restart.setVisible(up)
        self.stop.setVisible(up or starting or phase is Phase.STOPPING)
        self.stop.setEnabled(phase is not Phase.STOPPING)
        if phase in _STARTING:
            self._ticker.start()
        else:
            self._ticker.stop()
        self._show_detail()

    def _show_detail(self) -> None:
        words = machine_detail(self._store)
        self._detail.setText(words)
        self._detail.setToolTip(tooltip(words))


def machine_detail(store: AppStore) -> str:
    """One line below the phase's name."""
    machine = store.machine
    if store.agent_link is not LinkState.UP:
        if store.agent_problem is not None and machine is None:
            return store.agent_problem.summary
        return text("machine.detail.unknown" if machine is None else "machine.detail.lost")
    if machine is None:
        return text("machine.detail.unknown")
    match machine.phase:
        case Phase.STOPPED:
            return text("machine.detail.stopped")
        case Phase.STOPPING:
            return text("machine.detail.stopping")
        case Phase.FAILED:
            return machine.problems[0].summary if machine.problems else ""
        case Phase.RUNNING | Phase.DEGRADED:
            return _running_detail(store, machine)
        case _:
            return _step_detail(store, machine)


def _step_detail(store: AppStore, machine: MachineStatus) -> str:
    step = machine.active_step
    if step is None:
        return text("machine.detail.waiting")
    elapsed = (step.elapsed_s or 0.0) + store.machine_age_s
    return text("machine.detail.step", step=texts.step(step), elapsed=texts.seconds(elapsed))


def _running_detail(store: AppStore, machine: MachineStatus) -> str:
    if store.engine_link is LinkState.RECONNECTING:
        return text("machine.detail.engine-reconnecting")
    parts = []
    if machine.phase is Phase.DEGRADED and machine.problems:
        parts.append(machine.problems[0].summary)
    if machine.engine_version:
        parts.append(text("machine.detail.engine", version=machine.engine_version))
    if machine.accelerator is not None:
        parts.append(machine.accelerator.title)
    if machine.boot_seconds is not None:
        parts.append(text("machine.detail.booted", elapsed=texts.seconds(machine.boot_seconds)))
    return " · ".join(parts)
