"""The container list: filter, table, actions, and a message when there is nothing to list."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.actions.actions import ContainerActions
from app.features.containers.actions.entries import BY_NAME
from app.features.containers.list.bar import SelectionBar
from app.features.containers.list.columns import Group, count_running, usage
from app.features.containers.list.model import ContainerModel
from app.features.containers.list.rows import StateFilter
from app.features.containers.list.table import ContainerTable
from app.features.problems.problem import ProblemView
from app.features.stats.store import StatsStore
from app.links.link_state import LinkState
from app.state.machine_actions import refusal, start_label
from app.state.store import AppStore
from app.texts import _, message, message_in, say
from app.ui import figures, icons, theme
from app.ui.empty import EmptyState
from app.ui.safe_text import tooltip
from app.ui.widgets import FilterField, IconButton, button, label
from backend.api import Container, ContainerAction, Phase, StepState

_SEGMENTS: Final = {
    StateFilter.ALL: message("All"),
    StateFilter.RUNNING: message("Running"),
    StateFilter.STOPPED: message_in("containers", "Stopped"),
}

_ROOM_FOR_TOTALS: Final = 760


class ContainersView(QWidget):
    """Shows the store's containers; filter and selection are its own state."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self._store = store
        self.model = ContainerModel(store, self)
        self.table = ContainerTable(self.model, store.preferences)
        self.actions_of_list = ContainerActions(store, self.table, self._target)
        self.bar = SelectionBar(self.actions_of_list)
        self.filter = FilterField(_("Filter by name, image or port"), _("Filter containers"))
        self.empty = EmptyState()
        self.problem = ProblemView(store)
        self.run = button(_("Run a container"), lambda: store.intents.new_container.emit(""), "primary")
        self.columns = IconButton("view-column-outline", _("Choose columns"))
        self.totals = label("", "muted")
        self._stack = QStackedWidget()
        self._nothing = QWidget()
        self._count = label("", "muted")
        self._segments = QButtonGroup(self)
        self._lay_out()
        self._connect()
        self.refresh()

    @property
    def selected(self) -> list[Container]:
        """The selected containers, with those of selected projects, in display order."""
        return self.model.containers_of(self.table.selected_rows())

    @property
    def actions_by_kind(self) -> dict[ContainerAction, QAction]:
        """The QAction of each container action."""
        return self.actions_of_list.by_kind

    @property
    def container_actions(self) -> list[QAction]:
        """The actions for the menu bar."""
        return self.actions_of_list.all

    def select(self, container_id: str) -> None:
        """Select one container, if it is visible."""
        number = self.model.row_of_key(container_id)
        if number is not None:
            self.table.select_keys({container_id})
            self.table.set_current(number)

    def set_current(self, container_id: str) -> None:
        """Mark a container as the current one, if it is visible; the selection is unchanged."""
        number = self.model.row_of_key(container_id)
        if number is not None:
            self.table.set_current(number)

    def focus_search(self) -> None:
        """Focus the filter field."""
        self.filter.go_to()

    def clear_filter(self) -> None:
        """Remove the filter."""
        self._segments.buttons()[0].setChecked(True)
        self.filter.clear()
        self._filter()

    def build_menu(self) -> QMenu:
        """The context menu of the selection."""
        return self.actions_of_list.build_menu()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        everything = self._store.containers or ()
        running = count_running(everything)
        self._count.setText(
            _("{running} of {total} running", running=running, total=len(everything)) if everything else ""
        )
        self._show_problem()
        if self._store.containers is not None and self.model.rowCount():
            self._stack.setCurrentWidget(self.table)
        else:
            self._show_empty()
            self._stack.setCurrentWidget(self._nothing if self._is_failed else self.empty)
        self._toolbar.setVisible(bool(everything))
        self.run.setVisible(bool(everything))
        self.run.setEnabled(self._store.engine_link is LinkState.UP)
        self._show_totals()
        self._show_selection()

    def _target(self) -> list[Container]:
        """The containers an action applies to: the selection, or else the current row."""
        rows = self.table.selected_rows()
        if not rows and self.table.currentIndex().isValid():
            rows = [self.table.currentIndex().row()]
        return self.model.containers_of(rows)

    def _connect(self) -> None:
        store, table = self._store, self.table
        self.model.refreshed.connect(self.refresh)
        store.pending_changed.connect(self._show_selection)
        store.intents.do_with_container.connect(self._do)
        store.machine_changed.connect(self.refresh)
        store.engine_changed.connect(self.refresh)
        store.part(StatsStore).changed.connect(self._show_totals)
        table.selectionModel().selectionChanged.connect(self._show_selection)
        table.selectionModel().currentRowChanged.connect(self._show_selection)
        table.opened.connect(self._open)
        table.url_opened.connect(store.intents.open_url)
        table.action_requested.connect(self._on_action_requested)
        table.menu_requested.connect(self._open_menu)
        self.bar.cleared.connect(self._clear_selection)
        self.columns.clicked.connect(self._open_column_menu)

    def _lay_out(self) -> None:
        self.filter.textChanged.connect(self._filter)
        self.filter.left.connect(self.table.enter)
        self._toolbar = QWidget()
        bar = QHBoxLayout(self._toolbar)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(theme.px(8))
        bar.addWidget(self.filter, 1)
        for shown, title in _SEGMENTS.items():
            segment = QToolButton()
            segment.setText(say(title))
            segment.setCheckable(True)
            segment.setChecked(shown is StateFilter.ALL)
            segment.setProperty("role", "segment")
            segment.setProperty("shown", shown.value)
            segment.setAccessibleName(_("Show: {which}", which=say(title)))
            segment.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self._segments.addButton(segment)
            bar.addWidget(segment)
        self._segments.buttonClicked.connect(self._filter)
        bar.addStretch(1)
        bar.addWidget(self.totals)
        bar.addWidget(self.columns)
        top = QHBoxLayout()
        top.addWidget(label(_("Containers"), "title"))
        top.addSpacing(theme.px(10))
        top.addWidget(self._count, 1, Qt.AlignmentFlag.AlignBottom)
        top.addWidget(self.run)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._nothing)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(14))
        column.setSpacing(theme.px(12))
        column.addLayout(top)
        column.addWidget(self.problem)
        column.addWidget(self._toolbar)
        column.addWidget(self._stack, 1)
        column.addWidget(self.bar)

    def _filter(self) -> None:
        checked = self._segments.checkedButton()
        shown = StateFilter(checked.property("shown")) if checked else StateFilter.ALL
        self.model.set_arrangement(needle=self.filter.text().casefold().strip(), shown=shown)

    @property
    def _is_failed(self) -> bool:
        """Whether a problem is shown above that explains the empty list."""
        return self._store.phase is Phase.FAILED and self.problem.problem is not None

    def _show_selection(self) -> None:
        self.actions_of_list.enable()
        self.bar.show_selection(self.selected)

    def _show_totals(self) -> None:
        running = self._store.running
        used = usage(Group("", running, False, running), self._store.part(StatsStore))
        # The status bar has the machine's; where there is little room the filter comes first.
        self.totals.setVisible(used is not None and self.width() >= theme.px(_ROOM_FOR_TOTALS))
        if used is not None:
            self.totals.setText(
                _("CPU {cpu}   Memory {memory}", cpu=figures.percent(used[0]), memory=figures.size(used[1]))
            )
            self.totals.setToolTip(tooltip(_("Total for all running containers. 100% = one full processor.")))

    def _open(self, container_id: str) -> None:
        self._store.intents.open_container.emit(container_id, "")

    def _on_action_requested(self, kind: ContainerAction, row: Container | Group) -> None:
        self.actions_of_list.request(kind, row.members if isinstance(row, Group) else [row])

    def _do(self, name: str, container_id: str) -> None:
        """Do what was chosen elsewhere, as in the palette."""
        container = self._store.container(container_id)
        if container is not None and BY_NAME[name].applies(self._store, (container,)):
            BY_NAME[name].run(self._store, self.window(), (container,))

    def _clear_selection(self) -> None:
        self.table.clearSelection()
        self.table.setFocus()

    def _open_menu(self, at: QPoint) -> None:
        if self._target():
            self.build_menu().popup(at)

    def _open_column_menu(self) -> None:
        self.table.column_menu().popup(self.columns.mapToGlobal(self.columns.rect().bottomLeft()))

    def _show_problem(self) -> None:
        """Show a failed machine or an unreachable agent or engine above the list."""
        store = self._store
        machine = store.machine
        if store.agent_link is not LinkState.UP and store.agent_problem is not None:
            self.problem.show_problem(store.agent_problem)
        elif machine is not None and machine.phase is Phase.FAILED and machine.problems:
            again = (_("Start again"), store.intents.start_machine.emit)
            self.problem.show_problem(machine.problems[0], [again])
        elif store.engine_link is LinkState.RECONNECTING and store.engine_problem is not None:
            self.problem.show_problem(store.engine_problem, [(_("Try again"), store.intents.refresh.emit)])
        else:
            self.problem.show_problem(None)

    def _show_empty(self) -> None:
        store, phase, show = self._store, self._store.phase, self.empty.show_state
        start = (start_label(store), store.intents.start_machine.emit) if not refusal(store) else None
        muted = theme.current().muted
        if store.containers:
            clear = (_("Clear filter"), self.clear_filter)
            show(
                icons.glyph("filter-off-outline", muted),
                _("No matches"),
                _("No containers match the filter."),
                action=clear,
            )
        elif store.containers is not None:
            run = (_("Run a container"), lambda: store.intents.new_container.emit(""))
            command = "docker run -it --rm alpine"
            show(
                icons.glyph("cube-outline", muted),
                _("No containers yet"),
                _("Run a container here, or enter this in a terminal:"),
                command=command,
                action=run,
            )
        elif phase in (Phase.STOPPED, Phase.FAILED):
            show(
                icons.boat("tray-stopped"),
                _("The machine is stopped"),
                _("Your containers and images are safe on its disk. Start the machine to use Docker."),
                action=start if phase is Phase.STOPPED else None,
            )
        elif phase is Phase.SUSPENDED:
            show(
                icons.boat("tray-suspended"),
                _("Wherry is suspended"),
                _("Resume, and your containers pick up where they left off."),
                action=start,
            )
        elif phase in (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING):
            steps = store.machine.steps if store.machine else ()
            done = sum(step.state is StepState.DONE for step in steps)
            show(
                icons.boat("tray-starting"),
                _("The machine is starting"),
                _("Your containers appear here as soon as the Docker engine is ready."),
                progress=(done, len(steps)),
            )
        elif phase is Phase.STOPPING:
            if store.is_suspending:
                title, cell_text = (
                    _("The machine is suspending"),
                    _("Saving memory to disk. Containers pick up where they left off when you resume."),
                )
            else:
                title, cell_text = _("The machine is stopping"), _("Stopping containers…")
            show(icons.boat("tray-starting"), title, cell_text, progress=(0, 0))
        elif phase is not None:
            show(
                icons.boat("tray-running"),
                _("Loading containers"),
                _("Connecting to the Docker engine…"),
                progress=(0, 0),
            )
        else:
            show(icons.boat("tray-stopped"), _("Connecting"), _("Connecting to the machine…"), progress=(0, 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_totals()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "bar"):
            self.actions_of_list.recolour()
            self.refresh()
