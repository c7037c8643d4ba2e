"""Closing the window and quitting: what stays, what is stopped first, and what the user is told of it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer

from app import desktop
from app.texts import text
from app.wiring.machine import MachineWiring
from app.wiring.parts import Parts
from backend.api import Notice, Problem, ProblemCode

STOP_DEADLINE_MS: Final = 120_000
"""For "Stop machine and quit": by then the agent has killed the machine or said why not."""


class LeavingWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, machine: MachineWiring, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._quits_when_stopped = False
        self._told_of_tray = False
        self._stop_deadline = QTimer(self, singleShot=True, interval=STOP_DEADLINE_MS)
        self._stop_deadline.timeout.connect(self._stop_took_too_long)
        machine.settled_down.connect(self._on_settled_down)
        machine.refused.connect(self._on_refused)
        intents = parts.store.intents
        intents.quit.connect(self.quit)
        intents.stop_and_quit.connect(self._stop_and_quit)
        parts.window.closing.connect(self._on_closing)
        # The end of the session: a window that refuses to close would hold up the user's logging out.
        parts.app.commitDataRequest.connect(lambda _manager: parts.window.allow_close())

    def quit(self) -> None:
        """End the application. The window first: Qt asks it, and one that only hides itself would refuse the end."""
        self._parts.window.close_for_good()
        self._parts.app.quit()

    def _on_settled_down(self) -> None:
        if self._quits_when_stopped:
            self.quit()

    def _on_refused(self) -> None:
        self._quits_when_stopped = False

    def _on_closing(self) -> None:
        # Asked anew each time: the tray may have come or gone since the start.
        if not self._parts.store.preferences.close_to_tray or not desktop.tray_is_shown():
            self.quit()
            return
        self._parts.tray.show()
        self._parts.window.hide()
        if not self._told_of_tray:
            self._told_of_tray = True
            self._parts.tray.message(text("tray.hidden.title"), text("tray.hidden.text"))

    def _stop_and_quit(self) -> None:
        store = self._parts.store
        if not store.machine_keeps_running:
            self.quit()
            return
        self._quits_when_stopped = True
        self._stop_deadline.start()
        store.notice(Notice(level="info", text=text("quit.waiting")))
        store.intents.stop_machine.emit()

    def _stop_took_too_long(self) -> None:
        self._quits_when_stopped = False
        self._parts.store.set_problem(
            Problem(
                code=ProblemCode.STEP_TIMED_OUT,
                summary=text("quit.too-long", elapsed=STOP_DEADLINE_MS // 1000),
                hint=text("quit.too-long.hint"),
                retryable=True,
            )
        )
