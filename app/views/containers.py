"""The list of containers: filter, table, actions, and what stands there when there is nothing to list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from PySide6.QtCore import QEvent, QItemSelectionModel, QPoint, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import icons, texts, theme
from app.ports import port_links
from app.safe_text import menu_text
from app.store import AppStore, LinkState
from app.texts import text
from app.views.container_delegate import ContainerDelegate
from app.views.container_model import CONTAINER_ROLE, Column, ContainerFilter, ContainerModel, Shown, is_startable
from app.views.container_table import ContainerTable
from app.views.empty import EmptyState
from app.views.problem import ProblemView
from app.widgets import IconButton, label
from backend.api import Container, ContainerAction, ContainerState, Phase, StepState

_SEGMENTS: Final = {
    Shown.ALL: "containers.all",
    Shown.RUNNING: "containers.running",
    Shown.STOPPED: "containers.stopped",
}


class _Kind(NamedTuple):
    """One action on containers."""

    glyph: str
    shortcut: str
    applies: Callable[[Container], bool]
    on_bar: bool


_KINDS: Final = {
    ContainerAction.START: _Kind("play", "Ctrl+Return", is_startable, True),
    ContainerAction.STOP: _Kind("stop", "Ctrl+.", lambda entry: entry.state.is_up, True),
    ContainerAction.RESTART: _Kind("restart", "Ctrl+R", lambda entry: entry.state.is_up, True),
    ContainerAction.PAUSE: _Kind("pause", "", lambda entry: entry.state is ContainerState.RUNNING, False),
    ContainerAction.UNPAUSE: _Kind("play", "", lambda entry: entry.state is ContainerState.PAUSED, False),
    ContainerAction.KILL: _Kind("close-octagon-outline", "", lambda entry: entry.state.is_up, False),
    ContainerAction.REMOVE: _Kind("trash-can-outline", "Del", lambda _entry: True, True),
}


class ContainersView(QWidget):
    """A function of the store, but for the filter and the selection, which are its own."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self._store = store
        self.model = ContainerModel(store, self)
        self.proxy = ContainerFilter(self.model, self)
        self.table = ContainerTable()
        self.filter = QLineEdit(clearButtonEnabled=True)
        self.empty = EmptyState()
        self.problem = ProblemView()
        self.actions_by_kind: dict[ContainerAction, QAction] = {}
        self._stack = QStackedWidget()
        self._nothing = QWidget()
        self._count = label("", "muted")
        self._segments = QButtonGroup(self)
        self._make_actions()
        self._make_table()
        self._lay_out()
        store.containers_changed.connect(self.refresh)
        store.pending_changed.connect(self._enable_actions)
        store.machine_changed.connect(self.refresh)
        store.engine_changed.connect(self.refresh)
        self.refresh()

    @property
    def selected(self) -> list[Container]:
        """The selected rows, in the order of the screen."""
        rows = sorted(self.table.selectionModel().selectedRows(), key=lambda index: index.row())
        return [row.data(CONTAINER_ROLE) for row in rows]

    @property
    def container_actions(self) -> list[QAction]:
        """For the menu bar."""
        return [self.logs_action, *self.actions_by_kind.values()]

    def select(self, container_id: str) -> None:
        """Select one row, if it is shown."""
        for row in range(self.proxy.rowCount()):
            index = self.proxy.index(row, 0)
            if index.data(CONTAINER_ROLE).id == container_id:
                # Not selectRow: it toggles while the user happens to hold Ctrl.
                flags = QItemSelectionModel.SelectionFlag
                self.table.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
                return

    def refresh(self) -> None:
        """Show the store."""
        everything = self._store.containers or ()
        running = len(self._store.running)
        self._count.setText(text("containers.count", running=running, total=len(everything)) if everything else "")
        self._show_problem()
        if self._store.containers is not None and self.proxy.rowCount():
            self._stack.setCurrentWidget(self.table)
        else:
            self._show_empty()
            self._stack.setCurrentWidget(self._nothing if self._is_failed else self.empty)
        self._bar.setVisible(bool(everything))
        self._enable_actions()

    def _make_actions(self) -> None:
        self.logs_action = self._action("containers.logs", "text-box-outline", "Return", self._open_logs)
        for kind, (glyph, shortcut, _applies, _on_bar) in _KINDS.items():
            self.actions_by_kind[kind] = self._action(f"action.{kind.value}", glyph, shortcut, self._acts(kind))

    def _action(self, key: str, glyph: str, shortcut: str, triggered: Callable[[], None]) -> QAction:
        action = QAction(icons.glyph(glyph), text(key), self.table)
        action.setData(glyph)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
            # Del and Return belong to the table: in the filter box they mean something else.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(lambda _checked=False: triggered())
        self.table.addAction(action)
        return action

    def _acts(self, kind: ContainerAction) -> Callable[[], None]:
        return lambda: self.ask(kind, self.selected)

    def _make_table(self) -> None:
        table = self.table
        table.setModel(self.proxy)
        delegate = ContainerDelegate(table)
        delegate.action_clicked.connect(self._clicked)
        delegate.logs_clicked.connect(self._store.intents.open_log)
        delegate.url_clicked.connect(self._store.intents.open_url)
        table.set_delegate(delegate)
        table.sortByColumn(Column.NAME, Qt.SortOrder.AscendingOrder)
        table.selectionModel().selectionChanged.connect(self._enable_actions)
        table.customContextMenuRequested.connect(self._open_menu)
        table.doubleClicked.connect(lambda _index: self._open_logs())
        for signal in (self.proxy.rowsInserted, self.proxy.rowsRemoved, self.proxy.modelReset):
            signal.connect(self.refresh)

    def _lay_out(self) -> None:
        self.filter.setPlaceholderText(text("containers.filter"))
        self.filter.setAccessibleName(text("containers.filter.name"))
        self.filter.addAction(icons.glyph("magnify"), QLineEdit.ActionPosition.LeadingPosition)
        self.filter.setMinimumWidth(160)
        self.filter.setMaximumWidth(340)
        self.filter.textChanged.connect(self._filter)
        self._bar = QWidget()
        bar = QHBoxLayout(self._bar)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(8)
        bar.addWidget(self.filter, 1)
        for shown, key in _SEGMENTS.items():
            segment = QToolButton()
            segment.setText(text(key))
            segment.setCheckable(True)
            segment.setChecked(shown is Shown.ALL)
            segment.setProperty("role", "segment")
            segment.setProperty("shown", shown.value)
            segment.setAccessibleName(text("containers.show", which=text(key)))
            segment.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self._segments.addButton(segment)
            bar.addWidget(segment)
        self._segments.buttonClicked.connect(lambda _button: self._filter())
        bar.addStretch(1)
        for kind, (glyph, shortcut, _applies, on_bar) in _KINDS.items():
            if on_bar:
                button = IconButton(glyph, texts.action(kind), shortcut)
                action = self.actions_by_kind[kind]
                button.clicked.connect(action.trigger)
                button.setEnabled(action.isEnabled())
                action.enabledChanged.connect(button.setEnabled)
                bar.addWidget(button)
        top = QHBoxLayout()
        top.addWidget(label(text("containers.title"), "title"))
        top.addSpacing(10)
        top.addWidget(self._count, 1, Qt.AlignmentFlag.AlignBottom)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._nothing)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 14)
        column.setSpacing(12)
        column.addLayout(top)
        column.addWidget(self.problem)
        column.addWidget(self._bar)
        column.addWidget(self._stack, 1)

    def _filter(self) -> None:
        checked = self._segments.checkedButton()
        shown = Shown(checked.property("shown")) if checked else Shown.ALL
        self.proxy.set_filter(self.filter.text(), shown)
        self.refresh()

    @property
    def _is_failed(self) -> bool:
        """Whether the problem above says all there is to say."""
        return self._store.phase is Phase.FAILED and self.problem.problem is not None

    def clear_filter(self) -> None:
        """Show everything."""
        self._segments.buttons()[0].setChecked(True)
        self.filter.clear()
        self._filter()

    def _enable_actions(self) -> None:
        chosen = [entry for entry in self.selected if entry.id not in self._store.pending]
        can = self._store.engine_link is LinkState.UP
        for kind, action in self.actions_by_kind.items():
            action.setEnabled(can and any(_KINDS[kind].applies(entry) for entry in chosen))
        self.logs_action.setEnabled(len(self.selected) == 1)

    def _clicked(self, container_id: str, kind: ContainerAction) -> None:
        container = self._store.container(container_id)
        if container is not None:
            self.ask(kind, [container])

    def ask(self, kind: ContainerAction, containers: list[Container]) -> None:
        """Do `kind` to those that it applies to; before removing ask once."""
        chosen = [entry for entry in containers if _KINDS[kind].applies(entry) and entry.id not in self._store.pending]
        if not chosen:
            return
        if kind is ContainerAction.REMOVE:
            self._confirm_removal(chosen)
        else:
            self._store.intents.act_on_containers.emit(tuple(entry.id for entry in chosen), kind)

    def _confirm_removal(self, containers: list[Container]) -> None:
        running = sum(entry.state.is_up for entry in containers)
        count = len(containers)
        box = QMessageBox(self)
        box.setWindowTitle(text("remove.title"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText(texts.plural("remove.question", count, name=containers[0].name))
        lines = [text("remove.lost"), text("remove.kept")]
        if running:
            single = text("remove.running.single")
            lines.insert(0, single if count == 1 else texts.plural("remove.running", running))
        box.setInformativeText("\n".join(lines))
        confirm = box.addButton(text("remove.confirm"), QMessageBox.ButtonRole.DestructiveRole)
        cancel = box.addButton(text("common.cancel"), QMessageBox.ButtonRole.RejectRole)
        for button in (confirm, cancel):
            button.setAccessibleName(button.text())
        confirm.setProperty("role", "danger")
        box.setDefaultButton(cancel)
        box.setEscapeButton(cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        ids = tuple(entry.id for entry in containers)
        confirm.clicked.connect(lambda: self._store.intents.act_on_containers.emit(ids, ContainerAction.REMOVE))
        box.open()

    def _open_logs(self) -> None:
        if len(chosen := self.selected) == 1:
            self._store.intents.open_log.emit(chosen[0].id)

    def _open_menu(self, at: QPoint) -> None:
        self.build_menu().popup(self.table.viewport().mapToGlobal(at))

    def build_menu(self) -> QMenu:
        """The context menu of the selection."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chosen = self.selected
        menu.addAction(self.logs_action)
        if len(chosen) == 1:
            for link in port_links(chosen[0]):
                if link.url is not None:
                    opens = menu.addAction(icons.glyph("open-in-new"), text("containers.open-port", url=link.url))
                    opens.triggered.connect(lambda _=False, url=link.url: self._store.intents.open_url.emit(url))
        menu.addSeparator()
        for action in self.actions_by_kind.values():
            if action.isEnabled():
                menu.addAction(action)
        menu.addSeparator()
        for key, values in (
            ("containers.copy-name", [entry.name for entry in chosen]),
            ("containers.copy-id", [entry.id for entry in chosen]),
        ):
            copies = menu.addAction(icons.glyph("content-copy"), menu_text(text(key)))
            copies.setEnabled(bool(values))
            copies.triggered.connect(
                lambda _=False, words=values: QGuiApplication.clipboard().setText("\n".join(words))
            )
        return menu

    def _show_problem(self) -> None:
        """A failed machine, an agent or an engine that cannot be reached: said above whatever else is shown."""
        store = self._store
        machine = store.machine
        if store.agent_link is not LinkState.UP and store.agent_problem is not None:
            self.problem.show_problem(store.agent_problem)
        elif machine is not None and machine.phase is Phase.FAILED and machine.problems:
            again = (text("machine.start-again"), store.intents.start_machine.emit)
            self.problem.show_problem(machine.problems[0], [again])
        elif store.engine_link is LinkState.RECONNECTING and store.engine_problem is not None:
            self.problem.show_problem(store.engine_problem, [(text("problem.retry"), store.intents.refresh.emit)])
        else:
            self.problem.show_problem(None)

    def _show_empty(self) -> None:
        store, phase, show = self._store, self._store.phase, self.empty.show_state
        start = (text("machine.start"), store.intents.start_machine.emit)
        muted = theme.current().muted
        if store.containers:
            clear = (text("containers.no-match.clear"), self.clear_filter)
            show(icons.glyph("filter-off-outline", muted), "containers.no-match", action=clear)
        elif store.containers is not None:
            command = text("containers.empty.command")
            show(icons.glyph("cube-outline", muted), "containers.empty", command=command)
        elif phase in (Phase.STOPPED, Phase.FAILED):
            show(
                icons.boat("tray-stopped"),
                "containers.stopped-machine",
                action=start if phase is Phase.STOPPED else None,
            )
        elif phase in (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING):
            steps = store.machine.steps if store.machine else ()
            done = sum(step.state is StepState.DONE for step in steps)
            show(icons.boat("tray-starting"), "containers.starting", progress=(done, len(steps)))
        elif phase is Phase.STOPPING:
            show(icons.boat("tray-starting"), "containers.stopping", progress=(0, 0))
        elif phase is not None:
            show(icons.boat("tray-running"), "containers.loading", progress=(0, 0))
        else:
            show(icons.boat("tray-stopped"), "containers.unknown", progress=(0, 0))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "logs_action"):
            for action in self.container_actions:
                action.setIcon(icons.glyph(action.data()))
            self.refresh()
