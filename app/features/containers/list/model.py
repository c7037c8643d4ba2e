"""The container list as a Qt model. A refresh is told to the view as the difference to what it shows.

One flat table: a Compose project is a row of its own above its members, and to collapse it takes their rows away. So
sorting, grouping and filtering a thousand containers is one pass over a list, where proxy models would ask Python tens
of thousands of times. Rows keep their identity across refreshes: selection, focus and scroll position stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app import texts
from app.features.containers.list.columns import (
    FIGURES,
    SORTABLE,
    ContainerColumn,
    Facts,
    Group,
    created_tip,
    group_words,
    words,
)
from app.features.containers.list.rows import Arrangement, Row, arrange, row_key
from app.features.stats.store import StatsStore
from app.state.store import AppStore
from app.texts import _
from app.ui.safe_text import tooltip
from backend.api import Container

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE: Final = int(Qt.ItemDataRole.UserRole)
_ROOM_FOR_MARK: Final = "\N{NO-BREAK SPACE}" * 4
_MOST_RUNS: Final = 100
"""More separate runs of rows that come or go than this are told as a whole new list."""


def row_of(index: Index) -> Row | None:
    """What an index shows."""
    row = index.data(ROW_ROLE)
    return row if isinstance(row, Container | Group) else None


class ContainerModel(QAbstractTableModel):
    """The rows of the store's containers, as arranged."""

    refreshed = Signal()
    """The rows are new, in whatever way that was told to the view."""

    def __init__(self, store: AppStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.facts = Facts(store.part(StatsStore), store.pending, store.restart_counts)
        self.arrangement = Arrangement()
        self._rows: list[Row] = []
        self._keys: list[str] = []
        self.changing = False
        """Whether rows come and go just now: what is deselected then was not deselected by the user."""
        self.refresh()
        store.containers_changed.connect(self.refresh)
        store.pending_changed.connect(self._on_pending)
        store.restart_counts_changed.connect(self._on_restart_counts)
        store.part(StatsStore).changed.connect(self._on_stats)

    @property
    def rows(self) -> Sequence[Row]:
        """From top to bottom."""
        return self._rows

    def row_of_key(self, key: str) -> int | None:
        """The number of the row with that container's id or group's key."""
        return self._keys.index(key) if key in self._keys else None

    def set_arrangement(self, **changes: Any) -> None:
        """Change some fields of the `Arrangement`."""
        changed = replace(self.arrangement, **changes)
        if changed != self.arrangement:
            self.arrangement = changed
            self.refresh()

    def toggle(self, project: str) -> None:
        """Collapse or expand a group."""
        self.set_arrangement(collapsed=self.arrangement.collapsed ^ {project})

    def containers_of(self, rows: Iterable[int]) -> list[Container]:
        """The containers of some rows, a group's members for the group; each once, in the order of the screen."""
        found: dict[str, Container] = {}
        for number in sorted(rows):
            row = self._rows[number]
            for container in row.members if isinstance(row, Group) else (row,):
                found[container.id] = container
        return list(found.values())

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- likewise
        return 0 if parent.isValid() else len(ContainerColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = ContainerColumn(section)
        if role == Qt.ItemDataRole.DisplayRole:
            words_of_it = "" if column is ContainerColumn.SELECT else column.title
            # At the right the mark of the order would stand over the words.
            marked = column in FIGURES and column is self.arrangement.column
            return words_of_it + _ROOM_FOR_MARK if marked else words_of_it
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole and column in SORTABLE:
            return tooltip(_("Sort by {column}", column=column.title))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column in FIGURES else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        column = ContainerColumn(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return words(row, column, self.facts)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self._tip(row, column))
        return None

    def refresh(self) -> None:
        """Take over the store's list."""
        self.facts = Facts(self._store.part(StatsStore), self._store.pending, self._store.restart_counts)
        self.changing = True
        self._show(arrange(self._store.containers or (), self.arrangement, self.facts))
        self.changing = False
        self.refreshed.emit()

    def _spoken(self, row: Row, column: ContainerColumn) -> str:
        if column is not ContainerColumn.NAME:
            return words(row, column, self.facts)
        if isinstance(row, Group):
            state = _("expanded") if row.expanded else _("collapsed")
            return _(
                "Compose project {name}, {running}, {state}", name=row.project, running=group_words(row), state=state
            )
        return _("{name}, {state}", name=row.name, state=texts.container_state(row.state))

    def _tip(self, row: Row, column: ContainerColumn) -> str:
        if isinstance(row, Container):
            if column is ContainerColumn.NAME:
                return "\n".join((row.name, row.short_id, row.command))
            if column is ContainerColumn.CREATED:
                return created_tip(row)
            if column is ContainerColumn.STATUS:
                return row.status
        return "" if column in FIGURES else words(row, column, self.facts)

    def _show(self, rows: list[Row]) -> None:
        """Go from the old rows to the new ones with as little as can be said."""
        keys = [row_key(row) for row in rows]
        if keys != self._keys and not self._restructure(keys, rows):
            self.beginResetModel()
            self._rows, self._keys = rows, keys
            self.endResetModel()
            return
        old, self._rows = self._rows, rows
        first = last = -1
        for number, (before, after) in enumerate(zip(old, rows, strict=True)):
            if before is not after and before != after:
                first = number if first < 0 else first
                last = number
        if first >= 0:
            self._tell(first, last)

    def _restructure(self, keys: list[str], rows: list[Row]) -> bool:
        """Take rows away, put the rest in order, add rows. False, with nothing done: too much is new."""
        fresh, known = set(keys), set(self._keys)
        gone = _runs(number for number, key in enumerate(self._keys) if key not in fresh)
        come = _runs(number for number, key in enumerate(keys) if key not in known)
        if len(gone) + len(come) > _MOST_RUNS or not known:
            return False
        for first, last in reversed(gone):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            del self._keys[first : last + 1]
            self.endRemoveRows()
        staying = [key for key in keys if key in known]
        if staying != self._keys:
            self._reorder(staying)
        for first, last in come:
            self.beginInsertRows(QModelIndex(), first, last)
            self._rows[first:first] = rows[first : last + 1]
            self._keys[first:first] = keys[first : last + 1]
            self.endInsertRows()
        return True

    def _reorder(self, keys: list[str]) -> None:
        self.layoutAboutToBeChanged.emit()
        by_key = dict(zip(self._keys, self._rows, strict=True))
        place = {key: number for number, key in enumerate(keys)}
        before = self.persistentIndexList()
        after = [self.index(place[self._keys[index.row()]], index.column()) for index in before]
        self._rows, self._keys = [by_key[key] for key in keys], keys
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _tell(
        self,
        first: int,
        last: int,
        columns: tuple[ContainerColumn, ContainerColumn] = (ContainerColumn.SELECT, ContainerColumn.ACTIONS),
    ) -> None:
        self.dataChanged.emit(self.index(first, columns[0]), self.index(last, columns[1]))

    def _on_pending(self) -> None:
        if self._rows:
            self._tell(0, len(self._rows) - 1, (ContainerColumn.STATUS, ContainerColumn.ACTIONS))

    def _on_restart_counts(self) -> None:
        self.facts = replace(self.facts, restart_counts=self._store.restart_counts)
        if self.arrangement.column is ContainerColumn.RESTARTS:
            self.refresh()
        elif self._rows:
            self._tell(0, len(self._rows) - 1, (ContainerColumn.STATUS, ContainerColumn.RESTARTS))

    def _on_stats(self) -> None:
        if self.arrangement.column in FIGURES:
            self.refresh()
        if self._rows:
            self._tell(0, len(self._rows) - 1, (ContainerColumn.CPU, ContainerColumn.MEMORY))


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Rising numbers as runs of first and last."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
