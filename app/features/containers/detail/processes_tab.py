"""The tab with a container's processes (`docker top`), reloaded periodically while visible."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QStackedWidget, QTableView, QVBoxLayout, QWidget

from app.features.containers.data.store import DetailStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import icons, theme
from app.ui.empty import EmptyState
from app.ui.safe_text import tooltip
from app.ui.tables.sort_header import SortHeader
from app.ui.widgets import label
from backend.api import ContainerAction, Problem, ProcessTable

REFRESH_MS: Final = 2_000
_NUMERIC: Final = frozenset(("PID", "PPID", "RSS", "VSZ", "%CPU", "%MEM", "C"))
_Index = QModelIndex | QPersistentModelIndex


class ProcessModel(QAbstractTableModel):
    """The table of processes as a Qt model; numbers are sorted by value."""

    def __init__(self) -> None:
        super().__init__()
        self._table = ProcessTable((), ())

    def show(self, table: ProcessTable) -> None:
        """Replace the rows. The view keeps its columns if the titles are the same."""
        if table.titles == self._table.titles and len(table.rows) == len(self._table.rows):
            self._table = table
            if table.rows:
                last = self.index(len(table.rows) - 1, len(table.titles) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._table = table
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own signature
        return 0 if parent.isValid() else len(self._table.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 -- likewise
        return 0 if parent.isValid() else len(self._table.titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and section < len(self._table.titles):
            title = self._table.titles[section]
            if role == Qt.ItemDataRole.DisplayRole:
                return title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignVCenter | _alignment(title)
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        text = self._table.rows[index.row()][index.column()]
        title = self._table.titles[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return text
            case Qt.ItemDataRole.UserRole:  # the sort key
                return _number(text) if title in _NUMERIC else text
            case Qt.ItemDataRole.ToolTipRole if index.column() == len(self._table.titles) - 1:
                return tooltip(text)
            case Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignVCenter | _alignment(title)
            case _:
                return None


def _number(text: str) -> float:
    """Parse a number: "812", or "1.2m" as busybox writes large sizes."""
    digits = text.rstrip("kmgtKMGT")
    factor = 1024.0 ** ("kmgt".find(text[len(digits) :].lower()[:1] or "-") + 1)
    try:
        return float(digits) * factor
    except ValueError:
        return -1.0


def _alignment(title: str) -> Qt.AlignmentFlag:
    return Qt.AlignmentFlag.AlignRight if title in _NUMERIC else Qt.AlignmentFlag.AlignLeft


class ProcessesTab(QWidget):
    """The table, or a message in its place."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._container_id = ""
        self._model = ProcessModel()
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self._proxy.setSortRole(Qt.ItemDataRole.UserRole)
        self.table = QTableView()
        self.table.setObjectName("plain")
        self.table.setModel(self._proxy)
        self.table.setAccessibleName(_("Processes"))
        self.table.setHorizontalHeader(SortHeader(self.table))
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setStretchLastSection(True)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.table, self._copy).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        self._count = label("", "muted")
        self._empty = EmptyState()
        self._problem = ProblemView(store)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(6))
        column.addWidget(self._problem)
        column.addWidget(self.table, 1)
        column.addWidget(self._count)
        self._stack = QStackedWidget()
        self._stack.addWidget(page)
        self._stack.addWidget(self._empty)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        outer.addWidget(self._stack)
        self._timer = QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self._request)
        store.part(DetailStore).processes_changed.connect(self._show)
        store.containers_changed.connect(self._show)

    def show_container(self, container_id: str) -> None:
        """Show another container."""
        self._container_id = container_id
        self._model.show(ProcessTable((), ()))
        self._show()
        self._request()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self._request()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _request(self) -> None:
        if self.isVisible() and self._is_up:
            self._store.part(DetailStore).intents.load_processes.emit(self._container_id)

    @property
    def _is_up(self) -> bool:
        container = self._store.container(self._container_id)
        return container is not None and container.state.is_up

    def _show(self) -> None:
        if not self._container_id:
            return
        if not self._is_up:
            start = (_("Start"), self._start) if self._store.container(self._container_id) else None
            self._empty.show_state(
                icons.glyph("cog-off-outline"), _("No processes"), _("The container is stopped."), action=start
            )
            self._stack.setCurrentWidget(self._empty)
            return
        answer = self._store.part(DetailStore).processes
        if answer is None:
            picture = icons.glyph("format-list-bulleted")
            self._empty.show_state(picture, _("Processes"), _("Loading…"), progress=(0, 0))
            self._stack.setCurrentWidget(self._empty)
            return
        self._stack.setCurrentIndex(0)
        self._problem.show_problem(answer if isinstance(answer, Problem) else None)
        if isinstance(answer, ProcessTable):
            is_first = self._model.columnCount() == 0
            self._model.show(answer)
            self._count.setText(ngettext("{count} process", "{count} processes", len(answer.rows)))
            if is_first:
                self.table.resizeColumnsToContents()

    def _start(self) -> None:
        self._store.intents.act_on_containers.emit((self._container_id,), ContainerAction.START)

    def _copy(self) -> None:
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        columns = range(self._proxy.columnCount())
        lines = ["\t".join(str(self._proxy.index(row, column).data()) for column in columns) for row in rows]
        QGuiApplication.clipboard().setText("\n".join(lines))
