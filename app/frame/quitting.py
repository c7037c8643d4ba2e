"""Closing the window and quitting: asks what to do with the machine, and waits until it has stopped or suspended."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer

from app.features.machine.wiring import MachineWiring
from app.frame.main_window import MainWindow
from app.frame.quit_dialog import QuitDialog
from app.frame.tray import Tray
from app.state.machine_actions import refusal
from app.state.parts import Parts
from app.texts import _, message
from app.ui import desktop
from backend.api import Notice, Phase, Problem, ProblemCode

STOP_DEADLINE_MS: Final = 120_000
"""How long to wait for the machine to stop or suspend before quitting is given up."""


class QuittingWiring(QObject):
    """Handles the window's close button and the quit intents."""

    def __init__(self, parts: Parts, machine: MachineWiring, window: MainWindow, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._window = window
        self._tray = tray
        self._quits_when_stopped = False
        self._tray_notice_shown = False
        self._dialog: QuitDialog | None = None
        self._stop_deadline = QTimer(self, singleShot=True, interval=STOP_DEADLINE_MS)
        self._stop_deadline.timeout.connect(self._on_stop_timeout)
        machine.settled.connect(self._on_machine_settled)
        machine.refused.connect(self._on_request_refused)
        intents = parts.store.intents
        intents.quit.connect(self._on_quit)
        intents.quit_only.connect(self.quit)
        intents.suspend_and_quit.connect(lambda: self._quit_with("suspend"))
        intents.stop_and_quit.connect(lambda: self._quit_with("stop"))
        window.closing.connect(self._on_closing)
        # At the end of the desktop session a window that refuses to close would block the logout.
        parts.app.commitDataRequest.connect(lambda _manager: window.allow_close())

    def quit(self) -> None:
        """End the application.

        The window is closed first: Qt asks it before quitting, and a window that only hides would refuse.
        """
        self._stop_deadline.stop()
        self._window.close_for_good()
        self._parts.app.quit()

    def _on_quit(self) -> None:
        """Quit; first ask what to do with a running machine, unless the preferences say."""
        store = self._parts.store
        settled = store.preferences.on_quit
        if not store.machine_keeps_running or store.phase is None or settled == "keep":
            self.quit()
        elif settled != "ask" and not refusal(store):
            self._quit_with(settled)
        elif self._dialog is None:
            store.intents.show_window.emit()
            self._dialog = QuitDialog(self._window, store, self._quit_with)
            self._dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self._dialog.finished.connect(self._on_dialog_finished)
            self._dialog.open()

    def _on_dialog_finished(self) -> None:
        self._dialog = None

    def _quit_with(self, choice: str) -> None:
        """Apply `choice` ("keep", "suspend" or "stop") to the machine, then quit."""
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
                    message("Suspending the machine before quitting…")
                    if suspends
                    else message("Stopping the machine before quitting…")
                ),
            )
        )
        if suspends:
            store.intents.suspend_machine.emit()
        else:
            store.intents.stop_machine.emit()

    def _on_machine_settled(self) -> None:
        if self._quits_when_stopped:
            self.quit()

    def _on_request_refused(self) -> None:
        self._quits_when_stopped = False
        self._stop_deadline.stop()

    def _on_closing(self) -> None:
        # Checked each time: the tray may have appeared or vanished since the start.
        if not self._parts.store.preferences.close_to_tray or not desktop.tray_is_shown():
            self._on_quit()
            return
        self._tray.show()
        self._window.hide()
        if not self._tray_notice_shown:
            self._tray_notice_shown = True
            self._tray.message(_("Wherry is still running"), _("You can open or quit it from its tray icon."))

    def _on_stop_timeout(self) -> None:
        self._quits_when_stopped = False
        self._parts.store.set_problem(
            Problem(
                code=ProblemCode.STEP_TIMED_OUT,
                summary=message(
                    "The machine didn't stop within {elapsed} seconds, so Wherry stays open.",
                    elapsed=STOP_DEADLINE_MS // 1000,
                ),
                hint=message("Try again, or choose Machine > Force stop."),
                retryable=True,
            )
        )
