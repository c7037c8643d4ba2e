"""The open logs, by the key of their pane."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.features.logs.data.followed import FollowedLog


class LogStore(QObject):
    """Part of the app's store. Only the wiring calls `put`, in the GUI thread."""

    opened = Signal(str)
    """The log of the pane with this key was replaced or removed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._logs: dict[str, FollowedLog] = {}

    def log(self, key: str) -> FollowedLog | None:
        """The log of a pane; None for none."""
        return self._logs.get(key)

    def put(self, key: str, log: FollowedLog | None) -> None:
        """Set a pane's log; None removes it."""
        if log is None:
            self._logs.pop(key, None)
        else:
            self._logs[key] = log
        self.opened.emit(key)
