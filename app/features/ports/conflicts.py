"""The banner above the ports table: published ports that cannot be reached, what holds them, and what to do."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.features.ports.columns import GLYPHS, shown_address, state_colour, state_text
from app.features.ports.store import PortsStore
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import theme
from app.ui.marked import MarkedRow, show_line
from app.ui.widgets import button, label

_SHOWN: Final = 3


class PortConflicts(QFrame):
    """Lists the conflicts from the store. Hidden while there are none."""

    show_requested = Signal()  # select the conflicts in the table

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("problem")
        self.setProperty("level", "warning")
        self._store = store
        self._most = _SHOWN
        self.title = label("", "warning-title", wrap=True)
        self.more = label("", "muted")
        self.show_all = button(_("Show in list"), self.show_requested.emit)
        self._lines = [_Line() for _ in range(_SHOWN)]
        top = QHBoxLayout()
        top.addWidget(self.title, 1)
        top.addWidget(self.show_all)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(16), theme.px(10), theme.px(16), theme.px(12))
        column.setSpacing(theme.px(6))
        column.addLayout(top)
        for line in self._lines:
            column.addWidget(line)
        column.addWidget(self.more)
        store.part(PortsStore).changed.connect(self.refresh)
        self.refresh()

    def show_at_most(self, count: int) -> None:
        """Set how many conflicts, up to 3, are shown in full; of the others only the number is shown."""
        if count != self._most:
            self._most = count
            self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        conflicts = self._store.part(PortsStore).conflicts
        self.setVisible(bool(conflicts))
        title = ngettext(
            "{count} published port is unreachable", "{count} published ports are unreachable", len(conflicts)
        )
        self.title.setText(title)
        self.setAccessibleName(_("Problem: {title}", title=title))
        for number, line in enumerate(self._lines):
            line.setVisible(number < min(len(conflicts), self._most))
            if number < len(conflicts):
                row = conflicts[number]
                where = shown_address(row)
                if row.container:
                    where = _("{address} ({name})", address=where, name=row.container)
                line.mark.show_mark(GLYPHS[row.state], state_colour(row.state), state_text(row))
                line.title.setText(f"{where} · {state_text(row)}")
                show_line(line.text, row.problem)
        rest = len(conflicts) - self._most
        self.more.setVisible(rest > 0)
        self.more.setText(_("+{count} more", count=rest))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_lines"):
            self.refresh()


class _Line(MarkedRow):
    """One port in the banner."""

    def __init__(self) -> None:
        self.text = label("", wrap=True, selectable=True)
        super().__init__(self.text)
