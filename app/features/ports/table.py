"""The table of published ports: a list whose addresses and containers are clickable links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QGuiApplication, QMouseEvent, QPalette
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.features.ports.columns import ADDRESS, CONTAINER
from app.features.ports.rows import PortRow
from app.ui import theme
from app.ui.tables.listing_model import ENTRY_ROLE, TableColumn
from app.ui.tables.listing_table import ListingTable

_PADDING: Final = 10
_ICON: Final = 16
_GAP: Final = 6

Index = QModelIndex | QPersistentModelIndex


class PortTable(ListingTable):
    """Emits a signal when a link is clicked. The page offers the same actions by keyboard."""

    browser_requested = Signal(object)  # PortRow
    container_requested = Signal(object)  # PortRow

    def __init__(self, columns: Sequence[TableColumn]) -> None:
        super().__init__(columns)
        self.setObjectName("ports")
        self.setMouseTracking(True)
        self.setIconSize(QSize(theme.px(_ICON), theme.px(_ICON)))
        self._delegate = _Links(self)
        self.setItemDelegate(self._delegate)
        self._pressed: tuple[str, int] | None = None

    def link_at(self, place: QPoint) -> QModelIndex:
        """The cell whose link text is at `place` (viewport coordinates); an invalid index for none."""
        index = self.indexAt(place)
        if not index.isValid() or not is_link(index):
            return QModelIndex()
        return index if self._text_box(index).contains(place) else QModelIndex()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(self.link_at(event.position().toPoint()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = _link(self.link_at(event.position().toPoint()))
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        released, pressed = self.link_at(event.position().toPoint()), self._pressed
        self._pressed = None
        # With a modifier the user selects rows.
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier and event.button() is Qt.MouseButton.LeftButton
        # The rows may have moved since the press.
        if plain and pressed is not None and _link(released) == pressed:
            row = released.data(ENTRY_ROLE)
            (self.browser_requested if released.column() == ADDRESS else self.container_requested).emit(row)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(QModelIndex())

    def _hover(self, index: QModelIndex) -> None:
        if index != self._delegate.hovered:
            self._delegate.hovered = QPersistentModelIndex(index)
            self.viewport().setCursor(
                Qt.CursorShape.PointingHandCursor if index.isValid() else Qt.CursorShape.ArrowCursor
            )
            self.viewport().update()

    def _text_box(self, index: QModelIndex) -> QRect:
        cell = self.visualRect(index)
        before = theme.px(_PADDING) + (theme.px(_ICON + _GAP) if index.column() == ADDRESS else 0)
        width = QFontMetrics(self.font()).horizontalAdvance(str(index.data())) + theme.px(4)
        if QGuiApplication.layoutDirection() is Qt.LayoutDirection.RightToLeft:
            return QRect(cell.right() - before - width, cell.top(), width, cell.height()) & cell
        return QRect(cell.left() + before, cell.top(), width, cell.height()) & cell


def is_link(index: Index) -> bool:
    """Whether a cell is a link."""
    row = index.data(ENTRY_ROLE)
    assert isinstance(row, PortRow)
    return bool((index.column() == ADDRESS and row.url) or (index.column() == CONTAINER and row.container_id))


def _link(index: Index) -> tuple[str, int] | None:
    """Identifies a link even after the list changed; None for no link."""
    return (index.data(ENTRY_ROLE).key, index.column()) if index.isValid() else None


class _Links(QStyledItemDelegate):
    """Underlines the link under the mouse, and keeps the link color in selected rows."""

    def __init__(self, table: PortTable) -> None:
        super().__init__(table)
        self.hovered: QModelIndex | QPersistentModelIndex = QModelIndex()

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        if index.column() in (ADDRESS, CONTAINER):
            # The end of long texts matters: an address ends with its port, a Compose container's name with its service.
            option.textElideMode = Qt.TextElideMode.ElideMiddle
        colour = index.data(Qt.ItemDataRole.ForegroundRole)
        if colour is not None:
            palette = option.palette
            palette.setColor(QPalette.ColorRole.HighlightedText, colour)
            option.palette = palette
        if self.hovered.isValid() and self.hovered == index:
            font = QFont(option.font)
            font.setUnderline(True)
            option.font = font
