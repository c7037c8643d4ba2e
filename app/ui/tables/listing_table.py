"""A table view for lists that can be sorted and filtered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSortFilterProxyModel, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHeaderView

from app.ui import theme
from app.ui.tables.listing_model import ENTRY_ROLE, ListingModel, TableColumn
from app.ui.tables.row_table import RowTable
from app.ui.tables.sort_header import SortHeader

_ROW_HEIGHT: Final = 34


class ListingTable(RowTable):
    """Shows a ListingModel through a filter; columns share the width."""

    def __init__(self, columns: Sequence[TableColumn]) -> None:
        super().__init__(_ROW_HEIGHT)
        self.setObjectName("listing")
        self._columns = columns
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header = SortHeader(self)
        self.setHorizontalHeader(header)
        self.setSortingEnabled(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    @property
    def selected(self) -> list[Any]:
        """The selected entries in visible order."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [row.data(ENTRY_ROLE) for row in rows]

    def show_rows(self, entries: Sequence[Any]) -> None:
        """Show other entries, each with a `key`. Selection and focus of remaining ones are kept."""
        proxy = self.model()
        assert isinstance(proxy, QSortFilterProxyModel)
        source = proxy.sourceModel()
        assert isinstance(source, ListingModel)
        keys = {entry.key for entry in self.selected}
        current = self.currentIndex()
        focused, column = (current.data(ENTRY_ROLE).key, current.column()) if current.isValid() else (None, 0)
        place = self.verticalScrollBar().value()
        source.show(entries)
        self.select_keys(keys)
        row = next((row for row, key in enumerate(self._keys()) if key == focused), None)
        if row is not None:
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(proxy.index(row, column), flags.NoUpdate)
        self.verticalScrollBar().setValue(place)

    def select_keys(self, keys: Collection[str]) -> None:
        """Select exactly the visible entries with these keys."""
        chosen, last = QItemSelection(), len(self._columns) - 1
        for row, key in enumerate(self._keys()):
            if key in keys:
                chosen.select(self.model().index(row, 0), self.model().index(row, last))
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(chosen, flags.ClearAndSelect | flags.Rows)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for number, column in enumerate(self._columns):
            share = int(self.viewport().width() * column.share)
            self.setColumnWidth(number, max(share, theme.px(column.least)))

    def _keys(self) -> list[str]:
        return [self.model().index(row, 0).data(ENTRY_ROLE).key for row in range(self.model().rowCount())]
