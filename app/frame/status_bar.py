"""The status bar below every page: the engine's state, the accelerator, and the machine's use of CPU, memory and disk.

The whole bar is one button, so one stop for the Tab key, and opens the Machine page with the details. In a narrow
window the least important parts are hidden first; none is ever truncated.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QLabel, QLayout, QSizePolicy, QWidget

from app.features.stats.store import StatsStore
from app.links.link_state import LinkState
from app.state.machine_actions import operation, operation_short
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import figures, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import StateDot, label
from backend.api import VERSION, MachineStatus, Phase

_SPACING = 18
_MARGIN = 14
_NEARLY_FULL = 0.9
_UP = (Phase.RUNNING, Phase.DEGRADED)
_STARTING = (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING)


class StatusBar(QAbstractButton):
    """Shows figures from the store. A click opens the Machine page."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusbar")
        self._store = store
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("Machine status"))
        self._dot = StateDot(theme.px(9))
        self.engine = label()
        self.accelerator = label()
        self.cpu = label()
        self.memory = label()
        self.disk = label()
        self.update_offer = label()
        self.version = label(_("Wherry {version}", version=VERSION), "muted")
        self._parts = (self.engine, self.accelerator, self.cpu, self.memory, self.disk, self.update_offer, self.version)
        # In the order in which they are hidden when there is no room.
        self._dispensable = (self.version, self.update_offer, self.accelerator, self.disk, self.memory, self.cpu)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(_MARGIN), theme.px(5), theme.px(_MARGIN), theme.px(5))
        row.setSpacing(theme.px(_SPACING))
        row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # `_fit` decides what is shown
        state = QHBoxLayout()
        state.setSpacing(theme.px(6))
        state.addWidget(self._dot)
        state.addWidget(self.engine)
        row.addLayout(state)
        for part in (self.accelerator, self.cpu, self.memory, self.disk):
            row.addWidget(part)
        row.addStretch(1)
        row.addWidget(self.update_offer)
        row.addWidget(self.version)
        self.clicked.connect(lambda _checked=False: store.intents.show_page.emit("machine"))
        store.machine_changed.connect(self.refresh)
        store.engine_changed.connect(self.refresh)
        store.part(StatsStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        self._dot.set_colour(theme.phase_colour(theme.current(), self._store.phase))
        under_way = operation(self._store)
        self.engine.setText(operation_short(under_way) if under_way else _engine_text(self._store))
        machine = self._store.machine
        offered = machine.image_offer if machine is not None and under_way is None else None
        self.update_offer.setText(_("Update {version} available", version=offered) if offered else "")
        self.update_offer.setToolTip(
            tooltip(_("A new guest image is available. See the Machine page.")) if offered else ""
        )
        self._show_accelerator(self._store.machine)
        self._show_figures(self._store.machine)
        texts_shown = [part.text() for part in self._parts if part.text()]
        self.setAccessibleDescription(", ".join([*texts_shown, _("Open the Machine page")]))
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(theme.px(480), self.fontMetrics().height() + theme.px(12))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def _show_accelerator(self, machine: MachineStatus | None) -> None:
        accelerator = machine.accelerator if machine and self._store.phase else None
        if accelerator is None:
            self.accelerator.setText("")
            return
        if accelerator.hardware:
            text, tip, role = say(accelerator.title), _("The machine uses hardware virtualization."), None
        else:
            text, role = _("Software emulation"), "warning"
            tip = "\n".join(
                (
                    _("The machine runs in slow software emulation. Hardware virtualization isn't available because:"),
                    *(say(reason) for reason in accelerator.reasons),
                )
            )
        self.accelerator.setText(text)
        self.accelerator.setToolTip(tooltip(tip))
        _set_role(self.accelerator, role)

    def _show_figures(self, machine: MachineStatus | None) -> None:
        usage = self._store.part(StatsStore).machine if self._store.phase in _UP else None
        if usage is None:
            for part in (self.cpu, self.memory, self.disk):
                part.setText("")
            return
        resources = machine.resources if machine else None
        memory = resources.memory_mib * 1024**2 if resources else usage.memory_total_bytes
        disk = resources.disk_gib * 1024**3 if resources else usage.disk_total_bytes
        self.cpu.setText(_("CPU {value}", value=figures.percent(usage.cpu_percent)))
        self.cpu.setToolTip(tooltip(_("Use of all processors of the machine")))
        for part, text, tip, used, whole in (
            (
                self.memory,
                _("Memory {value}", value=figures.used_of(usage.memory_used_bytes, memory)),
                _("Memory used in the machine, of its limit"),
                usage.memory_used_bytes,
                memory,
            ),
            (
                self.disk,
                _("Disk {value}", value=figures.used_of(usage.disk_used_bytes, disk)),
                _("Disk space used in the machine, of its maximum size"),
                usage.disk_used_bytes,
                disk,
            ),
        ):
            part.setText(text)
            part.setToolTip(tooltip(tip))
            _set_role(part, "warning" if whole and used / whole >= _NEARLY_FULL else None)

    def _fit(self) -> None:
        """Hide the least important parts until the rest fits."""
        wanted = [part for part in self._parts if part.text()]
        spacing = theme.px(_SPACING)
        room = self.width() - 2 * theme.px(_MARGIN) - self._dot.width() - theme.px(6) - spacing

        def needed() -> int:
            return sum(part.sizeHint().width() + spacing for part in wanted)

        for part in self._dispensable:
            if needed() <= room:
                break
            if part in wanted:
                wanted.remove(part)
        for part in self._parts:
            part.setVisible(part in wanted)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_parts"):
            self._dot.set_colour(theme.phase_colour(theme.current(), self._store.phase))
            self._fit()

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(colours.surface if self.underMouse() else colours.window))
        painter.fillRect(0, 0, self.width(), 1, QColor(colours.border))
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))


def _set_role(part: QLabel, role: str | None) -> None:
    if part.property("role") != role:
        part.setProperty("role", role)
        part.style().polish(part)


_ENGINE: Final = {
    Phase.RUNNING: message("Engine running"),
    Phase.DEGRADED: message("Engine running with problems"),
    Phase.STOPPING: message("Engine stopping…"),
    Phase.STOPPED: message("Engine stopped"),
    Phase.SUSPENDED: message("Engine suspended"),
    Phase.FAILED: message("Engine failed to start"),
}
"""Text by phase, for the phases in which the engine is not starting."""


def _engine_text(store: AppStore) -> str:
    """The engine's state as a short text."""
    if store.agent_link is not LinkState.UP:
        return _("Connecting…") if store.machine is None else _("Reconnecting to the agent…")
    phase = store.phase
    if phase in _UP and store.engine_link in (LinkState.RECONNECTING, LinkState.CONNECTING):
        return (
            _("Reconnecting to the engine…") if store.engine_link is LinkState.RECONNECTING else _("Engine starting…")
        )
    if phase in _STARTING:
        return _("Engine starting…")
    return say(_ENGINE[phase]) if phase else _("Connecting…")
