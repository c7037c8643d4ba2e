"""The palette (Ctrl+K): a search field for containers, pages, settings and actions, usable by keyboard alone.

The field keeps the focus. The arrow keys move the selection in the list below, Enter runs the selected entry, Escape
closes. The selected entry is announced to screen readers, because the focus does not move to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QColor, QCursor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.frame.palette_entries import PaletteEntry, find
from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.widgets import label

ROWS_SHOWN: Final = 10
_WIDTH: Final = 620
_ROW_HEIGHT: Final = 38
_INDEX = QModelIndex | QPersistentModelIndex
_ENTRY_ROLE: Final = Qt.ItemDataRole.UserRole


class Palette(QDialog):
    """The palette's popup. Created each time it opens, and deleted when it closes."""

    def __init__(self, store: AppStore, fixed: Callable[[], Sequence[PaletteEntry]], parent: QWidget) -> None:
        """Create the popup; `open_over` shows it.

        Args:
            fixed: returns the entries that do not depend on containers.
            parent: the main window.
        """
        super().__init__(parent, Qt.WindowType.Popup)
        self._store = store
        self._fixed = fixed
        self.setObjectName("palette")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Search everything"))
        self.setAccessibleName(_("Search everything"))
        self.field = QLineEdit()
        self.field.setPlaceholderText(_("Search containers, pages, settings and actions"))
        self.field.setAccessibleName(_("Search everything"))
        self.field.addAction(icons.glyph("magnify", theme.current().muted), QLineEdit.ActionPosition.LeadingPosition)
        self.field.installEventFilter(self)
        self.model = _ResultsModel(self)
        self.list = QListView()
        self.list.setObjectName("palettelist")
        self.list.setModel(self.model)
        self.list.setItemDelegate(_Row(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setAccessibleName(_("Search results"))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._none = label(_("No results"), "muted")
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setMinimumHeight(theme.px(60))
        column = QVBoxLayout(self)
        margin = theme.px(10)
        column.setContentsMargins(margin, margin, margin, margin)
        column.setSpacing(theme.px(8))
        column.addWidget(self.field)
        column.addWidget(self.list)
        column.addWidget(self._none)
        self.field.textChanged.connect(self.refresh)
        self.list.clicked.connect(lambda _index: self._run_selected())
        self.list.entered.connect(self._on_pointer)
        self.list.selectionModel().currentChanged.connect(self._announce)
        store.containers_changed.connect(self._on_containers)
        store.machine_changed.connect(self._on_containers)
        self._pointer = QCursor.pos()
        self.refresh()

    @property
    def titles(self) -> list[str]:
        """Titles of the results, best first."""
        return [entry.title for entry in self.model.entries]

    def open_over(self, window: QWidget) -> None:
        """Show the popup near the top of `window` and focus its field."""
        width = min(theme.px(_WIDTH), window.width() - theme.px(24))
        self.setFixedWidth(width)
        place = window.mapToGlobal(window.rect().topLeft())
        self.move(place.x() + (window.width() - width) // 2, place.y() + theme.px(64))
        self._pointer = QCursor.pos()
        self.show()
        self.field.setFocus(Qt.FocusReason.PopupFocusReason)

    def refresh(self) -> None:
        """Search for the field's text."""
        self._show(find(self._store, self._fixed(), self.field.text()), "")

    def _on_pointer(self, index: QModelIndex) -> None:
        """Select what the mouse is moved to; a list that appears or changes under a mouse at rest changes nothing."""
        if QCursor.pos() != self._pointer:
            self._pointer = QCursor.pos()
            self.list.setCurrentIndex(index)

    def _on_containers(self) -> None:
        """Search again after the containers changed; the selected entry stays selected."""
        marked = self.model.entry(self.list.currentIndex())
        self._show(find(self._store, self._fixed(), self.field.text()), marked.key if marked else "")

    def _show(self, entries: list[PaletteEntry], marked: str) -> None:
        self.model.set_entries(entries)
        row = next((row for row, entry in enumerate(entries) if entry.key == marked), 0)
        self.list.setVisible(bool(entries))
        self._none.setVisible(not entries)
        self.list.setFixedHeight(theme.px(_ROW_HEIGHT) * max(1, min(len(entries), ROWS_SHOWN)))
        self.list.setCurrentIndex(self.model.index(row))
        self.adjustSize()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and self._on_key(event):
            return True
        return super().eventFilter(watched, event)

    def _on_key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        count, row = self.model.rowCount(), self.list.currentIndex().row()
        steps = {
            Qt.Key.Key_Down: (row + 1) % max(count, 1),
            Qt.Key.Key_Up: (row - 1) % max(count, 1),
            Qt.Key.Key_Tab: (row + 1) % max(count, 1),
            Qt.Key.Key_Backtab: (row - 1) % max(count, 1),
            Qt.Key.Key_PageDown: min(row + ROWS_SHOWN, count - 1),
            Qt.Key.Key_PageUp: max(row - ROWS_SHOWN, 0),
        }
        if key in steps:
            self.list.setCurrentIndex(self.model.index(steps[key]))
            return True
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._run_selected()
            return True
        if key == Qt.Key.Key_K and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.close()
            return True
        return False

    def _run_selected(self) -> None:
        entry = self.model.entry(self.list.currentIndex())
        if entry is not None:
            self.close()
            self._store.preferences.note_recent(entry.key)
            entry.run()

    def _announce(self, current: QModelIndex) -> None:
        entry = self.model.entry(current)
        if entry is not None:
            text = _("{title}, {detail}", title=entry.title, detail=entry.detail)
            self.field.setAccessibleDescription(text)
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self.field, text))


class _ResultsModel(QAbstractListModel):
    """The search results as a Qt list model."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.entries: list[PaletteEntry] = []

    def set_entries(self, entries: list[PaletteEntry]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def entry(self, index: _INDEX) -> PaletteEntry | None:
        return self.entries[index.row()] if 0 <= index.row() < len(self.entries) else None

    def rowCount(self, parent: _INDEX | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        entry = self.entry(index)
        if entry is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return _("{title}, {detail}", title=entry.title, detail=entry.detail)
        return entry if role == _ENTRY_ROLE else None


class _Row(QStyledItemDelegate):
    """Paints an entry: icon, title, and its kind at the right."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _INDEX) -> QSize:
        return QSize(0, theme.px(_ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        entry = index.data(_ENTRY_ROLE)
        assert isinstance(entry, PaletteEntry)
        current = theme.current()
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.setPen(QColor(current.accent))
            painter.setBrush(QColor(current.selected))
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 6, 6)
        size, gap = theme.px(18), theme.px(10)
        icon = QRect(rect.left() + gap, rect.center().y() - size // 2, size, size)
        icons.glyph(entry.glyph, current.muted).paint(painter, icon)
        left = icon.right() + gap
        room = rect.right() - gap - left
        metrics = painter.fontMetrics()
        detail_width = min(metrics.horizontalAdvance(entry.detail[:200]) + 4, room * 2 // 5)
        title_room = room - detail_width - gap
        flags = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(current.text))
        title = metrics.elidedText(entry.title[:400], Qt.TextElideMode.ElideMiddle, title_room)
        painter.drawText(QRect(left, rect.top(), title_room, rect.height()), flags, title)
        painter.setPen(QColor(current.muted))
        detail = metrics.elidedText(entry.detail[:200], Qt.TextElideMode.ElideRight, detail_width)
        painter.drawText(
            QRect(rect.right() - gap - detail_width, rect.top(), detail_width, rect.height()),
            flags | Qt.AlignmentFlag.AlignRight,
            detail,
        )
        painter.restore()
