"""An open log: its containers, their states, and the lines. Shown by a pane, filled by a feed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.export import Columns, LogExport
from app.features.logs.data.search import LogQuery, LogSearch
from backend.api import Problem

ARRIVING_S: Final = 1.5
"""Lines are arriving if the last one came within this time."""
BEHIND_S: Final = 10.0
"""A log is behind if the line that arrives was written longer ago than this."""


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
    """MUST be created and read in the GUI thread; `set_state`, `note_behind` and `touch` are thread-safe."""

    changed = Signal()
    """Lines or a state have changed. Emitted once for any number of changes until `seen` is called."""

    def __init__(self, container_ids: tuple[str, ...], names: tuple[str, ...], buffer: LogBuffer) -> None:
        super().__init__()
        self.container_ids = container_ids
        self.names = names
        """Names of the containers, by `LogLine.source`."""
        self.buffer = buffer
        self.states = [SourceState() for _ in container_ids]
        self.has_older = False
        """Whether there are older lines than those that were asked for."""
        self._behind = (0.0, 0.0)
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

    @property
    def behind_s(self) -> float:
        """By how many seconds the newest line is late, while lines arrive that were written long ago; else 0."""
        seconds, at = self._behind
        is_arriving = time.monotonic() - at < ARRIVING_S
        return seconds if is_arriving and seconds >= BEHIND_S else 0.0

    @property
    def is_opening(self) -> bool:
        """Whether the lines of some container have not begun to arrive."""
        return any(each.state is LogState.OPENING for each in self.states)

    def note_behind(self, seconds: float) -> None:
        """Set by how much the line that has just arrived is late. Thread-safe."""
        self._behind = (seconds, time.monotonic())

    def touch(self) -> None:
        """Report a change."""
        if not self._told:
            self._told = True
            self.changed.emit()

    def seen(self) -> None:
        """Call before reading: later changes are signalled again."""
        self._told = False
