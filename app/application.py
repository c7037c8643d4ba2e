"""The composition root: the only place where links, store, window and tray meet.

links --signals--> store --signals--> views            views --intents--> here --calls--> links
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from app import desktop, theme
from app.engine_link import EngineLink
from app.machine_link import MachineLink
from app.main_window import MainWindow
from app.store import AppStore, LinkState, LogSession, LogState
from app.texts import text
from app.tray import Tray
from backend.api import ContainerAction, MachineStatus, Notice, Phase, Problem, ProblemCode, StopPolicy

STOP_DEADLINE_MS: Final = 120_000
"""For "Stop machine and quit": by then the agent has killed the machine or said why not."""

_log = logging.getLogger(__name__)


class WherryApp(QObject):
    """Everything of one window. `start` it, and `close` it before the process ends."""

    def __init__(self, app: QApplication, find_agent: Callable[[], str]) -> None:
        super().__init__()
        self._app = app
        self._quits_when_stopped = False
        self._told_of_tray = False
        app.setQuitOnLastWindowClosed(False)
        self._scheme = theme.Scheme.SYSTEM
        theme.apply(app, theme.resolve(self._scheme))
        app.styleHints().colorSchemeChanged.connect(self._recolour)
        self.store = AppStore(self)
        self.machine_link = MachineLink(find_agent, self)
        self.engine_link = EngineLink(self)
        self.window = MainWindow(self.store)
        self.tray = Tray(self.store, self)
        self._stop_deadline = QTimer(self, singleShot=True, interval=STOP_DEADLINE_MS)
        self._stop_deadline.timeout.connect(self._stop_took_too_long)
        self._wire_machine()
        self._wire_engine()
        self._wire_window()

    def start(self, *, background: bool) -> None:
        """Connect, and show the window unless it is to stay in the tray. Does not start the machine."""
        has_tray = desktop.tray_is_shown()
        if has_tray:
            self.tray.show()
        if not background:
            self.show_window()
        elif not has_tray:
            # Without a tray a hidden window could never be found again.
            self.window.showMinimized()
        if not has_tray:
            self.store.notice(Notice(level="info", text=text("tray.none")))
        self.machine_link.open()

    def show_window(self) -> None:
        """Bring the window to the front."""
        desktop.bring_to_front(self.window)

    def close(self) -> None:
        """Let go of everything and join all threads. The agent and the machine go on."""
        self.tray.hide()
        self.window.close_for_good()
        self.machine_link.close()
        self.engine_link.close()

    def _wire_machine(self) -> None:
        link, store, intents = self.machine_link, self.store, self.store.intents
        link.status_changed.connect(self._on_status)
        link.connected.connect(lambda: store.set_agent_link(LinkState.UP))
        link.lost.connect(self._on_lost)
        link.noticed.connect(store.notice)
        link.replied.connect(self._on_reply)
        intents.start_machine.connect(lambda: link.request("start"))
        intents.stop_machine.connect(lambda: link.request("stop", policy=StopPolicy.POWER_DOWN.value))
        intents.kill_machine.connect(lambda: link.request("stop", policy=StopPolicy.KILL.value))
        intents.restart_machine.connect(lambda: link.request("restart"))

    def _wire_engine(self) -> None:
        link, store, intents = self.engine_link, self.store, self.store.intents
        link.state_changed.connect(store.set_engine_link)
        link.containers_changed.connect(store.set_containers)
        link.action_started.connect(store.set_pending)
        link.action_finished.connect(self._on_action_finished)
        intents.act_on_containers.connect(self._act)
        intents.open_log.connect(self._open_log)
        intents.close_log.connect(self._close_log)
        intents.refresh.connect(link.refresh)

    def _wire_window(self) -> None:
        intents = self.store.intents
        intents.show_window.connect(self.show_window)
        intents.open_url.connect(lambda url: QDesktopServices.openUrl(QUrl(url)))
        intents.quit.connect(self._app.quit)
        intents.stop_and_quit.connect(self._stop_and_quit)
        self.window.closing.connect(self._on_closing)

    def _on_status(self, status: MachineStatus) -> None:
        self.store.set_machine(status)
        endpoint = status.endpoint
        # A stopped machine's endpoint would start it for the first request: it is only asked while it answers.
        ready = endpoint is not None and endpoint.ready and status.phase in (Phase.RUNNING, Phase.DEGRADED)
        self.engine_link.set_endpoint(endpoint.url if endpoint and ready else None)
        if self._quits_when_stopped and status.phase in (Phase.STOPPED, Phase.FAILED):
            self._app.quit()

    def _on_lost(self, problem: Problem) -> None:
        # The engine may well live on: its connection and its list stay as they are.
        self.store.set_agent_link(LinkState.RECONNECTING, problem)

    def _on_reply(self, name: str, problem: Problem | None) -> None:
        if problem is None or problem.code is ProblemCode.CANCELLED:
            return
        _log.warning("the agent refused %s: %s", name, problem.summary)
        self._quits_when_stopped = False
        self.store.set_problem(problem)

    def _act(self, container_ids: tuple[str, ...], action: ContainerAction) -> None:
        for container_id in container_ids:
            self.engine_link.act(container_id, action)

    def _on_action_finished(self, container_id: str, _action: ContainerAction, problem: Problem | None) -> None:
        self.store.set_pending(container_id, None)
        if problem is not None:
            self.store.set_problem(problem)

    def _open_log(self, container_id: str) -> None:
        container = self.store.container(container_id)
        if container is None or (self.store.log and self.store.log.container_id == container_id):
            return
        feed = self.engine_link.open_log(container_id)
        self.store.set_log(LogSession(container_id, container.name))
        feed.lines.connect(self.store.add_log_lines)

        def changed(state: LogState, problem: Problem | None) -> None:
            self.store.set_log(LogSession(container_id, container.name, state, problem))

        feed.state_changed.connect(changed)

    def _close_log(self) -> None:
        self.engine_link.close_log()
        self.store.set_log(None)
        self.window.containers.table.setFocus()

    def _on_closing(self) -> None:
        # Asked anew each time: the tray may have come or gone since the start.
        if not desktop.tray_is_shown():
            self._app.quit()
            return
        self.tray.show()
        self.window.hide()
        if not self._told_of_tray:
            self._told_of_tray = True
            self.tray.message(text("tray.hidden.title"), text("tray.hidden.text"))

    def _stop_and_quit(self) -> None:
        if not self.store.machine_keeps_running:
            self._app.quit()
            return
        self._quits_when_stopped = True
        self._stop_deadline.start()
        self.store.notice(Notice(level="info", text=text("quit.waiting")))
        self.store.intents.stop_machine.emit()

    def _stop_took_too_long(self) -> None:
        self._quits_when_stopped = False
        self.store.set_problem(
            Problem(
                code=ProblemCode.STEP_TIMED_OUT,
                summary=text("quit.too-long", elapsed=STOP_DEADLINE_MS // 1000),
                hint=text("quit.too-long.hint"),
                retryable=True,
            )
        )

    def _recolour(self) -> None:
        theme.apply(self._app, theme.resolve(self._scheme))
