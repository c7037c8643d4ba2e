"""The Ports page: published ports with their addresses, containers, state and conflicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QAction, QGuiApplication, QHideEvent, QKeySequence, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from app.features.ports.columns import also, columns
from app.features.ports.conflicts import PortConflicts
from app.features.ports.rows import PortRow, same_ports
from app.features.ports.store import PortsStore
from app.features.ports.table import PortTable
from app.features.problems.problem import ProblemView
from app.links.link_state import LinkState
from app.state.machine_actions import refusal, start_label
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import icons, theme
from app.ui.empty import EmptyState
from app.ui.tables.listing_model import ENTRY_ROLE, ListingFilter, ListingModel
from app.ui.widgets import FilterField, ScrollingRow, button, label
from backend.api import Phase

_HIGH: Final = 500
"""From this height in pixels (at 100 % zoom) there is room for three conflicts above the table."""
_COMMAND: Final = "docker run -d -p 8080:80 nginx"


class PortsView(QWidget):
    """The page with filter, table and actions. The list is loaded while the page is visible."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("page")
        self._store = store
        self.model = ListingModel(columns(), self)
        self.proxy = ListingFilter(self.model, self, also)
        self.table = PortTable(self.model.columns)
        self.filter = FilterField(_("Filter"), _("Filter {what}", what=_("Ports")))
        self.empty = EmptyState()
        self.problem = ProblemView(store)
        self.conflicts = PortConflicts(store)
        self._count = label("", "muted")
        self._stack = QStackedWidget()
        self._make_actions()
        self._make_table()
        self._lay_out()
        store.part(PortsStore).changed.connect(self.refresh)
        store.machine_changed.connect(self._show_state)
        store.containers_changed.connect(self._enable)
        self.refresh()

    @property
    def selected(self) -> list[PortRow]:
        """The selected ports, in display order."""
        return self.table.selected

    def focus_search(self) -> None:
        """Focus the filter field."""
        self.filter.go_to()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        rows = self._store.part(PortsStore).rows or ()
        if same_ports(self.model.rows, rows):
            self.model.revise(rows)
        else:
            self.table.show_rows(rows)
        self._show_state()
        self._enable()

    def show_conflicts(self) -> None:
        """Select the ports that cannot be reached, and scroll to them."""
        self.filter.clear()
        self.table.select_keys({row.key for row in self._store.part(PortsStore).conflicts})
        first = min((index.row() for index in self.table.selectionModel().selectedRows()), default=None)
        if first is not None:
            self.table.set_current(first)  # which scrolls there
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._store.intents.watch_ports.emit(True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.conflicts.show_at_most(3 if self.height() >= theme.px(_HIGH) else 1)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._store.intents.watch_ports.emit(False)

    # --- state -----------------------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        store, ports = self._store, self._store.part(PortsStore)
        again = [(_("Try again"), store.intents.refresh.emit)]
        unreachable = store.agent_problem if store.agent_link is not LinkState.UP else None
        problem = unreachable or (ports.problem if self._is_up or ports.rows else None)
        self.problem.show_problem(problem, [] if unreachable else again)
        total = len(ports.rows or ())
        self._count.setText(ngettext("{count} published port", "{count} published ports", total) if total else "")
        self.filter.setEnabled(bool(total))
        self._bar.setVisible(bool(total))
        if self.proxy.rowCount():
            self._stack.setCurrentWidget(self.table)
            return
        self._stack.setCurrentWidget(self.empty)
        self._show_empty(total)

    @property
    def _is_up(self) -> bool:
        return self._store.phase in (Phase.RUNNING, Phase.DEGRADED)

    def _show_empty(self, total: int) -> None:
        store, ports = self._store, self._store.part(PortsStore)
        picture = icons.glyph("swap-horizontal", theme.current().muted)
        if total:
            clear = (_("Clear filter"), self.filter.clear)
            self.empty.show_state(picture, _("No matches"), _("Nothing matches the filter."), action=clear)
        elif store.phase in (Phase.STOPPED, Phase.FAILED, Phase.SUSPENDED):
            start = (start_label(store), store.intents.start_machine.emit) if not refusal(store) else None
            if store.phase is Phase.SUSPENDED:
                title, text = _("Wherry is suspended"), _("Resume, and your containers' ports are reachable again.")
            else:
                title, text = (
                    _("The machine is stopped"),
                    _("Start the machine, and your containers' ports are published again."),
                )
            self.empty.show_state(picture, title, text, action=start)
        elif ports.rows is None and self.problem.problem is not None:
            self.empty.show_state(
                icons.glyph("alert-outline", theme.current().muted),
                _("Couldn't load the published ports"),
                _("See the message above. Containers and their ports may still work."),
            )
        elif ports.rows is None:
            self.empty.show_state(picture, _("Loading published ports"), _("Waiting for the machine…"), progress=(0, 0))
        else:
            self.empty.show_state(
                picture,
                _("No published ports"),
                _(
                    "Publish a container's port with -p when you run it, or with ports in a Compose "
                    "file. This example answers at localhost:8080:"
                ),
                command=_COMMAND,
            )

    # --- actions ---------------------------------------------------------------------------------------------------

    def _make_actions(self) -> None:
        self._glyphs: dict[QAction, str] = {}
        self.open = self._action(_("Open in browser"), "open-in-new", ("Return", "Enter"), self._open)
        self.show_container = self._action(_("Show container"), "cube-outline", ("Ctrl+Return", "Ctrl+Enter"), self._go)
        self.copy_address = self._action(_("Copy address"), "content-copy", ("Ctrl+C",), self._copy_addresses)
        self.copy_curl = self._action(_("Copy curl command"), "console-line", ("Ctrl+Shift+C",), self._copy_curl)

    def _action(self, text: str, glyph: str, shortcuts: tuple[str, ...], run: Callable[[], None]) -> QAction:
        action = QAction(icons.glyph(glyph), text, self.table)
        self._glyphs[action] = glyph
        action.setShortcuts([QKeySequence(keys) for keys in shortcuts])
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(lambda _checked=False: run())
        self.table.addAction(action)
        return action

    @property
    def _target(self) -> list[PortRow]:
        """The ports an action applies to: the selection, or else the current row."""
        if self.selected:
            return self.selected
        current = self.table.currentIndex()
        return [current.data(ENTRY_ROLE)] if current.isValid() else []

    def _enable(self) -> None:
        target = self._target
        one = target[0] if len(target) == 1 else None
        self.open.setEnabled(one is not None and one.url is not None)
        self.show_container.setEnabled(one is not None and self._store.container(one.container_id) is not None)
        self.copy_address.setEnabled(bool(target))
        self.copy_curl.setEnabled(any(row.url for row in target))

    def _open(self) -> None:
        for row in self._target[:1]:
            self._open_browser(row)

    def _open_browser(self, row: PortRow) -> None:
        if row.url is not None:
            self._store.intents.open_url.emit(row.url)

    def _go(self) -> None:
        for row in self._target[:1]:
            self._go_to_container(row)

    def _go_to_container(self, row: PortRow) -> None:
        if self._store.container(row.container_id) is not None:
            self._store.intents.open_container.emit(row.container_id, "")

    def _copy_addresses(self) -> None:
        self._copy([row.address for row in self._target])

    def _copy_curl(self) -> None:
        self._copy([f"curl {row.url}" for row in self._target if row.url])

    @staticmethod
    def _copy(lines: list[str]) -> None:
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))

    def _open_menu(self, at: QPoint) -> None:
        if not self._target:
            return
        menu = QMenu(self)
        menu.addActions([self.open, self.show_container])
        menu.addSeparator()
        menu.addActions([self.copy_address, self.copy_curl])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.table.viewport().mapToGlobal(at))

    # --- layout ----------------------------------------------------------------------------------------------------

    def _make_table(self) -> None:
        table = self.table
        table.setAccessibleName(_("Ports"))
        table.setModel(self.proxy)
        table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        table.customContextMenuRequested.connect(self._open_menu)
        table.browser_requested.connect(self._open_browser)
        table.container_requested.connect(self._go_to_container)
        table.selectionModel().selectionChanged.connect(self._enable)
        table.selectionModel().currentRowChanged.connect(self._enable)
        self.conflicts.show_requested.connect(self.show_conflicts)

    def _lay_out(self) -> None:
        self.filter.textChanged.connect(self._filter)
        self.filter.left.connect(self.table.enter)
        head = QHBoxLayout()
        head.addWidget(label(_("Ports"), "title"))
        head.addSpacing(theme.px(8))
        head.addWidget(self._count)
        head.addStretch(1)
        head.addWidget(self.filter, 1)
        controls = QWidget()
        bar = QHBoxLayout(controls)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(theme.px(8))
        for action in (self.open, self.show_container, self.copy_address, self.copy_curl):
            bar.addWidget(_button_of(action))
        bar.addStretch(1)
        self._bar = ScrollingRow(controls)
        # Otherwise long conflicts could leave no room for the table.
        self._stack.setMinimumHeight(theme.px(120))
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(14))
        column.setSpacing(theme.px(12))
        column.addLayout(head)
        column.addWidget(self.problem)
        column.addWidget(self.conflicts)
        column.addWidget(self._stack, 1)
        column.addWidget(self._bar)

    def _filter(self) -> None:
        self.proxy.set_filter(self.filter.text())
        self._show_state()
        self._enable()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_bar"):
            self._show_state()
            for action, glyph in self._glyphs.items():
                action.setIcon(icons.glyph(glyph))


def _button_of(action: QAction) -> QWidget:
    """A button for an action, enabled and disabled with it."""
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    widget = button(action.text(), action.trigger, None, _("Keyboard shortcut in the list: {keys}", keys=keys))
    action.enabledChanged.connect(widget.setEnabled)
    widget.setEnabled(action.isEnabled())
    return widget
