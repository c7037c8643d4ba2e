"""The container list as a Qt model. A refresh notifies the view only of the differences.

One flat table: a Compose project is a row above its members, and collapsing it removes their rows. So sorting,
grouping and filtering a thousand containers is one pass over a list, where proxy models would call Python tens of
thousands of times. Rows keep their identity across refreshes: selection, focus and scroll position stay.
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
    cell_text,
    created_tip,
    group_text,
)
from app.features.containers.list.rows import Arrangement, Row, arrange, row_key
from app.features.stats.store import StatsStore
from app.state.store import AppStore
from app.texts import _
from app.ui.safe_text import tooltip
from backend.api import Container

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE: Final = int(Qt.ItemDataRole.UserRole)
_MOST_RUNS: Final = 100
"""If more separate runs of rows are inserted or removed, the whole model is reset."""


def row_of(index: Index) -> Row | None:
    """The row of an index."""
    row = index.data(ROW_ROLE)
    return row if isinstance(row, Container | Group) else None


class ContainerModel(QAbstractTableModel):
    """The store's containers as rows, grouped, filtered and sorted."""

    refreshed = Signal()
    """Emitted after the rows changed in any way."""

    def __init__(self, store: AppStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.facts = self._read_facts()
        self.arrangement = Arrangement()
        self._rows: list[Row] = []
        self._keys: list[str] = []
        self.changing = False
        """Whether rows are being inserted or removed; deselections are then not the user's."""
        self.refresh()
        store.containers_changed.connect(self.refresh)
        store.pending_changed.connect(self._on_pending)
        store.restart_counts_changed.connect(self._on_restart_counts)
        store.part(StatsStore).changed.connect(self._on_stats)

    @property
    def rows(self) -> Sequence[Row]:
        """All rows from top to bottom."""
        return self._rows

    def row_of_key(self, key: str) -> int | None:
        """Number of the row with this container id or group key."""
        return self._keys.index(key) if key in self._keys else None

    def set_arrangement(self, **changes: Any) -> None:
        """Change fields of the `Arrangement` and refresh."""
        changed = replace(self.arrangement, **changes)
        if changed != self.arrangement:
            self.arrangement = changed
            self.refresh()

    def toggle(self, project: str) -> None:
        """Collapse or expand a group."""
        self.set_arrangement(collapsed=self.arrangement.collapsed ^ {project})

    def containers_of(self, rows: Iterable[int]) -> list[Container]:
        """The containers of rows, with members of groups; each once, in display order."""
        containers: dict[str, Container] = {}
        for number in sorted(rows):
            row = self._rows[number]
            for container in row.members if isinstance(row, Group) else (row,):
                containers[container.id] = container
        return list(containers.values())

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- likewise
        return 0 if parent.isValid() else len(ContainerColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = ContainerColumn(section)
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if column is ContainerColumn.SELECT else column.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole and column in SORTABLE:
            return tooltip(_("Sort by {column}", column=column.title))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            alignment = Qt.AlignmentFlag.AlignRight if column in FIGURES else Qt.AlignmentFlag.AlignLeft
            return int(alignment | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        column = ContainerColumn(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(row, column, self.facts)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self._tip(row, column))
        return None

    def refresh(self) -> None:
        """Update the rows from the store."""
        self.facts = self._read_facts()
        self.changing = True
        self._show(arrange(self._store.containers or (), self.arrangement, self.facts))
        self.changing = False
        self.refreshed.emit()

    def _spoken(self, row: Row, column: ContainerColumn) -> str:
        if column is not ContainerColumn.NAME:
            return cell_text(row, column, self.facts)
        if isinstance(row, Group):
            state = _("expanded") if row.expanded else _("collapsed")
            return _(
                "Compose project {name}, {running}, {state}", name=row.project, running=group_text(row), state=state
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
        return "" if column in FIGURES else cell_text(row, column, self.facts)

    def _show(self, rows: list[Row]) -> None:
        """Replace the rows, with as few notifications to the view as possible."""
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
            self._notify_changed(first, last)

    def _restructure(self, keys: list[str], rows: list[Row]) -> bool:
        """Remove, reorder and insert rows. Returns False, without changes, if a reset is cheaper."""
        new, old = set(keys), set(self._keys)
        removed = _runs(number for number, key in enumerate(self._keys) if key not in new)
        inserted = _runs(number for number, key in enumerate(keys) if key not in old)
        if len(removed) + len(inserted) > _MOST_RUNS or not old:
            return False
        for first, last in reversed(removed):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            del self._keys[first : last + 1]
            self.endRemoveRows()
        staying = [key for key in keys if key in old]
        if staying != self._keys:
            self._reorder(staying)
        for first, last in inserted:
            self.beginInsertRows(QModelIndex(), first, last)
            self._rows[first:first] = rows[first : last + 1]
            self._keys[first:first] = keys[first : last + 1]
            self.endInsertRows()
        return True

    def _reorder(self, keys: list[str]) -> None:
        self.layoutAboutToBeChanged.emit()
        by_key = dict(zip(self._keys, self._rows, strict=True))
        new_row = {key: number for number, key in enumerate(keys)}
        before = self.persistentIndexList()
        after = [self.index(new_row[self._keys[index.row()]], index.column()) for index in before]
        self._rows, self._keys = [by_key[key] for key in keys], keys
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _notify_changed(
        self,
        first: int,
        last: int,
        columns: tuple[ContainerColumn, ContainerColumn] = (ContainerColumn.SELECT, ContainerColumn.ACTIONS),
    ) -> None:
        self.dataChanged.emit(self.index(first, columns[0]), self.index(last, columns[1]))

    def _read_facts(self) -> Facts:
        store = self._store
        return Facts(store.part(StatsStore), store.pending, store.restart_counts, store.slow_stops)

    def _on_pending(self) -> None:
        self.facts = replace(self.facts, slow_stops=self._store.slow_stops)
        if self._rows:
            self._notify_changed(0, len(self._rows) - 1, (ContainerColumn.STATUS, ContainerColumn.ACTIONS))

    def _on_restart_counts(self) -> None:
        self.facts = replace(self.facts, restart_counts=self._store.restart_counts)
        if self.arrangement.column is ContainerColumn.RESTARTS:
            self.refresh()
        elif self._rows:
            self._notify_changed(0, len(self._rows) - 1, (ContainerColumn.STATUS, ContainerColumn.RESTARTS))
            self.refreshed.emit()  # the status may need more room

    def _on_stats(self) -> None:
        if self.arrangement.column in FIGURES:
            self.refresh()
        if self._rows:
            self._notify_changed(0, len(self._rows) - 1, (ContainerColumn.CPU, ContainerColumn.MEMORY))


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Group rising numbers into runs (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
