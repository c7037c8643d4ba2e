"""The table of containers as a Qt model, and the filter over it. Rows keep their identity across refreshes."""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from app import texts
from app.ports import port_links
from app.safe_text import tooltip
from app.store import AppStore
from app.texts import text
from backend.api import Container, ContainerAction, ContainerState

Index = QModelIndex | QPersistentModelIndex
CONTAINER_ROLE: Final = int(Qt.ItemDataRole.UserRole)
PENDING_ROLE: Final = CONTAINER_ROLE + 1
SORT_ROLE: Final = CONTAINER_ROLE + 2


class Column(IntEnum):
    """In the order of the screen."""

    NAME = 0
    IMAGE = 1
    PORTS = 2
    STATUS = 3
    ACTIONS = 4


class Shown(StrEnum):
    """Which containers the table shows."""

    ALL = "all"
    RUNNING = "running"
    STOPPED = "stopped"


def detail(container: Container) -> str:
    """What stands below the name: the compose project and service, or the short id."""
    if container.compose_project:
        parts = (container.compose_project, container.compose_service)
        return " / ".join(part for part in parts if part)
    return container.short_id


def status_words(container: Container, pending: ContainerAction | None) -> str:
    """The engine's sentence, or what is being done."""
    if pending is not None:
        return texts.action_pending(pending)
    return container.status or texts.container_state(container.state)


def pending_of(index: Index) -> ContainerAction | None:
    """What is being done to a row. Qt's variants turn a StrEnum into a plain string: here it is one again."""
    word = index.data(PENDING_ROLE)
    return ContainerAction(word) if word else None


class ContainerModel(QAbstractTableModel):
    """All containers of the store."""

    def __init__(self, store: AppStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._rows: list[Container] = list(store.containers or ())
        store.containers_changed.connect(self._refresh)
        store.pending_changed.connect(self._repaint)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return text(f"containers.column.{Column(section).name.lower()}")
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        container = self._rows[index.row()]
        column = Column(index.column())
        if role == CONTAINER_ROLE:
            return container
        if role == PENDING_ROLE:
            return self._store.pending.get(container.id)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._words(container, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            if column is Column.NAME:
                return text("containers.row", name=container.name, state=texts.container_state(container.state))
            return self._words(container, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(container, column)
        if role == SORT_ROLE:
            return self._sort_key(container, column)
        return None

    def _words(self, container: Container, column: Column) -> str:
        match column:
            case Column.NAME:
                return container.name
            case Column.IMAGE:
                return container.image
            case Column.PORTS:
                return ", ".join(link.words for link in port_links(container))
            case Column.STATUS:
                return status_words(container, self._store.pending.get(container.id))
            case Column.ACTIONS:
                return ""

    def _tip(self, container: Container, column: Column) -> str:
        if column is Column.NAME:
            return tooltip(f"{container.name}\n{detail(container)}\n{container.command}")
        return tooltip(self._words(container, column))

    def _sort_key(self, container: Container, column: Column) -> str:
        if column is Column.STATUS:
            # Running first, then the newest: the key is a string because Qt compares variants.
            return f"{0 if container.state.is_up else 1}{9_999_999_999 - container.created:010d}"
        # web-2 before web-10.
        return re.sub(r"\d+", lambda digits: digits.group().zfill(12), self._words(container, column).casefold())

    def _refresh(self) -> None:
        fresh = {container.id: container for container in self._store.containers or ()}
        for row in range(len(self._rows) - 1, -1, -1):
            if self._rows[row].id not in fresh:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._rows[row]
                self.endRemoveRows()
        for row, old in enumerate(self._rows):
            new = fresh.pop(old.id)
            if new != old:
                self._rows[row] = new
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))
        if fresh:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(fresh) - 1)
            self._rows.extend(fresh.values())
            self.endInsertRows()

    def _repaint(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(Column) - 1))


class ContainerFilter(QSortFilterProxyModel):
    """What the filter box and the All / Running / Stopped switch leave over."""

    def __init__(self, source: ContainerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._needle = ""
        self._shown = Shown.ALL
        self.setSourceModel(source)
        self.setSortRole(SORT_ROLE)
        self.setSortLocaleAware(True)
        self.sort(Column.NAME)

    @property
    def shown(self) -> Shown:
        """Which are shown."""
        return self._shown

    def set_filter(self, needle: str, shown: Shown) -> None:
        """Show those that contain every word of `needle` somewhere."""
        self._needle = needle.casefold().strip()
        self._shown = shown
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        model = self.sourceModel()
        container = model.data(model.index(row, 0, parent), CONTAINER_ROLE)
        if not isinstance(container, Container):
            return False
        if self._shown is not Shown.ALL and container.state.is_up is not (self._shown is Shown.RUNNING):
            return False
        haystack = " ".join(
            (
                container.name,
                container.image,
                container.id[:12],
                container.compose_project or "",
                container.compose_service or "",
                *(link.words for link in port_links(container)),
            )
        ).casefold()
        return all(word in haystack for word in self._needle.split())


def is_startable(container: Container) -> bool:
    """Whether Start does anything."""
    return container.state in (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)
