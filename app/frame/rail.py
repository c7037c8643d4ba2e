"""The navigation rail: the list of pages, with Machine and Settings at the bottom; icons only in a narrow window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.texts import _
from app.ui import icons, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import label

WIDTH: Final = 176
NARROW_WIDTH: Final = 62
_BADGE_ROLE: Final = int(Qt.ItemDataRole.UserRole)
_MOST_COUNTED: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class RailEntry:
    """One page's entry in the rail."""

    name: str
    title: str
    glyph: str
    at_bottom: bool = False


class Rail(QFrame):
    """Emits `chosen` with the name of the page that the user selects."""

    chosen = Signal(str)  # name of a page

    def __init__(self, entries: Sequence[RailEntry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self._entries = [*(e for e in entries if not e.at_bottom), *(e for e in entries if e.at_bottom)]
        self._top_count = sum(not entry.at_bottom for entry in entries)
        self._narrow = False
        self._badges: dict[str, tuple[int, str]] = {}
        self._brand = label(_("Wherry"))
        self._brand.setObjectName("brand")
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(theme.px(30), theme.px(30))))
        top = QHBoxLayout()
        top.setContentsMargins(theme.px(16), 0, theme.px(8), 0)
        top.setSpacing(theme.px(10))
        top.addWidget(picture)
        top.addWidget(self._brand, 1)
        self.list = _Pages(self._top_count)
        self.list.setAccessibleName(_("Pages"))
        for number, entry in enumerate(self._entries):
            if number == self._top_count:
                spacer = QListWidgetItem(self.list)
                spacer.setFlags(Qt.ItemFlag.NoItemFlags)
            QListWidgetItem(icons.glyph(entry.glyph), entry.title, self.list)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, theme.px(22), 0, theme.px(8))
        column.setSpacing(theme.px(16))
        column.addLayout(top)
        column.addWidget(self.list, 1)
        self.list.currentRowChanged.connect(self._on_row)
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Show only icons, or the titles too."""
        self._narrow = narrow
        self.setFixedWidth(theme.px(NARROW_WIDTH if narrow else WIDTH))
        self._brand.setVisible(not narrow)
        for number, entry in enumerate(self._entries):
            self.list.item(self._row(number)).setText("" if narrow else entry.title)
            self._describe(number)

    def set_badge(self, name: str, count: int, text: str) -> None:
        """Show a number beside a page's name; 0 removes it.

        Args:
            text: what is counted, for the tool tip and screen readers: "1 port cannot be reached".
        """
        self._badges[name] = (count, text)
        number = next(number for number, entry in enumerate(self._entries) if entry.name == name)
        self._describe(number)

    def badge(self, name: str) -> int:
        """The number beside a page's name; 0 for none."""
        return self._badges.get(name, (0, ""))[0]

    def show_chosen(self, name: str) -> None:
        """Select a page, by name."""
        number = next(number for number, entry in enumerate(self._entries) if entry.name == name)
        self.list.setCurrentRow(self._row(number))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "list"):
            for number, entry in enumerate(self._entries):
                self.list.item(self._row(number)).setIcon(icons.glyph(entry.glyph))

    def _describe(self, number: int) -> None:
        entry, item = self._entries[number], self.list.item(self._row(number))
        count, text = self._badges.get(entry.name, (0, ""))
        title = f"{entry.title}: {text}" if count else entry.title
        item.setData(Qt.ItemDataRole.AccessibleTextRole, title)
        item.setToolTip(tooltip(title) if self._narrow or count else "")
        item.setData(_BADGE_ROLE, count)

    def _row(self, number: int) -> int:
        return number if number < self._top_count else number + 1

    def _on_row(self, row: int) -> None:
        number = row if row < self._top_count else row - 1
        if 0 <= number < len(self._entries) and row != self._top_count:
            self.chosen.emit(self._entries[number].name)


class _Pages(QListWidget):
    """The list widget, with a spacer row that pushes the entries after it to the bottom."""

    def __init__(self, spacer_row: int) -> None:
        super().__init__()
        self._spacer_row = spacer_row
        self.setObjectName("nav")
        self.setItemDelegate(_Badged(self))
        self.setIconSize(QSize(theme.px(18), theme.px(18)))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        spacer = self.item(self._spacer_row)
        if spacer is not None:
            others = sum(self.sizeHintForRow(row) for row in range(self.count()) if row != self._spacer_row)
            spacer.setSizeHint(QSize(0, max(theme.px(12), self.viewport().height() - others - 2)))


class _Badged(QStyledItemDelegate):
    """Paints an entry's badge at its right end."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        count = index.data(_BADGE_ROLE)
        if not count:
            return
        text = str(count) if count <= _MOST_COUNTED else f"{_MOST_COUNTED}+"
        current, rect, height = theme.current(), option.rect, theme.px(18)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(theme.px(11))
        font.setBold(True)
        painter.setFont(font)
        width = max(height, painter.fontMetrics().horizontalAdvance(text) + theme.px(10))
        right = rect.right() - theme.px(14 if index.data() else 6)
        # Where only the icon is shown, the badge is on its corner.
        top = rect.center().y() - height // 2 if index.data() else rect.top() + theme.px(1)
        box = QRect(right - width, top, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(current.danger))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setPen(QColor(current.on_accent))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()
