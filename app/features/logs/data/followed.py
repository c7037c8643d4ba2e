"""A log that is open: which containers, how each of them stands, and the lines. What a pane shows, and a feed fills."""

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
    """How the log of one container stands."""

    OPENING = "opening"
    FOLLOWING = "following"
    IN_TURN = "in-turn"  # too many run to follow all: it is asked every few seconds
    ENDED = "ended"  # the container stopped; it is followed again when it starts
    RECONNECTING = "reconnecting"  # the engine went away


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one container's log stands."""

    state: LogState = LogState.OPENING
    problem: Problem | None = None


class FollowedLog(QObject):
    """Make and read it in the GUI thread; `set_state` and `touch` may be called from any."""

    changed = Signal()
    """Lines or a state. Once for any number of changes, until `seen` is called."""

    def __init__(self, container_ids: tuple[str, ...], names: tuple[str, ...], buffer: LogBuffer) -> None:
        super().__init__()
        self.container_ids = container_ids
        self.names = names
        """By the number of the source, as `LogLine.source` has it."""
        self.buffer = buffer
        self.states = [SourceState() for _ in container_ids]
        self._told = False
        self._searches: list[LogSearch] = []
        self._exports: list[LogExport] = []

    def search(self, query: LogQuery, start: int) -> LogSearch:
        """Look for something in the lines from `start` on. What was looked for before goes on until it is closed."""
        self._searches.append(LogSearch(self.buffer, query, start, self.touch))
        return self._searches[-1]

    def export(self, numbers: Sequence[int], columns: Columns, path: Path | None) -> LogExport:
        """Lines that are to be written into a file, or without a path into memory. `start` it."""
        self._exports.append(LogExport(self.buffer, numbers, columns, path))
        return self._exports[-1]

    def close(self) -> list[threading.Thread]:
        """End what works on the lines, and give them up; gives the threads, to be joined."""
        self.buffer.close()
        return [
            *(each.close() for each in self._searches),
            *(thread for each in self._exports for thread in each.close()),
        ]

    def set_state(self, source: int, state: LogState, problem: Problem | None = None) -> None:
        """How a container's log stands now."""
        self.states[source] = SourceState(state, problem)
        self.touch()

    def touch(self) -> None:
        """Something changed."""
        if not self._told:
            self._told = True
            self.changed.emit()

    def seen(self) -> None:
        """To be called before looking: what comes from now on is told again."""
        self._told = False
