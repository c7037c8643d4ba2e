"""What failed, from the engine's events to the desktop's notifications; where there is no tray, into the window."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QObject

from app.frame.notifications import Alarm, ContainerWatch, MachineWatch
from app.frame.tray import Tray
from app.state.parts import Parts
from app.texts import _
from app.ui import desktop
from backend.api import Notice

ONCE_S: Final = 60.0
"""What a notice says and then a problem is told once."""


class NotificationsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._tray = tray
        self._watch = ContainerWatch(parts.store, self)
        self._last: Alarm | None = None
        self._told = ("", 0.0)
        parts.engine_link.event_seen.connect(self._watch.note)
        self._watch.alarm.connect(self._tell)
        self._machine = MachineWatch(parts.store, self)
        self._machine.alarm.connect(self._tell_of_machine)
        parts.store.noticed.connect(self._on_notice)
        tray.message_clicked.connect(self._open)

    def _tell(self, alarm: Alarm) -> None:
        if desktop.tray_is_shown():
            self._last = alarm
            self._tray.message(alarm.title, alarm.words)
        else:
            self._parts.store.notice(
                Notice(level="warning", text=_("{title}. {words}", title=alarm.title, words=alarm.words))
            )

    def _tell_of_machine(self, alarm: Alarm) -> None:
        # The window says it by itself, in a strip that is hard to miss; what a notice told first is told once.
        (words, at), self._told = self._told, (alarm.words, time.monotonic())
        again = alarm.words == words and time.monotonic() - at < ONCE_S
        if not again and desktop.tray_is_shown() and not self._parts.window.isActiveWindow():
            self._last = alarm
            self._tray.message(alarm.title, alarm.words)

    def _on_notice(self, notice: Notice) -> None:
        """What the agent warns of once, such as a process that was killed for want of memory."""
        if notice.level == "error" and self._parts.store.preferences.notifications:
            self._tell_of_machine(Alarm("Wherry", notice.text, ()))

    def _open(self) -> None:
        """The log of the one that failed, or the list where it was several."""
        alarm, intents = self._last, self._parts.store.intents
        intents.show_window.emit()
        if alarm is None:
            return
        if not alarm.containers:
            intents.show_machine.emit("overview")
            return
        intents.show_page.emit("containers")
        if len(alarm.containers) == 1 and self._parts.store.container(alarm.containers[0]) is not None:
            intents.open_container.emit(alarm.containers[0], "logs")
