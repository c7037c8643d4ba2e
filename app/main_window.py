"""The window's frame: rail, header, messages, pages, menus. What is on a page is the page's own affair."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import icons
from app.store import AppStore
from app.texts import text
from app.views.containers import ContainersView
from app.views.header import MachineHeader
from app.views.logs import LogView
from app.views.machine import MachineView
from app.views.problem import ProblemView
from app.widgets import IconButton, label
from backend.api import Notice, Phase

RAIL_WIDTH: Final = 176
PAGES: Final = {"containers": ("containers.title", "cube-outline"), "machine": ("machine.title", "server")}
"""By name, in the order of the rail: the title's text and the glyph."""


class MainWindow(QMainWindow):
    """The one window. Whether closing hides or quits is decided by whoever hears `closing`."""

    closing = Signal()

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._may_close = False
        self.setWindowTitle(text("app.name"))
        self.setWindowIcon(icons.boat())
        self.resize(1120, 720)
        self.header = MachineHeader(store)
        self.containers = ContainersView(store)
        self.logs = LogView(store)
        self.machine = MachineView(store)
        self.problem = ProblemView()
        self.nav = QListWidget()
        self._pages = QStackedWidget()
        self._notice = _NoticeBar()
        self._lay_out()
        self._make_menus()
        self.nav.currentRowChanged.connect(self._pages.setCurrentIndex)
        self.nav.setCurrentRow(0)
        store.problem_changed.connect(self._show_problem)
        store.noticed.connect(self.show_notice)
        store.machine_changed.connect(self._enable_actions)
        store.log_opened.connect(lambda: self.show_page("containers"))
        store.intents.show_page.connect(self.show_page)
        self._enable_actions()
        # Nothing looks chosen before the first key; Tab then goes to the rail.
        whole = self.centralWidget()
        assert whole is not None
        whole.setFocus()

    def show_page(self, name: str) -> None:
        """Go to a page of `PAGES`."""
        self.nav.setCurrentRow(list(PAGES).index(name))

    def show_notice(self, notice: Notice) -> None:
        """Say something once."""
        self._notice.show_words(notice.text)

    def close_for_good(self) -> None:
        """Close without asking: the application ends."""
        self._may_close = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._may_close:
            super().closeEvent(event)
        else:
            event.ignore()
            self.closing.emit()

    def _lay_out(self) -> None:
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(self.containers)
        self._splitter.addWidget(self.logs)
        self._splitter.setStretchFactor(0, 3)
        self._splitter.setStretchFactor(1, 2)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setSizes([380, 260])
        self._pages.addWidget(self._splitter)
        self._pages.addWidget(self.machine)
        self._problem_holder = QWidget()
        self._problem_holder.setObjectName("page")
        held = QVBoxLayout(self._problem_holder)
        held.setContentsMargins(20, 14, 20, 0)
        held.addWidget(self.problem)
        self._problem_holder.hide()
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        for widget in (self.header, self._notice, self._problem_holder):
            right.addWidget(widget)
        right.addWidget(self._pages, 1)
        whole = QWidget()
        whole.setObjectName("page")
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._make_rail())
        row.addLayout(right, 1)
        self.setCentralWidget(whole)

    def _make_rail(self) -> QWidget:
        rail = QFrame()
        rail.setObjectName("rail")
        rail.setFixedWidth(RAIL_WIDTH)
        brand = label(text("app.name"))
        brand.setObjectName("brand")
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(30, 30)))
        top = QHBoxLayout()
        top.setContentsMargins(18, 0, 10, 0)
        top.setSpacing(10)
        top.addWidget(picture)
        top.addWidget(brand, 1)
        self.nav.setObjectName("nav")
        self.nav.setAccessibleName(text("nav.label"))
        self.nav.setIconSize(QSize(18, 18))
        self.nav.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for key, glyph in PAGES.values():
            QListWidgetItem(icons.glyph(glyph), text(key), self.nav)
        column = QVBoxLayout(rail)
        column.setContentsMargins(0, 22, 0, 12)
        column.setSpacing(16)
        column.addLayout(top)
        column.addWidget(self.nav, 1)
        return rail

    def _make_menus(self) -> None:
        intents = self._store.intents
        bar = self.menuBar()
        files = bar.addMenu(text("menu.file"))
        refresh = files.addAction(text("menu.refresh"), QKeySequence("F5"))
        refresh.triggered.connect(lambda _checked=False: intents.refresh.emit())
        files.addSeparator()
        self.quit_action = files.addAction(text("quit.plain"), QKeySequence("Ctrl+Q"))
        self.quit_action.triggered.connect(lambda _checked=False: intents.quit.emit())
        self.quit_action.setMenuRole(QAction.MenuRole.QuitRole)
        self.stop_and_quit_action = files.addAction(text("quit.stop"))
        self.stop_and_quit_action.triggered.connect(lambda _checked=False: intents.stop_and_quit.emit())
        machine = bar.addMenu(text("menu.machine"))
        self.start_action = machine.addAction(text("machine.start"))
        self.stop_action = machine.addAction(text("machine.stop"))
        self.restart_action = machine.addAction(text("machine.restart"))
        self.kill_action = machine.addAction(text("machine.kill"))
        for action, intent in (
            (self.start_action, intents.start_machine),
            (self.stop_action, intents.stop_machine),
            (self.restart_action, intents.restart_machine),
            (self.kill_action, intents.kill_machine),
        ):
            action.triggered.connect(lambda _=False, intent=intent: intent.emit())
        bar.addMenu(text("menu.container")).addActions(self.containers.container_actions)
        view = bar.addMenu(text("menu.view"))
        for number, (name, (key, _glyph)) in enumerate(PAGES.items()):
            page = view.addAction(text(key), QKeySequence(f"Ctrl+{number + 1}"))
            page.triggered.connect(lambda _=False, name=name: self.show_page(name))
        find = view.addAction(text("menu.find"), QKeySequence(QKeySequence.StandardKey.Find))
        find.triggered.connect(lambda _checked=False: self._find())

    def _find(self) -> None:
        """Ctrl+F: in the log if one is in use, else in the list."""
        self.show_page("containers")
        focus = self.focusWidget()
        if self.logs.isVisible() and (focus is None or self.logs.isAncestorOf(focus)):
            self.logs.focus_search()
        else:
            self.containers.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.containers.filter.selectAll()

    def _enable_actions(self) -> None:
        phase = self._store.phase
        up = phase in (Phase.RUNNING, Phase.DEGRADED)
        self.start_action.setEnabled(phase in (Phase.STOPPED, Phase.FAILED))
        self.stop_action.setEnabled(phase not in (None, Phase.STOPPED, Phase.FAILED, Phase.STOPPING))
        self.restart_action.setEnabled(up)
        self.kill_action.setEnabled(phase not in (None, Phase.STOPPED, Phase.FAILED))
        keeps = self._store.machine_keeps_running
        self.quit_action.setText(text("quit.keeps" if keeps else "quit.plain"))
        self.stop_and_quit_action.setVisible(keeps)

    def _show_problem(self) -> None:
        problem = self._store.problem
        dismiss = (text("problem.dismiss"), lambda: self._store.set_problem(None))
        self.problem.show_problem(problem, [dismiss])
        self._problem_holder.setVisible(problem is not None)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "nav"):
            for row, (_key, glyph) in enumerate(PAGES.values()):
                if (item := self.nav.item(row)) is not None:
                    item.setIcon(icons.glyph(glyph))


class _NoticeBar(QFrame):
    """One sentence and a button to be rid of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._words = label("", wrap=True)
        close = IconButton("close", text("problem.dismiss"))
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 6, 20, 6)
        row.addWidget(self._words, 1)
        row.addWidget(close)
        self.hide()

    def show_words(self, words: str) -> None:
        self._words.setText(words)
        self.show()
