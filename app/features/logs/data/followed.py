"""An open log: its containers, their states, and the lines. Shown by a pane, filled by a feed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.export import Columns, LogExport
from app.features.logs.data.search import LogQuery, LogSearch
from backend.api import Problem


class LogState(StrEnum):
    """State of a container's log."""

    OPENING = "opening"
    FOLLOWING = "following"
    IN_TURN = "in-turn"  # too many containers to follow all: read every few seconds
    ENDED = "ended"  # the container has stopped; followed again when it starts
    RECONNECTING = "reconnecting"  # the engine is down


@dataclass(frozen=True, slots=True)
class SourceState:
    """State of a container's log, with the problem if it failed."""

    state: LogState = LogState.OPENING
    problem: Problem | None = None


class FollowedLog(QObject):
    """MUST be created and read in the GUI thread; `set_state` and `touch` are thread-safe."""

    changed = Signal()
    """Lines or a state have changed. Emitted once for any number of changes until `seen` is called."""

    def __init__(self, container_ids: tuple[str, ...], names: tuple[str, ...], buffer: LogBuffer) -> None:
        super().__init__()
        self.container_ids = container_ids
        self.names = names
        """Names of the containers, by `LogLine.source`."""
        self.buffer = buffer
        self.states = [SourceState() for _ in container_ids]
        self._told = False
        self._searches: list[LogSearch] = []
        self._exports: list[LogExport] = []

    def search(self, query: LogQuery, start: int) -> LogSearch:
        """Start a search in the lines from `start` on. Earlier searches run until they are closed."""
        self._searches.append(LogSearch(self.buffer, query, start, self.touch))
        return self._searches[-1]

    def export(self, numbers: Sequence[int], columns: Columns, path: Path | None) -> LogExport:
        """Create an export to a file, or to memory without a path. Call its `start`."""
        self._exports.append(LogExport(self.buffer, numbers, columns, path))
        return self._exports[-1]

    def close(self) -> list[threading.Thread]:
        """Stop searches and exports, and free the lines. Returns the threads, to be joined."""
        self.buffer.close()
        return [
            *(each.close() for each in self._searches),
            *(thread for each in self._exports for thread in each.close()),
        ]

    def set_state(self, source: int, state: LogState, problem: Problem | None = None) -> None:
        """Set the state of a container's log."""
        self.states[source] = SourceState(state, problem)
        self.touch()

    def touch(self) -> None:
        """Report a change."""
        if not self._told:
            self._told = True
            self.changed.emit()

    def seen(self) -> None:
        """Call before reading: later changes are signalled again."""
        self._told = False
