"""The rail: the pages by name, the machine's own at the bottom; only their pictures where the window is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app import icons, theme
from app.safe_text import tooltip
from app.texts import text
from app.widgets import label

WIDTH: Final = 176
NARROW_WIDTH: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RailEntry:
    """One page."""

    name: str
    title: str
    glyph: str
    at_bottom: bool = False


class Rail(QFrame):
    """Says which page is wanted."""

    chosen = Signal(str)  # name of a page

    def __init__(self, entries: Sequence[RailEntry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self._entries = [*(e for e in entries if not e.at_bottom), *(e for e in entries if e.at_bottom)]
        self._top_count = sum(not entry.at_bottom for entry in entries)
        self._narrow = False
        self._brand = label(text("app.name"))
        self._brand.setObjectName("brand")
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(theme.px(30), theme.px(30))))
        top = QHBoxLayout()
        top.setContentsMargins(theme.px(16), 0, theme.px(8), 0)
        top.setSpacing(theme.px(10))
        top.addWidget(picture)
        top.addWidget(self._brand, 1)
        self.list = _Pages(self._top_count)
        self.list.setAccessibleName(text("nav.label"))
        for number, entry in enumerate(self._entries):
            if number == self._top_count:
                spacer = QListWidgetItem(self.list)
                spacer.setFlags(Qt.ItemFlag.NoItemFlags)
            item = QListWidgetItem(icons.glyph(entry.glyph), entry.title, self.list)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, entry.title)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, theme.px(22), 0, theme.px(8))
        column.setSpacing(theme.px(16))
        column.addLayout(top)
        column.addWidget(self.list, 1)
        self.list.currentRowChanged.connect(self._on_row)
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Show only the pictures, or the titles too."""
        self._narrow = narrow
        self.setFixedWidth(theme.px(NARROW_WIDTH if narrow else WIDTH))
        self._brand.setVisible(not narrow)
        for number, entry in enumerate(self._entries):
            item = self.list.item(self._row(number))
            item.setText("" if narrow else entry.title)
            item.setToolTip(tooltip(entry.title) if narrow else "")

    def show_chosen(self, name: str) -> None:
        """Mark a page as the open one."""
        number = next(number for number, entry in enumerate(self._entries) if entry.name == name)
        self.list.setCurrentRow(self._row(number))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "list"):
            for number, entry in enumerate(self._entries):
                self.list.item(self._row(number)).setIcon(icons.glyph(entry.glyph))

    def _row(self, number: int) -> int:
        return number if number < self._top_count else number + 1

    def _on_row(self, row: int) -> None:
        number = row if row < self._top_count else row - 1
        if 0 <= number < len(self._entries) and row != self._top_count:
            self.chosen.emit(self._entries[number].name)


class _Pages(QListWidget):
    """The list, with one entry that cannot be chosen and pushes those below it to the bottom."""

    def __init__(self, spacer_row: int) -> None:
        super().__init__()
        self._spacer_row = spacer_row
        self.setObjectName("nav")
        self.setIconSize(QSize(theme.px(18), theme.px(18)))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        spacer = self.item(self._spacer_row)
        if spacer is not None:
            others = sum(self.sizeHintForRow(row) for row in range(self.count()) if row != self._spacer_row)
            spacer.setSizeHint(QSize(0, max(theme.px(12), self.viewport().height() - others - 2)))
