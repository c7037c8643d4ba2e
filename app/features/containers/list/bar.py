"""The bar of a selection: how many are selected, and what can be done with all of them at once."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from app.features.containers.list.actions import ContainerActions
from app.texts import _, ngettext
from app.ui import theme
from app.ui.widgets import IconButton, ScrollingRow, label
from backend.api import Container, ContainerAction

_KINDS: Final = (
    ContainerAction.START,
    ContainerAction.STOP,
    ContainerAction.RESTART,
    ContainerAction.PAUSE,
    ContainerAction.UNPAUSE,
    ContainerAction.REMOVE,
)
LEAST: Final = 2
"""One container has its own buttons in its row."""


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
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(ScrollingRow(controls))
        self.hide()

    def show_selection(self, chosen: list[Container]) -> None:
        """Be there if there is something to do at once; what applies to none of them is left out."""
        self.count.setText(ngettext("{count} selected", "{count} selected", len(chosen)))
        for kind, button in self.buttons.items():
            button.setVisible(button.isEnabled() or kind is ContainerAction.REMOVE)
        self.setVisible(len(chosen) >= LEAST)


def _button(action: QAction) -> QPushButton:
    made = QPushButton(action.icon(), action.text())
    made.setAccessibleName(action.text().replace("&", ""))
    made.setAutoDefault(True)
    made.setEnabled(action.isEnabled())
    made.clicked.connect(action.trigger)
    action.enabledChanged.connect(made.setEnabled)
    action.changed.connect(lambda: made.setIcon(action.icon()))
    return made
