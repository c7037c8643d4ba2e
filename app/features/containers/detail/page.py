"""The page of one container: header, tabs and jobs. A tab is created when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, cast, runtime_checkable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from app.features.containers.data.store import DetailStore
from app.features.containers.detail.facts_tab import FactsTab
from app.features.containers.detail.header import DetailHeader
from app.features.containers.detail.inspect_tab import InspectTab
from app.features.containers.detail.jobs_bar import JobsBar
from app.features.containers.detail.processes_tab import ProcessesTab
from app.features.containers.detail.terminal_tab import TerminalTab
from app.features.containers.files.tab import FilesTab
from app.features.logs.view.tab import LogsTab
from app.features.stats.graphs import StatsGraphs
from app.state.store import AppStore
from app.texts import Message, _, message, say
from app.ui import icons
from app.ui.safe_text import menu_text


@runtime_checkable
class ContainerTab(Protocol):
    """What every tab's widget has; one with a search field has `focus_search()` too."""

    def show_container(self, container_id: str) -> None:
        """Show a container, by id; "" for none."""
        ...


class Tab(NamedTuple):
    """Description of one tab."""

    title: Message
    glyph: str
    make: Callable[[AppStore], QWidget]
    """Creates a widget that is a `ContainerTab`."""


TABS: Final[dict[str, Tab]] = {
    "logs": Tab(message("Logs"), "text-box-outline", LogsTab),
    "inspect": Tab(message("Inspect"), "code-json", InspectTab),
    "terminal": Tab(message("Terminal"), "console", TerminalTab),
    "files": Tab(message("Files"), "folder-outline", FilesTab),
    "stats": Tab(message("Stats"), "chart-line", StatsGraphs),
    "processes": Tab(message("Processes"), "format-list-bulleted", ProcessesTab),
    "mounts": Tab(message("Mounts & environment"), "tune-variant", FactsTab),
}
"""The tabs in display order, by the name used in `store.intents.open_container`."""


class DetailPage(QWidget):
    """The page. `open` chooses the container."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._container_id = ""
        self._name = ""
        self.setObjectName("page")
        self.header = DetailHeader(store)
        self.header.left.connect(self._leave_safely)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setObjectName("detail-tabs")
        self.tabs.setAccessibleName(_("Container details"))
        self.tabs.tabBar().setAccessibleName(_("Container details"))
        self._created: dict[str, QWidget] = {}
        self._shown_for: dict[str, str] = {}
        """Id of the container that each tab shows, by tab name."""
        self._holders: dict[str, QVBoxLayout] = {}
        for name, tab in TABS.items():
            holder = QWidget()
            self._holders[name] = QVBoxLayout(holder)
            self._holders[name].setContentsMargins(0, 0, 0, 0)
            self.tabs.addTab(holder, icons.glyph(tab.glyph), menu_text(say(tab.title)))
        self.tabs.currentChanged.connect(lambda _number: self._show_tab())
        self.jobs = JobsBar(store)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.jobs)
        QShortcut(QKeySequence("Esc"), self, self._go_back).setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        store.containers_changed.connect(self._show_head)
        store.pending_changed.connect(self._show_head)

    @property
    def container_id(self) -> str:
        """Id of the open container; "" for none."""
        return self._container_id

    @property
    def tab_name(self) -> str:
        """Name of the open tab."""
        return list(TABS)[self.tabs.currentIndex()]

    def tab(self, name: str) -> QWidget:
        """A tab of `TABS`, created on first use."""
        widget = self._created.get(name)
        if widget is None:
            widget = self._created[name] = TABS[name].make(self._store)
            self._holders[name].addWidget(widget)
        return widget

    def open(self, container_id: str, tab: str = "") -> None:
        """Open a container at a tab of `TABS`; "" for the first."""
        if container_id != self._container_id:
            self._container_id = container_id
            self._store.part(DetailStore).intents.open.emit(container_id)
            # So that this page receives Escape and the arrow keys from the beginning.
            self.tabs.tabBar().setFocus(Qt.FocusReason.OtherFocusReason)
        self._show_head()
        number = list(TABS).index(tab) if tab in TABS else 0
        if number == self.tabs.currentIndex():
            self._show_tab()
        else:
            self.tabs.setCurrentIndex(number)

    def leave(self) -> None:
        """Stop loading data, because the list is shown again. Terminals and jobs keep running."""
        self._container_id = ""
        self._store.part(DetailStore).intents.open.emit("")
        if "logs" in self._created:
            # The log is not visible, so stop following it.
            self._shown_for.pop("logs", None)
            cast(LogsTab, self._created["logs"]).show_container("")

    def focus_search(self) -> None:
        """Ctrl+F: focus the open tab's search field, if it has one."""
        focus = getattr(self._created.get(self.tab_name), "focus_search", None)
        if focus is not None:
            focus()

    def _show_tab(self) -> None:
        if not self._container_id:
            return
        name = self.tab_name
        widget = self.tab(name)
        if self._shown_for.get(name) != self._container_id:
            self._shown_for[name] = self._container_id
            assert isinstance(widget, ContainerTab)
            widget.show_container(self._container_id)
        if isinstance(widget, TerminalTab):
            widget.focus_terminal()

    def _show_head(self) -> None:
        if not self._container_id:
            return
        container = self._store.container(self._container_id)
        if container is not None:
            self._name = container.name
        self.header.show_container(container, self._name)

    def _go_back(self) -> None:
        files = self._created.get("files")
        if self.tab_name == "files" and isinstance(files, FilesTab) and files.go_back():
            return
        self._leave_safely()

    def _leave_safely(self) -> None:
        """Return to the list, after asking about unsaved changes."""
        files = self._created.get("files")
        if isinstance(files, FilesTab) and files.has_unsaved:
            self.tabs.setCurrentIndex(list(TABS).index("files"))
            files.go_back()
        else:
            self._store.intents.close_container.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "tabs"):
            for number, tab in enumerate(TABS.values()):
                self.tabs.setTabIcon(number, icons.glyph(tab.glyph))
