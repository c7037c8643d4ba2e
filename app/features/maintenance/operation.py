"""A card for the machine's running operation: title, step, progress, and a button to cancel it where possible."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.state.machine_actions import operation, operation_line, operation_title
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from app.texts import _, say
from app.ui import theme
from app.ui.widgets import button, label
from backend.api import OperationStatus, messages


class OperationCard(QFrame):
    """Shows the running operation from the store. Hidden while there is none."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self._store = store
        self.title = label("", "heading", wrap=True)
        self.step = label("", "muted", wrap=True)
        self.percent = label("", "muted")
        self.bar = QProgressBar(textVisible=False)
        self.cancel = button(
            _("Cancel"),
            lambda: store.intents.request_maintenance.emit(messages.CancelOperation()),
            None,
            _("Cancel and undo"),
        )
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.cancel)
        below = QHBoxLayout()
        below.addWidget(self.step, 1)
        below.addWidget(self.percent)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(16), theme.px(14), theme.px(16), theme.px(14))
        column.setSpacing(theme.px(8))
        column.addLayout(head)
        column.addWidget(self.bar)
        column.addLayout(below)
        store.machine_changed.connect(self.refresh)
        store.part(MaintenanceStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        under_way = operation(self._store)
        self.setVisible(under_way is not None)
        if under_way is None:
            return
        self.title.setText(operation_title(under_way))
        self.step.setText(say(under_way.step) if under_way.step is not None else "")
        is_known = under_way.fraction is not None
        self.percent.setText(_("{value}%", value=int((under_way.fraction or 0.0) * 100)) if is_known else "")
        show_fraction(self.bar, under_way)
        self.cancel.setVisible(under_way.cancellable)
        self.cancel.setEnabled(messages.CancelOperation not in self._store.part(MaintenanceStore).in_flight)


def show_fraction(bar: QProgressBar, under_way: OperationStatus) -> None:
    """Show an operation's progress; without a known fraction the bar is indeterminate."""
    is_known = under_way.fraction is not None
    bar.setRange(0, 1000 if is_known else 0)
    bar.setValue(round((under_way.fraction or 0.0) * 1000) if is_known else 0)
    bar.setAccessibleName(operation_title(under_way))
    bar.setAccessibleDescription(operation_line(under_way))
