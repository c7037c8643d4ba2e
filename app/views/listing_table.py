"""The table of a list: rows, no grid, sorted by its headings; Tab leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QFocusEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from app import theme
from app.views.listing_model import ENTRY_ROLE, Column

_ROW_HEIGHT: Final = 34


class ListingTable(QTableView):
    """Columns share the width; any number of rows can be selected."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.setObjectName("listing")
        self._columns = columns
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSortingEnabled(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.px(_ROW_HEIGHT))
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for number, column in enumerate(self._columns):
            share = int(self.viewport().width() * column.share)
            self.setColumnWidth(number, max(share, theme.px(column.least)))

    @property
    def selected(self) -> list[Any]:
        """The selected entries, in the order of the screen."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [row.data(ENTRY_ROLE) for row in rows]

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self.model().rowCount():
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(self.model().index(0, 0), flags.NoUpdate)
