"""Shows alarms as desktop notifications, or as notices in the window where there is no tray."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from PySide6.QtCore import QObject

from app.frame.notifications import Alarm, ContainerWatch, MachineWatch
from app.frame.tray import Tray
from app.state.parts import Parts
from app.texts import message, say
from app.ui import desktop
from backend.api import Notice

ONCE_S: Final = 60.0
"""A notice and a problem with the same text within this time are one notification."""


class NotificationsWiring(QObject):
    """Connects the engine's events and the store to the tray's notifications."""

    def __init__(self, parts: Parts, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._tray = tray
        self._watch = ContainerWatch(parts.store, self)
        self._notified = ("", 0.0)
        parts.engine_link.event_seen.connect(self._watch.note)
        self._watch.alarm.connect(self._notify)
        self._machine = MachineWatch(parts.store, self)
        self._machine.alarm.connect(self._notify_of_machine)
        parts.store.noticed.connect(self._on_notice)

    def _notify(self, alarm: Alarm) -> None:
        if desktop.tray_is_shown():
            self._tray.message(alarm.title, alarm.text, partial(self._open, alarm))
        else:
            self._parts.store.notice(
                Notice(level="warning", text=message("{title}. {words}", title=alarm.title, words=alarm.text))
            )

    def _notify_of_machine(self, alarm: Alarm) -> None:
        # An active window shows problems in its alert bar. A text that a notice has shown already is not repeated.
        (text, at), self._notified = self._notified, (alarm.text, time.monotonic())
        again = alarm.text == text and time.monotonic() - at < ONCE_S
        if not again and desktop.tray_is_shown() and not self._parts.window.isActiveWindow():
            self._tray.message(alarm.title, alarm.text, partial(self._open, alarm))

    def _on_notice(self, notice: Notice) -> None:
        """Notify of an error that the agent reports once, such as a process killed because memory ran out."""
        if notice.level == "error" and self._parts.store.preferences.notifications:
            self._notify_of_machine(Alarm("Wherry", say(notice.text), ()))

    def _open(self, alarm: Alarm) -> None:
        """Open the failed container's log, or the container list if several failed."""
        intents = self._parts.store.intents
        intents.show_window.emit()
        if not alarm.containers:
            intents.show_machine.emit("overview")
            return
        intents.show_page.emit("containers")
        if len(alarm.containers) == 1 and self._parts.store.container(alarm.containers[0]) is not None:
            intents.open_container.emit(alarm.containers[0], "logs")
