"""A list of the engine's as a Qt model: rows of any one kind, columns told by functions, and the filter over it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from app.safe_text import tooltip
from app.texts import text

Index = QModelIndex | QPersistentModelIndex
ENTRY_ROLE: Final = int(Qt.ItemDataRole.UserRole)
SORT_ROLE: Final = ENTRY_ROLE + 1
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    """Of its heading's words."""
    share: float
    """Of the table's width."""
    least: int
    """Pixels that it has at least, at 100 per cent; the table scrolls where there is no room for all."""
    words: Callable[[Any], str]
    order: Callable[[Any], float] | None = None
    """A number to sort by; None: the words, with numbers in them as numbers."""
    tip: Callable[[Any], str] | None = None
    """In place of the words."""


class ListingModel(QAbstractTableModel):
    """Shows what `show` was given."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: tuple[Any, ...] = ()

    def show(self, rows: Sequence[Any]) -> None:
        """Other rows."""
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return text(self.columns[section].key)
        if role == Qt.ItemDataRole.TextAlignmentRole and self.columns[section].order is not None:
            return _RIGHT
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        entry, column = self.rows[index.row()], self.columns[index.column()]
        if role == ENTRY_ROLE:
            return entry
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return column.words(entry)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(column.tip(entry) if column.tip is not None else column.words(entry))
        if role == SORT_ROLE:
            # Qt compares numbers of different kinds as texts: all of them are floats.
            return float(column.order(entry)) if column.order is not None else natural(column.words(entry))
        if role == Qt.ItemDataRole.TextAlignmentRole and column.order is not None:
            return _RIGHT
        return None


class ListingFilter(QSortFilterProxyModel):
    """Rows that contain every word of the filter somewhere."""

    def __init__(self, source: ListingModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._needles: list[str] = []
        self.setSourceModel(source)
        self.setSortRole(SORT_ROLE)
        self.setSortLocaleAware(True)

    def set_filter(self, words: str) -> None:
        """Show those that contain every one of these words."""
        self._needles = words.casefold().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        del parent
        source = self.sourceModel()
        assert isinstance(source, ListingModel)
        entry = source.rows[row]
        said = (*(column.words(entry) for column in source.columns), entry.id, *entry.used_by)
        haystack = " ".join(said).casefold()
        return all(needle in haystack for needle in self._needles)


def natural(words: str) -> str:
    """A key by which web-2 comes before web-10."""
    return re.sub(r"\d+", lambda digits: digits.group().zfill(12), words.casefold())
