"""The main window: navigation rail, header, messages, pages and menus.

Pages are created when they are first shown. `rebuild` recreates the window's contents for another language or zoom;
the window object itself, and its connections, stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast, runtime_checkable

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.features.containers.list.view import ContainersView
from app.features.containers.page import ContainersPage
from app.features.doctor.network_check import NetworkCheckDialog
from app.features.listings.page import ImagesView, NetworksView, VolumesView
from app.features.logs.view.page import LogsPage
from app.features.machine.first_run import FirstRunView
from app.features.machine.page import MachineView
from app.features.ports.page import PortsView
from app.features.ports.store import PortsStore
from app.features.problems.problem import ProblemView
from app.features.settings.page import SettingsPage, offered_settings
from app.frame.alerts import AlertBar
from app.frame.header import MachineHeader
from app.frame.help_menu import Documented, HelpMenu
from app.frame.palette import Palette
from app.frame.palette_entries import PaletteEntry, machine_entries, preference_entries
from app.frame.rail import Rail, RailEntry
from app.frame.status_bar import StatusBar
from app.frame.toasts import Toasts
from app.state.machine_actions import machine_actions, refusal, start_label
from app.state.preferences import ZOOMS
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import Message, _, message, ngettext, say
from app.ui import icons, theme
from backend.api import Notice, Phase

NARROW: Final = 800
"""Below this width in pixels (at 100 % zoom) the rail shows icons only."""
LEAST: Final = (640, 420)
"""The window's least width and height in pixels at 100 % zoom; less where the screen is smaller."""
_LEAST_RIGHT: Final = 320
FIRST_PAGE: Final = "containers"


@runtime_checkable
class Searchable(Protocol):
    """A page with a search field for Ctrl+F."""

    def focus_search(self) -> None:
        """Move the focus to the search field."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Description of one page of the window."""

    title: Message
    glyph: str
    make: Callable[[AppStore], QWidget]
    help_topic: str
    """Name of the help topic about the page."""
    at_bottom: bool = False


PAGES: Final[dict[str, Page]] = {
    "containers": Page(message("Containers"), "cube-outline", ContainersPage, "containers"),
    "images": Page(message("Images"), "layers-outline", ImagesView, "images-and-volumes"),
    "volumes": Page(message("Volumes"), "database-outline", VolumesView, "images-and-volumes"),
    "networks": Page(message("Networks"), "lan", NetworksView, "images-and-volumes"),
    "ports": Page(message("Ports"), "swap-horizontal", PortsView, "ports"),
    "logs": Page(message("Logs"), "text-box-multiple-outline", LogsPage, "logs"),
    "machine": Page(message("Machine"), "server", MachineView, "machine", at_bottom=True),
    "settings": Page(message("Settings"), "cog-outline", SettingsPage, "settings", at_bottom=True),
}
"""The pages by name, in the order of the rail."""


class MainWindow(QMainWindow):
    """The main window. Emits `closing` instead of closing, until `allow_close`; the receiver hides it or quits."""

    closing = Signal()

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._may_close = False
        self._was_live = False
        self.page_name = ""
        self.resize(theme.px(1120), theme.px(720))
        self._help = HelpMenu(store, self, self._page_topic, self.report_problem)
        self._build()
        store.problem_changed.connect(self._show_problem)
        store.noticed.connect(self.show_notice)
        store.machine_changed.connect(self._enable_actions)
        store.part(PortsStore).changed.connect(self._show_badges)
        store.intents.show_page.connect(self.show_page)
        store.part(SettingsStore).first_run_changed.connect(self._show_current)
        store.intents.open_container.connect(lambda _id, _tab: self.show_page("containers"))
        store.intents.search.connect(self.open_palette)
        store.intents.show_setting.connect(self.show_setting)
        store.intents.show_machine.connect(self.show_machine)
        store.intents.check_network.connect(self.check_network)

    @property
    def containers(self) -> ContainersView:
        """The view of the container list."""
        return cast(ContainersPage, self.page("containers")).view

    def page(self, name: str) -> QWidget:
        """A page of `PAGES`, created on first use."""
        page = self._created.get(name)
        if page is None:
            page = self._created[name] = PAGES[name].make(self._store)
            self._pages.addWidget(page)
        return page

    def show_page(self, name: str) -> None:
        """Open a page of `PAGES`, by name."""
        self._rail.show_chosen(name)

    def show_setting(self, key: str) -> None:
        """Open the Settings page at a setting, by its key."""
        self.show_page("settings")
        cast(SettingsPage, self.page("settings")).show_setting(key)

    def show_machine(self, part: str) -> None:
        """Open the Machine page at "overview", "checkpoints" or "checks"."""
        self.show_page("machine")
        cast(MachineView, self.page("machine")).show_part(part)

    def open_palette(self) -> None:
        """Open the palette."""
        palette = Palette(self._store, self._palette_entries, self)
        palette.open_over(self)

    def check_network(self, image: str) -> None:
        """Open the network check and start it with an image, or with "" for a default one."""
        # A closed dialog may not be deleted yet.
        dialog = next((child for child in self.findChildren(NetworkCheckDialog) if child.isVisible()), None)
        if dialog is None:
            dialog = NetworkCheckDialog(self._store, self)
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()
        dialog.check(image)

    def report_problem(self) -> None:
        """Open the place where a support bundle is created."""
        self.show_page("machine")
        cast(MachineView, self.page("machine")).show_bundle()

    def open_about(self) -> None:
        """Open the About window."""
        self._help.open_about()

    def rebuild(self) -> None:
        """Recreate the window's contents in the current language and zoom."""
        name = self.page_name
        self.menuBar().clear()
        self._build(name)
        self._help.rebuild()

    def show_notice(self, notice: Notice) -> None:
        """Show a notice, unless the window shows the same text as a problem."""
        if say(notice.text) not in self._visible_problems:
            self.toasts.add(notice)

    @property
    def _visible_problems(self) -> set[str]:
        """Summaries of the machine's problems, which are visible anyway."""
        machine = self._store.machine
        return {say(problem.summary) for problem in machine.problems} if machine is not None else set()

    def allow_close(self) -> None:
        """Let the window close from now on, without emitting `closing`."""
        self._may_close = True

    def close_for_good(self) -> None:
        """Close the window, because the application ends."""
        self.allow_close()
        self.close()

    def remember(self) -> None:
        """Save size, position and open page in the preferences."""
        self._store.preferences.geometry = bytes(self.saveGeometry().toHex().data()).decode("ascii")
        self._store.preferences.page = self.page_name

    def restore(self) -> None:
        """Restore size, position and open page from the preferences."""
        preferences = self._store.preferences
        if preferences.geometry:
            self.restoreGeometry(QByteArray.fromHex(QByteArray(preferences.geometry.encode("ascii", "replace"))))
        if preferences.page in PAGES:
            self.show_page(preferences.page)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._may_close:
            super().closeEvent(event)
        else:
            event.ignore()
            self.closing.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._rail.set_narrow(self.width() < theme.px(NARROW))

    def _build(self, page_name: str = FIRST_PAGE) -> None:
        self.setWindowTitle("Wherry")
        self.setWindowIcon(icons.boat())
        self._created: dict[str, QWidget] = {}
        self.first_run: FirstRunView | None = None
        self.header = MachineHeader(self._store)
        self.problem = ProblemView(self._store)
        self._pages = _Pages()
        self._page_area = QScrollArea()
        self._page_area.setWidgetResizable(True)
        self._page_area.setFrameShape(QFrame.Shape.NoFrame)
        self._page_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._page_area.setWidget(self._pages)
        self.alert = AlertBar(self._store)
        self._rail = Rail(
            [
                RailEntry(name=name, title=say(page.title), glyph=page.glyph, at_bottom=page.at_bottom)
                for name, page in PAGES.items()
            ]
        )
        self._rail.set_narrow(self.width() < theme.px(NARROW))
        self._lay_out()
        self.toasts = Toasts(self._page_area)
        self._fit_on_screen()
        self._rail.chosen.connect(self._on_chosen)
        self.show_page(page_name)
        self._make_menus()
        self._enable_actions()
        self._show_badges()
        self._show_problem()
        # No widget looks focused before the first key; Tab then moves to the rail.
        content = self.centralWidget()
        assert content is not None
        content.setFocus()

    def _fit_on_screen(self) -> None:
        """Set the least size, and shrink a window that is larger than its screen, as after a change of the zoom.

        The least size is not that of the contents: pages scroll where they have no room, so that the window fits on
        every screen in every language and zoom.
        """
        room = self.screen().availableSize()
        self.setMinimumSize(min(theme.px(LEAST[0]), room.width()), min(theme.px(LEAST[1]), room.height()))
        self.resize(self.size().boundedTo(room))

    def _on_chosen(self, name: str) -> None:
        self.page_name = name
        self._show_current()

    def _show_current(self) -> None:
        """Show the chosen page, or the first-run page in place of the lists before the machine first ran."""
        page = self.page(self.page_name)
        first = self._store.part(SettingsStore).first_run
        if first and self.first_run is None:
            self.first_run = FirstRunView(self._store)
            self._pages.addWidget(self.first_run)
        if not first and self.first_run is not None:
            self._pages.removeWidget(self.first_run)
            self.first_run.deleteLater()
            self.first_run = None
        self.alert.set_page(self.page_name)
        shown = self.first_run if self.first_run is not None and not PAGES[self.page_name].at_bottom else page
        self._pages.setCurrentWidget(shown)

    def _lay_out(self) -> None:
        self._problem_holder = QWidget()
        self._problem_holder.setObjectName("page")
        layout = QVBoxLayout(self._problem_holder)
        layout.setContentsMargins(theme.px(20), theme.px(14), theme.px(20), 0)
        layout.addWidget(self.problem)
        self._problem_holder.hide()
        right = _Right()
        self._right = QVBoxLayout(right)
        self._right.setContentsMargins(0, 0, 0, 0)
        self._right.setSpacing(0)
        for widget in (self.header, self.alert, self._problem_holder):
            self._right.addWidget(widget)
        self._right.addWidget(self._page_area, 1)
        self._right.addWidget(StatusBar(self._store))
        content = QWidget()
        content.setObjectName("page")
        row = QHBoxLayout(content)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._rail)
        row.addWidget(right, 1)
        self.setCentralWidget(content)

    def _make_menus(self) -> None:
        intents = self._store.intents
        bar = self.menuBar()
        files = bar.addMenu(_("&File"))
        refresh = files.addAction(_("Refresh"), QKeySequence("F5"))
        refresh.triggered.connect(lambda _checked=False: intents.refresh.emit())
        files.addSeparator()
        self.quit_action = files.addAction(_("Quit"), QKeySequence("Ctrl+Q"))
        self.quit_action.triggered.connect(lambda _checked=False: intents.quit.emit())
        self.quit_action.setMenuRole(QAction.MenuRole.QuitRole)
        self.suspend_and_quit_action = files.addAction(_("Suspend the machine and quit"))
        self.suspend_and_quit_action.triggered.connect(lambda _checked=False: intents.suspend_and_quit.emit())
        self.stop_and_quit_action = files.addAction(_("Stop the machine and quit"))
        self.stop_and_quit_action.triggered.connect(lambda _checked=False: intents.stop_and_quit.emit())
        machine = bar.addMenu(_("&Machine"))
        self.start_action = machine.addAction(_("Start"))
        self.suspend_action = machine.addAction(_("Suspend"))
        self.restart_action = machine.addAction(_("Restart"))
        self.stop_action = machine.addAction(_("Stop"))
        self.kill_action = machine.addAction(_("Force stop"))
        for action, intent in (
            (self.start_action, intents.start_machine),
            (self.suspend_action, intents.suspend_machine),
            (self.restart_action, intents.restart_machine),
            (self.stop_action, intents.stop_machine),
            (self.kill_action, intents.kill_machine),
        ):
            action.triggered.connect(lambda _=False, intent=intent: intent.emit())
        machine.addSeparator()
        for text, part in ((_("Checkpoints"), "checkpoints"), (_("Diagnostics"), "checks")):
            machine.addAction(text).triggered.connect(lambda _=False, part=part: intents.show_machine.emit(part))
        machine.addAction(_("Check network…")).triggered.connect(lambda _=False: intents.check_network.emit(""))
        bar.addMenu(_("&Container")).addActions(self.containers.container_actions)
        view = bar.addMenu(_("&View"))
        for number, (name, page) in enumerate(PAGES.items()):
            go = view.addAction(say(page.title), QKeySequence(f"Ctrl+{number + 1}"))
            go.triggered.connect(lambda _=False, name=name: self.show_page(name))
        view.addSeparator()
        for text, keys, steps in (
            (_("Zoom in"), ["Ctrl++", "Ctrl+="], 1),
            (_("Zoom out"), ["Ctrl+-"], -1),
            (_("Actual size"), ["Ctrl+0"], 0),
        ):
            zoom = view.addAction(text)
            zoom.setShortcuts([QKeySequence(each) for each in keys])
            zoom.triggered.connect(partial(self._zoom_soon, steps))
        view.addSeparator()
        search = view.addAction(_("Search everything"), QKeySequence("Ctrl+K"))
        search.triggered.connect(lambda _checked=False: intents.search.emit())
        find = view.addAction(_("Find"), QKeySequence(QKeySequence.StandardKey.Find))
        find.triggered.connect(lambda _checked=False: self._find())
        self._help.fill(bar.addMenu(_("&Help")))

    def _palette_entries(self) -> list[PaletteEntry]:
        detail = _("Page")
        pages = [
            PaletteEntry(f"page:{name}", say(page.title), detail, page.glyph, partial(self.show_page, name))
            for name, page in PAGES.items()
        ]
        kind = _("Setting")
        settings = [
            PaletteEntry(f"setting:{key}", say(title), kind, "cog-outline", partial(self.show_setting, key), also=key)
            for key, title in offered_settings(self._store).items()
        ]
        return [
            *pages,
            *machine_entries(self._store),
            *settings,
            *preference_entries(self._store),
            *self._help.entries(),
        ]

    def _page_topic(self) -> str:
        page = self.page(self.page_name)
        return page.help_topic if isinstance(page, Documented) else PAGES[self.page_name].help_topic

    def _zoom_soon(self, steps: int, _checked: bool = False) -> None:
        # Later, because the menus are made anew, with the entry that was chosen.
        QTimer.singleShot(0, self, partial(self.zoom_by, steps))

    def zoom_by(self, steps: int) -> None:
        """Change the zoom by one step of ZOOMS; 0 resets it."""
        preferences = self._store.preferences
        at = ZOOMS.index(preferences.zoom) if preferences.zoom in ZOOMS else 0
        preferences.zoom = ZOOMS[min(max(at + steps, 0), len(ZOOMS) - 1)] if steps else ZOOMS[0]

    def _find(self) -> None:
        """Ctrl+F: focus the open page's search field, or else that of the container list."""
        page = self.page(self.page_name)
        if not isinstance(page, Searchable):
            self.show_page(FIRST_PAGE)
            page = self.page(FIRST_PAGE)
        if isinstance(page, Searchable):
            page.focus_search()

    def _enable_actions(self) -> None:
        phase, refused = self._store.phase, refusal(self._store)
        offered = {action.name: action for action in machine_actions(self._store)}
        for name, entry in (
            ("start", self.start_action),
            ("suspend", self.suspend_action),
            ("restart", self.restart_action),
            ("stop", self.stop_action),
        ):
            entry.setEnabled(name in offered and offered[name].enabled)
        self.start_action.setText(start_label(self._store))
        self.toasts.drop(self._visible_problems)
        is_live = phase is not None and phase.is_live and phase is not Phase.STOPPING
        if self._was_live and not is_live:
            self.toasts.drop_level("info")  # such as that the machine was started
        self._was_live = is_live
        self.kill_action.setEnabled(phase is not None and (phase.is_live or phase is Phase.SUSPENDED) and not refused)
        keeps, up = self._store.machine_keeps_running, phase in (Phase.RUNNING, Phase.DEGRADED)
        self.quit_action.setText(_("Quit…") if keeps else _("Quit"))
        self.suspend_and_quit_action.setVisible(keeps and up)
        self.stop_and_quit_action.setVisible(keeps)
        for entry in (self.suspend_and_quit_action, self.stop_and_quit_action):
            entry.setEnabled(not refused)

    def _show_badges(self) -> None:
        count = len(self._store.part(PortsStore).conflicts)
        self._rail.set_badge(
            "ports", count, ngettext("{count} unreachable port", "{count} unreachable ports", count) if count else ""
        )

    def _show_problem(self) -> None:
        problem = self._store.problem
        dismiss = (_("Dismiss"), lambda: self._store.set_problem(None))
        self.problem.show_problem(problem, [dismiss])
        self._problem_holder.setVisible(problem is not None)


class _Pages(QStackedWidget):
    """A stack that needs room for the page it shows only, not for the largest one."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.currentChanged.connect(lambda _number: self.updateGeometry())

    def minimumSizeHint(self) -> QSize:
        page = self.currentWidget()
        return page.minimumSizeHint() if page is not None else super().minimumSizeHint()


class _Right(QWidget):
    """What is right of the rail. It may become narrower than its contents ask for: they adapt, or scroll."""

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(_LEAST_RIGHT), super().minimumSizeHint().height())
