"""Closing the window and quitting: what becomes of the machine, what is waited for, and what the user is told of it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer

from app.features.machine.wiring import MachineWiring
from app.frame.main_window import MainWindow
from app.frame.quit_dialog import QuitDialog
from app.frame.tray import Tray
from app.state.machine_actions import refusal
from app.state.parts import Parts
from app.texts import _
from app.ui import desktop
from backend.api import Notice, Phase, Problem, ProblemCode

STOP_DEADLINE_MS: Final = 120_000
"""For stopping or suspending before quitting: by then the agent has done it or said why not."""


class LeavingWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, machine: MachineWiring, window: MainWindow, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._window = window
        self._tray = tray
        self._quits_when_stopped = False
        self._told_of_tray = False
        self._dialog: QuitDialog | None = None
        self._stop_deadline = QTimer(self, singleShot=True, interval=STOP_DEADLINE_MS)
        self._stop_deadline.timeout.connect(self._stop_took_too_long)
        machine.settled_down.connect(self._on_settled_down)
        machine.refused.connect(self._on_refused)
        intents = parts.store.intents
        intents.quit.connect(self._ask)
        intents.quit_only.connect(self.quit)
        intents.suspend_and_quit.connect(lambda: self._leave("suspend"))
        intents.stop_and_quit.connect(lambda: self._leave("stop"))
        window.closing.connect(self._on_closing)
        # The end of the session: a window that refuses to close would hold up the user's logging out.
        parts.app.commitDataRequest.connect(lambda _manager: window.allow_close())

    def quit(self) -> None:
        """End the application. The window first: Qt asks it, and one that only hides itself would refuse the end."""
        self._stop_deadline.stop()
        self._window.close_for_good()
        self._parts.app.quit()

    def _ask(self) -> None:
        """Ask what becomes of the machine, where there is one and the user has not settled it."""
        store = self._parts.store
        settled = store.preferences.on_quit
        if not store.machine_keeps_running or store.phase is None or settled == "keep":
            self.quit()
        elif settled != "ask" and not refusal(store):
            self._leave(settled)
        elif self._dialog is None:
            store.intents.show_window.emit()
            self._dialog = QuitDialog(self._window, store, self._leave)
            self._dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self._dialog.finished.connect(self._on_asked)
            self._dialog.open()

    def _on_asked(self) -> None:
        self._dialog = None

    def _leave(self, choice: str) -> None:
        """Quit, and do with the machine what was chosen first."""
        store = self._parts.store
        if choice == "keep" or not store.machine_keeps_running:
            self.quit()
            return
        self._quits_when_stopped = True
        self._stop_deadline.start()
        suspends = choice == "suspend" and store.phase in (Phase.RUNNING, Phase.DEGRADED)
        store.notice(
            Notice(
                level="info",
                text=(
                    _("Suspending the machine before quitting…")
                    if suspends
                    else _("Stopping the machine before quitting…")
                ),
            )
        )
        if suspends:
            store.intents.suspend_machine.emit()
        else:
            store.intents.stop_machine.emit()

    def _on_settled_down(self) -> None:
        if self._quits_when_stopped:
            self.quit()

    def _on_refused(self) -> None:
        self._quits_when_stopped = False
        self._stop_deadline.stop()

    def _on_closing(self) -> None:
        # Asked anew each time: the tray may have come or gone since the start.
        if not self._parts.store.preferences.close_to_tray or not desktop.tray_is_shown():
            self._ask()
            return
        self._tray.show()
        self._window.hide()
        if not self._told_of_tray:
            self._told_of_tray = True
            self._tray.message(_("Wherry is still running"), _("You can open or quit it from its tray icon."))

    def _stop_took_too_long(self) -> None:
        self._quits_when_stopped = False
        self._parts.store.set_problem(
            Problem(
                code=ProblemCode.STEP_TIMED_OUT,
                summary=_(
                    "The machine didn't stop within {elapsed} seconds, so Wherry stays open.",
                    elapsed=STOP_DEADLINE_MS // 1000,
                ),
                hint=_("Try again, or choose Machine > Force stop."),
                retryable=True,
            )
        )
