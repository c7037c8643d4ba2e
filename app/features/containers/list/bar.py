"""The selection bar: the number of selected containers, and buttons to act on all of them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from app.features.containers.actions.actions import ContainerActions
from app.texts import _, ngettext
from app.ui import theme
from app.ui.safe_text import tooltip
from app.ui.widgets import IconButton, ScrollingRow, label
from backend.api import Container, ContainerAction

_KINDS: Final = (
    ContainerAction.START,
    ContainerAction.STOP,
    ContainerAction.RESTART,
    ContainerAction.PAUSE,
    ContainerAction.UNPAUSE,
    ContainerAction.KILL,
    ContainerAction.REMOVE,
)
_RARE: Final = (ContainerAction.PAUSE, ContainerAction.UNPAUSE, ContainerAction.KILL)
_NARROW: Final = 860
LEAST: Final = 2
"""Least number of selected containers; a single one has buttons in its row."""


class SelectionBar(QFrame):
    """Hidden while fewer than `LEAST` containers are selected."""

    cleared = Signal()

    def __init__(self, actions: ContainerActions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("selection")
        self.count = label("", "heading")
        self.buttons = {kind: _button(actions.by_kind[kind]) for kind in _KINDS}
        self.buttons[ContainerAction.REMOVE].setProperty("role", "danger")
        clear = IconButton("close", _("Clear selection"), "Esc")
        clear.clicked.connect(self.cleared)
        controls = QWidget()
        row = QHBoxLayout(controls)
        row.setContentsMargins(theme.px(14), theme.px(6), theme.px(8), theme.px(6))
        row.setSpacing(theme.px(6))
        row.addWidget(self.count)
        row.addSpacing(theme.px(10))
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(clear)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(ScrollingRow(controls))
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # Remove stays on the screen: the rarer actions before it lose their labels, which their tool tips have.
        compact = self.width() < theme.px(_NARROW)
        for kind in _RARE:
            button = self.buttons[kind]
            text = button.accessibleName()
            button.setText("" if compact else text)
            button.setToolTip(tooltip(text if compact else ""))

    def show_selection(self, chosen: list[Container]) -> None:
        """Show the bar for a selection. Buttons stay in their places: those that do not apply are disabled."""
        self.count.setText(ngettext("{count} selected", "{count} selected", len(chosen)))
        self.setVisible(len(chosen) >= LEAST)


def _button(action: QAction) -> QPushButton:
    widget = QPushButton(action.icon(), action.text())
    widget.setAccessibleName(action.text().replace("&", ""))
    widget.setAutoDefault(True)
    widget.setEnabled(action.isEnabled())
    widget.clicked.connect(action.trigger)
    action.enabledChanged.connect(widget.setEnabled)
    action.changed.connect(lambda: widget.setIcon(action.icon()))
    return widget
