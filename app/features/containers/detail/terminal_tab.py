"""The tab with a container's shell or its debug shell. Both keep running while another tab is open."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.data.store import DetailStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.terminal.session import TerminalSession, TerminalState
from app.terminal.view import MAX_PASTE_CHARS, TerminalView
from app.texts import _, message
from app.ui import icons, theme
from app.ui.empty import EmptyState
from app.ui.widgets import ElidedLabel, IconButton, button, label
from backend.api import ContainerAction, Notice


class TerminalTab(QWidget):
    """One terminal widget that shows either shell."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._container_id = ""
        self._session: TerminalSession | None = None
        self._opened: set[tuple[str, bool]] = set()
        """Shells that were opened automatically (id, debug). After they end, only the user reopens them."""
        self.view = TerminalView()
        self.view.refused_paste.connect(self._notify_paste)
        self._segments = QButtonGroup(self)
        self.shell = self._segment(_("Shell"))
        self.debug = self._segment(_("Debug shell"))
        self.debug.setToolTip(
            _(
                "A shell with its own tools that can see this container's processes, network and "
                "files. Works with images that have no shell."
            )
        )
        self.shell.setChecked(True)
        self._segments.buttonClicked.connect(lambda _button: self._show())
        self.end = IconButton("stop-circle-outline", _("End shell"))
        self.end.clicked.connect(lambda _checked=False: self._end())
        self._hint = ElidedLabel()
        self._hint.setProperty("role", "muted")
        self._hint.set_whole(_("Ctrl+Tab leaves the terminal. Ctrl+Shift+C copies, Ctrl+Shift+V pastes."))
        self._ended = QFrame()
        self._ended.setObjectName("terminal-over")
        self._ended_label = label("", wrap=True)
        self.again = button(_("Reopen"), self._open, "primary")
        self._to_debug = button(_("Open debug shell"), self._open_debug)
        ended = QHBoxLayout(self._ended)
        ended.setContentsMargins(theme.px(12), theme.px(8), theme.px(12), theme.px(8))
        ended.addWidget(self._ended_label, 1)
        ended.addWidget(self._to_debug)
        ended.addWidget(self.again)
        self._empty = EmptyState()
        self._problem = ProblemView(store)
        self._lay_out()
        store.part(DetailStore).terminal_changed.connect(self._on_terminal)
        store.containers_changed.connect(self._on_containers)

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(theme.px(20), theme.px(8), theme.px(20), theme.px(8))
        bar.setSpacing(theme.px(6))
        for widget in (self.shell, self.debug):
            bar.addWidget(widget)
        bar.addSpacing(theme.px(8))
        bar.addWidget(self._hint, 1)
        bar.addWidget(self.end)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._ended)
        column.addWidget(self.view, 1)
        problem_page = QWidget()
        layout = QVBoxLayout(problem_page)
        layout.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        layout.addWidget(self._problem)
        layout.addStretch(1)
        self._body, self._problem_page = body, problem_page
        self._stack = QStackedWidget()
        for page in (body, self._empty, problem_page):
            self._stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addLayout(bar)
        outer.addWidget(self._stack, 1)

    def _segment(self, text: str) -> QToolButton:
        segment = QToolButton()
        segment.setText(text)
        segment.setAccessibleName(text)
        segment.setCheckable(True)
        segment.setProperty("role", "segment")
        segment.setProperty("shown", text)
        segment.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._segments.addButton(segment)
        return segment

    def show_container(self, container_id: str) -> None:
        """Show another container's shells, in the state they were left."""
        self._container_id = container_id
        has_debug = self._store.part(DetailStore).terminal(container_id, debug=True) is not None
        has_shell = self._store.part(DetailStore).terminal(container_id, debug=False) is not None
        (self.debug if has_debug and not has_shell else self.shell).setChecked(True)
        self._show()

    def focus_terminal(self) -> None:
        """Focus the terminal."""
        if self._stack.currentWidget() is self._body:
            self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show()

    @property
    def _is_debug(self) -> bool:
        return self.debug.isChecked()

    @property
    def _is_up(self) -> bool:
        container = self._store.container(self._container_id)
        return container is not None and container.state.is_up

    def _on_terminal(self, container_id: str, _debug: bool) -> None:
        if container_id == self._container_id:
            self._show()

    def _on_containers(self) -> None:
        if self._container_id and self.isVisible():
            self._show()

    def _show(self) -> None:
        """Show the chosen shell; it is opened automatically the first time."""
        if not self._container_id:
            return
        session = self._store.part(DetailStore).terminal(self._container_id, debug=self._is_debug)
        if session is None and self._is_up and self.isVisible():
            key = (self._container_id, self._is_debug)
            if key not in self._opened:
                self._opened.add(key)
                self._open()
                return
        if session is not self._session:
            if self._session is not None:
                self._session.state_changed.disconnect(self._show_state)
            self._session = session
            if session is not None:
                session.state_changed.connect(self._show_state)
            self.view.show_session(session)
        self._show_state()

    def _show_state(self) -> None:
        session = self._session
        state = session.state if session is not None else None
        self.end.setEnabled(state in (TerminalState.RUNNING, TerminalState.OPENING))
        has_text = session is not None and (session.screen.pushed > 0 or session.screen.cursor.y > 0)
        if session is None or (state is TerminalState.ENDED and not self._is_up and not has_text):
            self._show_empty()
        elif state is TerminalState.NO_SHELL:
            self._empty.show_state(
                icons.glyph("console"),
                _("This image has no shell"),
                _("Use the debug shell instead. It brings its own tools and doesn't change the container."),
                action=(_("Open debug shell"), self._open_debug),
            )
            self._stack.setCurrentWidget(self._empty)
        elif state is TerminalState.FAILED:
            self._problem.show_problem(session.problem, [(_("Reopen"), self._open)])
            self._stack.setCurrentWidget(self._problem_page)
        else:
            self._show_ended(session)
            self._stack.setCurrentWidget(self._body)
            if state is TerminalState.RUNNING and self.isVisible() and self._may_take_focus():
                self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_ended(self, session: TerminalSession) -> None:
        """Show the message above a terminal whose program has ended."""
        self._ended.setVisible(session.state is not TerminalState.RUNNING)
        self.again.setVisible(session.state is TerminalState.ENDED)
        self.again.setEnabled(self._is_up)
        self._to_debug.setVisible(False)
        if session.state is TerminalState.OPENING:
            self._ended_label.setText(_("Starting debug shell…") if self._is_debug else _("Opening shell…"))
        elif not self._is_up:
            self._ended_label.setText(_("The container stopped, which ended the shell."))
        elif session.exit_code is None:
            self._ended_label.setText(_("The shell exited."))
        else:
            self._ended_label.setText(_("The shell exited with code {code}.", code=session.exit_code))

    def _show_empty(self) -> None:
        if self._store.container(self._container_id) is None:
            self._empty.show_state(
                icons.glyph("console"), _("Container removed"), _("This container no longer exists.")
            )
        elif not self._is_up:
            self._empty.show_state(
                icons.glyph("console"),
                _("The container is stopped"),
                _("Start the container to open a shell in it."),
                action=(_("Start"), self._start),
            )
        else:
            self._empty.show_state(
                icons.glyph("console"),
                _("No open shell"),
                _("A shell stays open while you use other pages."),
                action=(_("Open shell"), self._open),
            )
        self._stack.setCurrentWidget(self._empty)

    def _may_take_focus(self) -> bool:
        """Whether the focus may move to the terminal: not if the user has moved to another part of the window."""
        focus = self.window().focusWidget()
        # The tab bar has the focus right after the user switched to this tab.
        return focus is None or self.isAncestorOf(focus) or not focus.isVisible() or isinstance(focus, QTabBar)

    def _open(self) -> None:
        columns, lines = self.view.cells()
        self._store.part(DetailStore).intents.open_terminal.emit(self._container_id, self._is_debug, columns, lines)

    def _open_debug(self) -> None:
        self.debug.setChecked(True)
        if self._store.part(DetailStore).terminal(self._container_id, debug=True) is None:
            self._opened.add((self._container_id, True))
            self._open()
        else:
            self._show()

    def _end(self) -> None:
        self._store.part(DetailStore).intents.close_terminal.emit(self._container_id, self._is_debug)

    def _start(self) -> None:
        self._opened.discard((self._container_id, self._is_debug))
        self._store.intents.act_on_containers.emit((self._container_id,), ContainerAction.START)

    def _notify_paste(self, length: int) -> None:
        self._store.notice(
            Notice(
                level="warning",
                text=message(
                    "The clipboard has {length} characters. You can paste at most {limit} into a terminal.",
                    length=length,
                    limit=MAX_PASTE_CHARS,
                ),
            )
        )
