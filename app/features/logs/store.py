"""The logs that are open: one for each pane, by the pane's key."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.features.logs.data.followed import FollowedLog


class LogStore(QObject):
    """Part of the store. Only the wiring calls `put`, in the GUI thread."""

    opened = Signal(str)
    """The key of a pane whose log is another one now, or none."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._logs: dict[str, FollowedLog] = {}

    def log(self, key: str) -> FollowedLog | None:
        """What the pane of that key shows."""
        return self._logs.get(key)

    def put(self, key: str, log: FollowedLog | None) -> None:
        """Give a pane its log, or with None take it away."""
        if log is None:
            self._logs.pop(key, None)
        else:
            self._logs[key] = log
        self.opened.emit(key)
