"""Four graphs for a container or the machine: use of CPU, memory, network and disk in the last ten minutes."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.features.stats.graph import Graph, Line
from app.features.stats.series import StatsSeries
from app.features.stats.store import StatsStore
from app.state.store import AppStore
from app.texts import _
from app.ui import figures, theme
from app.ui.widgets import label
from backend.api import Phase, StatsSample

_TWO_COLUMNS = 640


class GraphGrid(QWidget):
    """The four graphs in a grid. Not updated while hidden; the store keeps the history."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._container_id: str | None = None
        self._series = StatsSeries()
        self._last: StatsSample | None = None
        self.status = label("", "muted", wrap=True)
        self.status.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.graphs = self._make_graphs(is_machine=True)
        self._grid = QGridLayout()
        self._grid.setSpacing(theme.px(14))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.status)
        column.addLayout(self._grid, 1)
        self._columns = 0
        self._arrange()
        store.part(StatsStore).changed.connect(self.refresh)
        store.containers_changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)

    def show_container(self, container_id: str | None) -> None:
        """Show a container's graphs, or with None the machine's."""
        if (container_id is None) is not (self._container_id is None):
            for graph in self.graphs:
                graph.deleteLater()
            self.graphs = self._make_graphs(is_machine=container_id is None)
            self._columns = 0
            self._arrange()
        self._container_id = container_id
        self._series = StatsSeries(container_id)
        self._last = None
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        if not self.isVisible():
            return
        samples = self._store.part(StatsStore).samples()
        known = next((at for at in range(len(samples) - 1, -1, -1) if samples[at] is self._last), None)
        if known is None:
            self._series = StatsSeries(self._container_id)
        for sample in samples[known + 1 if known is not None else 0 :]:
            self._series.add(sample)
        self._last = samples[-1] if samples else None
        text = self._status_text()
        self.status.setText(text)
        self.status.setVisible(bool(text))
        shown = bool(samples) and not self._series.is_empty
        for graph in self.graphs:
            graph.setVisible(shown)
            graph.refresh(self._series)

    def _status_text(self) -> str:
        """The message to show above or in place of the graphs; "" for none."""
        store = self._store
        problem = store.part(StatsStore).problem
        if problem is not None:
            return f"{problem.summary} {problem.hint or ''}".strip()
        if self._container_id is not None:
            container = store.container(self._container_id)
            if container is not None and not container.state.is_up:
                return _("The container is stopped. Start it to see its stats.")
        if store.phase not in (Phase.RUNNING, Phase.DEGRADED):
            return _("The machine is stopped.")
        return _("Loading stats…") if self._series.is_empty else ""

    @staticmethod
    def _make_graphs(*, is_machine: bool) -> tuple[Graph, Graph, Graph, Graph]:
        def size(value: float) -> str:
            return figures.size(round(value))

        return (
            Graph(
                (_("CPU (all processors)") if is_machine else _("CPU")),
                (Line("", lambda row: row.cpu),),
                figures.percent,
                binary=False,
                limit=lambda series: series.limits.cpu,
                least_top=100.0 if is_machine else 1.0,
            ),
            Graph(
                _("Memory"),
                (Line("", lambda row: row.memory),),
                size,
                binary=True,
                limit=lambda series: series.limits.memory,
            ),
            Graph(
                (_("Network (all containers)") if is_machine else _("Network")),
                (
                    Line(_("received"), lambda row: row.received),
                    Line(_("sent"), lambda row: row.sent),
                ),
                figures.rate,
                binary=True,
            ),
            Graph(
                (_("Disk (all containers)") if is_machine else _("Disk")),
                (
                    Line(_("read"), lambda row: row.read),
                    Line(_("written"), lambda row: row.written),
                ),
                figures.rate,
                binary=True,
            ),
        )

    def _arrange(self) -> None:
        columns = 2 if self.width() >= theme.px(_TWO_COLUMNS) else 1
        if columns != self._columns:
            self._columns = columns
            for number, graph in enumerate(self.graphs):
                self._grid.addWidget(graph, number // columns, number % columns)
            self._grid.setColumnStretch(0, 1)
            self._grid.setColumnStretch(1, 1 if columns == 2 else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()


class StatsGraphs(QScrollArea):
    """The graphs in a scroll area, for use as a page or tab."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(_("Stats"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.grid = GraphGrid(store)
        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(theme.px(20), theme.px(16), theme.px(20), theme.px(16))
        column.addWidget(self.grid)
        self.setWidget(page)

    @property
    def status(self) -> QLabel:
        """The label above or in place of the graphs."""
        return self.grid.status

    def show_container(self, container_id: str | None) -> None:
        """Show a container's graphs, or with None the machine's."""
        self.grid.show_container(container_id)
