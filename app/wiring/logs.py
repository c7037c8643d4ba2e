"""The open log: its lines and its state from the feed into the store."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.store import LogSession, LogState
from app.wiring.parts import Parts
from backend.api import Problem


class LogsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        parts.store.intents.open_log.connect(self._open_log)
        parts.store.intents.close_log.connect(self._close_log)

    def _open_log(self, container_id: str) -> None:
        store = self._parts.store
        container = store.container(container_id)
        if container is None or (store.log and store.log.container_id == container_id):
            return
        feed = self._parts.engine_link.open_log(container_id)
        store.set_log(LogSession(container_id, container.name))
        feed.lines.connect(store.add_log_lines)

        def changed(state: LogState, problem: Problem | None) -> None:
            store.set_log(LogSession(container_id, container.name, state, problem))

        feed.state_changed.connect(changed)

    def _close_log(self) -> None:
        self._parts.engine_link.close_log()
        self._parts.store.set_log(None)
        self._parts.window.containers.table.setFocus()
