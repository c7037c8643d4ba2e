"""A Qt model for lists of the engine's objects, with columns defined by functions, and its filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor, QIcon

from app.texts import Message, say
from app.ui.figures import natural
from app.ui.safe_text import tooltip

Index = QModelIndex | QPersistentModelIndex
ENTRY_ROLE: Final = int(Qt.ItemDataRole.UserRole)
SORT_ROLE: Final = ENTRY_ROLE + 1
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """Definition of a column."""

    title: Message
    share: float
    """Fraction of the table's width."""
    least: int
    """Minimum width in pixels at 100 per cent; the table scrolls if there is no room for all columns."""
    words: Callable[[Any], str]
    order: Callable[[Any], float] | None = None
    """Number to sort by; None: natural order of the text."""
    tip: Callable[[Any], str] | None = None
    """Tool tip; None: the text."""
    is_amount: bool = True
    """Whether a column with a sort number is right-aligned."""
    icon: Callable[[Any], QIcon] | None = None
    """Icon before the text."""
    colour: Callable[[Any], str] | None = None
    """Colour of the text as "#rrggbb"."""
    said: Callable[[Any], str] | None = None
    """Text for screen readers, instead of the text."""


class ListingModel(QAbstractTableModel):
    """Model of the rows passed to `show`."""

    def __init__(self, columns: Sequence[TableColumn], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: tuple[Any, ...] = ()

    def show(self, rows: Sequence[Any]) -> None:
        """Replace all rows."""
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def revise(self, rows: Sequence[Any]) -> None:
        """Replace rows by new versions of the same objects in the same order: selection and scroll position stay."""
        assert len(rows) == len(self.rows)
        before, self.rows = self.rows, tuple(rows)
        for number, (old, new) in enumerate(zip(before, self.rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(number, 0), self.index(number, len(self.columns) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return say(self.columns[section].title)
        if role == Qt.ItemDataRole.TextAlignmentRole and _is_right(self.columns[section]):
            return _RIGHT
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        entry, column = self.rows[index.row()], self.columns[index.column()]
        if role == ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.DisplayRole:
            return column.words(entry)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return (column.said or column.words)(entry)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(column.tip(entry) if column.tip is not None else column.words(entry))
        if role == SORT_ROLE:
            # Qt compares numbers of different types as text, so all are floats.
            return float(column.order(entry)) if column.order is not None else natural(column.words(entry))
        if role == Qt.ItemDataRole.TextAlignmentRole and _is_right(column):
            return _RIGHT
        if role == Qt.ItemDataRole.DecorationRole and column.icon is not None:
            return column.icon(entry)
        if role == Qt.ItemDataRole.ForegroundRole and column.colour is not None:
            return QColor(column.colour(entry))
        return None


class ListingFilter(QSortFilterProxyModel):
    """Rows that contain every word of the filter."""

    def __init__(
        self,
        source: ListingModel,
        parent: QObject | None = None,
        also: Callable[[Any], Iterable[str]] = lambda entry: (entry.id, *entry.used_by),
    ) -> None:
        """The filter is empty at first.

        Args:
            source: the model.
            parent: Qt's parent.
            also: returns texts that are searched besides the columns.
        """
        super().__init__(parent)
        self._also = also
        self._needles: list[str] = []
        self.setSourceModel(source)
        self.setSortRole(SORT_ROLE)
        self.setSortLocaleAware(True)

    def set_filter(self, words: str) -> None:
        """Show only rows with every one of these words."""
        self._needles = words.casefold().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        del parent
        source = self.sourceModel()
        assert isinstance(source, ListingModel)
        entry = source.rows[row]
        if not self._needles:
            return True
        texts = (*(column.words(entry) for column in source.columns), *self._also(entry))
        haystack = " ".join(texts).casefold()
        return all(needle in haystack for needle in self._needles)


def _is_right(column: TableColumn) -> bool:
    return column.order is not None and column.is_amount
