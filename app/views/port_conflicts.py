"""What stands above the table while published ports cannot be reached: which, who has them, what to do."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app import icons, texts, theme
from app.store import AppStore
from app.texts import text
from app.views.port_columns import GLYPHS, shown_address, state_colour, state_words
from app.widgets import button, label

_SHOWN: Final = 3


class PortConflicts(QFrame):
    """A function of the store. Hidden while every port is there."""

    show_wanted = Signal()  # where they are in the table

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("problem")
        self.setProperty("level", "warning")
        self._store = store
        self.title = label("", "warning-title", wrap=True)
        self.more = label("", "muted")
        self.show_all = button(text("ports.conflicts.show"), self.show_wanted.emit)
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
        store.ports.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        conflicts = self._store.ports.conflicts
        self.setVisible(bool(conflicts))
        title = texts.plural("ports.conflicts", len(conflicts))
        self.title.setText(title)
        self.setAccessibleName(text("problem.box", title=title))
        for number, line in enumerate(self._lines):
            line.setVisible(number < len(conflicts))
            if number < len(conflicts):
                row = conflicts[number]
                where = shown_address(row)
                if row.container:
                    where = text("ports.conflict.of", address=where, name=row.container)
                picture = icons.glyph(GLYPHS[row.state], state_colour(row.state))
                line.mark.setPixmap(picture.pixmap(QSize(theme.px(18), theme.px(18))))
                line.mark.setAccessibleName(state_words(row))
                line.title.setText(f"{where} · {state_words(row)}")
                line.words.setText(row.problem)
                line.words.setVisible(bool(row.problem))
        rest = len(conflicts) - _SHOWN
        self.more.setVisible(rest > 0)
        self.more.setText(text("listing.more", count=rest))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_lines"):
            self.refresh()


class _Line(QWidget):
    """One port."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = QLabel()
        self.mark.setFixedSize(theme.px(18), theme.px(18))
        self.title = label("", "heading", wrap=True)
        self.words = label("", wrap=True, selectable=True)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        words.addWidget(self.words)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(8))
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
