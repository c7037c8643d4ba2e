"""The first-run page: explains what happens, lets the user choose resources, and shows the steps of the first start.

It replaces the lists, which would be empty. Settings and the Machine page are available as usual.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.features.machine.console import ConsoleView
from app.features.machine.steps import StepsCard
from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow
from app.features.settings.resources import ResourceRows
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.widgets import Card, button, label
from backend.api import Phase, messages

_WIDTH: Final = 640
_STARTING: Final = (Phase.PREPARING, Phase.BOOTING, Phase.CONNECTING, Phase.STOPPING)


class FirstRunView(QWidget):
    """Shows the store's state and keeps the user's choices until Start applies them."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._starts_when_saved = False
        self._shows_settings = False
        self.setObjectName("page")
        self.problem = ProblemView(store)
        self.rows = ResourceRows(store, swap=False)
        self.context = CheckRow(
            _("Let the docker command use Wherry"),
            _("Uses a docker context. If another engine is already in use, it stays selected."),
        )
        self.login = CheckRow(_("Start Wherry when you log in"), "")
        self.start = button(_("Start"), self._start, "primary")
        self.start.setMinimumHeight(theme.px(44))
        self.start.setMinimumWidth(theme.px(260))
        self.steps = StepsCard(store)
        self.console = ConsoleView(store)
        self._lay_out()
        self.context.show_value(True)
        self.login.show_value(False)
        store.machine_changed.connect(self.refresh)
        store.part(SettingsStore).machine_changed.connect(self._on_saved)
        store.part(SettingsStore).autostart_changed.connect(
            lambda: self.login.show_value(bool(store.part(SettingsStore).autostart))
        )
        store.part(SettingsStore).problem_changed.connect(self._on_refused)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        store, phase = self._store, self._store.phase
        starting = phase in _STARTING
        failed = phase is Phase.FAILED
        self._title.setText(_("Starting for the first time") if starting else _("Welcome to Wherry"))
        self._text.setText(
            _("The first start takes a little longer because the disk is created.")
            if starting
            else _("Docker for this computer. No account, no administrator rights, no data sent anywhere.")
        )
        self._form.setVisible(not starting)
        self._progress.setVisible(starting or failed)
        self._footer.setVisible(not starting)
        self.start.setText(_("Start again") if failed else _("Start"))
        self.start.setAccessibleName(self.start.text())
        self.start.setEnabled(phase is not None and store.part(SettingsStore).machine is not None)
        refused = store.part(SettingsStore).problem(Topic.MACHINE)
        wrong = store.machine.problems[0] if failed and store.machine and store.machine.problems else None
        actions = [(_("Open settings"), lambda: store.intents.show_page.emit("settings"))]
        self.problem.show_problem(refused or wrong, actions)

    def _lay_out(self) -> None:
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(theme.px(56), theme.px(56))))
        self._title = label("", "title")
        self._text = label("", "muted", wrap=True)
        head = QVBoxLayout()
        head.setSpacing(theme.px(4))
        head.addWidget(self._title)
        head.addWidget(self._text)
        top = QHBoxLayout()
        top.setSpacing(theme.px(18))
        top.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(head, 1)
        self._form = QWidget()
        form = QVBoxLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(theme.px(14))
        happens = Card(_("When you start"))
        for line in (
            _("1.  Wherry starts a small virtual machine. Its disk file grows as you use it."),
            _("2.  The Docker engine runs inside it. Images and containers are stored on its disk."),
            _("3.  docker, Compose and editors on this computer connect automatically."),
        ):
            happens.body.addWidget(label(line, wrap=True))
        form.addWidget(happens)
        uses = Card(_("Resources"))
        uses.body.addWidget(self.rows)
        form.addWidget(uses)
        form.addWidget(self.context)
        form.addWidget(self.login)
        self._progress = QWidget()
        progress = QVBoxLayout(self._progress)
        progress.setContentsMargins(0, 0, 0, 0)
        progress.setSpacing(theme.px(14))
        progress.addWidget(self.steps)
        progress.addWidget(self.console)
        inner = QFrame()
        inner.setMaximumWidth(theme.px(_WIDTH))
        column = QVBoxLayout(inner)
        column.setContentsMargins(theme.px(20), theme.px(22), theme.px(20), theme.px(22))
        column.setSpacing(theme.px(16))
        column.addLayout(top)
        for widget in (self.problem, self._progress, self._form):
            column.addWidget(widget)
        column.addStretch(1)
        page = QWidget()
        page.setObjectName("page")
        across = QHBoxLayout(page)
        across.setContentsMargins(0, 0, 0, 0)
        across.addStretch(1)
        across.addWidget(inner, 8)
        across.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setAccessibleName(_("Welcome to Wherry"))
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        # Below the scroll area, so that the main button is always visible.
        self._footer = QFrame()
        self._footer.setObjectName("footer")
        foot = QHBoxLayout(self._footer)
        foot.setContentsMargins(theme.px(20), theme.px(10), theme.px(20), theme.px(10))
        foot.addStretch(1)
        foot.addWidget(self.start)
        foot.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll, 1)
        outer.addWidget(self._footer)

    def _start(self) -> None:
        """Save the choices, then start the machine with them."""
        intents, machine = self._store.intents, self._store.part(SettingsStore).machine
        if self.login.box.isChecked() != bool(self._store.part(SettingsStore).autostart):
            intents.request_agent.emit(messages.SetAutostart(on=self.login.box.isChecked()))
        values = self.rows.values
        context = self.context.box.isChecked()
        if machine is not None and bool(machine.values["docker.context"]) != context:
            values["docker.context"] = context
        if values:
            self._starts_when_saved = True
            self.start.setEnabled(False)
            intents.request_agent.emit(messages.SetSettings(values=values))
        else:
            intents.start_machine.emit()

    def _on_saved(self) -> None:
        starts, self._starts_when_saved = self._starts_when_saved, False
        machine = self._store.part(SettingsStore).machine
        if machine is not None and not self._shows_settings:
            # The settings may have been changed on the command line before.
            self._shows_settings = True
            self.context.show_value(bool(machine.values["docker.context"]))
        self.refresh()
        if starts:
            self._store.intents.start_machine.emit()

    def _on_refused(self, topic: Topic) -> None:
        if topic is Topic.MACHINE:
            if self._store.part(SettingsStore).problem(topic) is not None:
                self._starts_when_saved = False
            self.refresh()
