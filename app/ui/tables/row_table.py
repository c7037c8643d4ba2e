"""A table view that selects rows, without grid; Tab leaves it."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from app.ui import theme

_Index = QModelIndex | QPersistentModelIndex


class RowTable(QTableView):
    """Base class of the window's tables."""

    FIRST: int = 0
    """The column that gets the focus when a row does."""

    def __init__(self, row_height: int) -> None:
        """`row_height` is in pixels at 100 per cent."""
        super().__init__()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)  # Tab leaves the table: everything must be reachable
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows = self.verticalHeader()
        rows.hide()
        rows.setMinimumSectionSize(theme.px(row_height))
        rows.setDefaultSectionSize(theme.px(row_height))
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def set_current(self, number: int) -> None:
        """Focus a row without changing the selection."""
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(self.model().index(number, self.FIRST), flags.NoUpdate)

    def enter(self) -> None:
        """Take the focus, at the current row or the first one."""
        if self.model().rowCount():
            if not self.currentIndex().isValid():
                self.set_current(0)
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.selectionModel().hasSelection():
            self.clearSelection()
            return
        super().keyPressEvent(event)

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        super().currentChanged(current, previous)
        # The current row is marked at its first cell, which Qt does not repaint when another row becomes current.
        self.viewport().update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        # Arriving by Tab must show the current row, so that Enter and Delete have a target.
        if not self.currentIndex().isValid() and self.model().rowCount():
            self.set_current(0)
