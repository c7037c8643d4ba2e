"""One program in a terminal: what it writes goes to the screen in slices of a frame, what is typed goes to it.

Who runs the program is somebody else's affair: `feed` may be called from any thread and blocks there while
`_BACKLOG_BYTES` wait, so a program that floods is slowed down and the window is not.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.terminal.parser import SequenceParser
from app.terminal.screen import Screen
from backend.api import Problem

_BACKLOG_BYTES: Final = 262_144
_SLICE_BYTES: Final = 8_192
_SLICE_S: Final = 0.007
"""How long bytes are read before the window is let do something else."""
FRAME_MS: Final = 16


class TerminalState(StrEnum):
    """How the program stands."""

    OPENING = "opening"
    RUNNING = "running"
    ENDED = "ended"
    NO_SHELL = "no-shell"
    FAILED = "failed"


class TerminalSession(QObject):
    """Lives in the GUI thread."""

    drawn = Signal()  # the screen changed; its dirty rows say where
    state_changed = Signal()
    size_changed = Signal(int, int)  # columns, lines

    _arrived = Signal()

    def __init__(self, key: str, columns: int = 80, lines: int = 24, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.key = key
        self.screen = Screen(columns, lines, lambda words: self.send(words.encode()))
        self.state = TerminalState.OPENING
        self.problem: Problem | None = None
        self.exit_code: int | None = None
        self._parser = SequenceParser(self.screen)
        self._write: Callable[[bytes], None] | None = None
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._closed = False
        self._room = threading.Condition()
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._take)
        self._arrived.connect(self._schedule, Qt.ConnectionType.QueuedConnection)

    @property
    def is_closed(self) -> bool:
        """Whether nobody looks at it any more."""
        return self._closed

    # -- from the program -----------------------------------------------------------------------------------------
    def feed(self, untrusted_data: bytes) -> None:
        """Take what the program wrote. From any thread; waits there while the window is behind."""
        with self._room:
            while self._waiting >= _BACKLOG_BYTES and not self._closed:
                self._room.wait()
            if self._closed:
                return
            first = not self._pieces
            self._pieces.append(untrusted_data)
            self._waiting += len(untrusted_data)
        if first:
            self._arrived.emit()

    def opened(self, write: Callable[[bytes], None]) -> None:
        """The program runs; `write` takes what is typed, and MUST NOT block."""
        self._write = write
        self._set_state(TerminalState.RUNNING)

    def ended(self, state: TerminalState, *, exit_code: int | None = None, problem: Problem | None = None) -> None:
        """The program is gone, or never came. What it wrote before is still read."""
        self._write = None
        self.exit_code = exit_code
        self.problem = problem
        self._set_state(state)

    def close(self) -> None:
        """Read no more; lets go of a thread that waits in `feed`."""
        with self._room:
            self._closed = True
            self._pieces.clear()
            self._room.notify_all()
        self._write = None
        self._timer.stop()

    # -- from the user --------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        """What the program is to read."""
        if self._write is not None and data:
            self._write(data)

    def resize(self, columns: int, lines: int) -> None:
        """The widget has another size."""
        if (columns, lines) != (self.screen.columns, self.screen.lines):
            self.screen.resize(lines, columns)
            self.size_changed.emit(self.screen.columns, self.screen.lines)

    def clear_history(self) -> None:
        """Forget what left the screen."""
        self.screen.history.clear()
        self.drawn.emit()

    def _set_state(self, state: TerminalState) -> None:
        self.state = state
        self.state_changed.emit()

    def _schedule(self) -> None:
        if not self._timer.isActive() and not self._closed:
            # At once for the echo of a key; in the next frame while more keeps coming.
            self._timer.start(0)

    def _take(self) -> None:
        end = time.perf_counter() + _SLICE_S
        while time.perf_counter() < end:
            with self._room:
                if not self._pieces:
                    break
                piece = self._pieces.popleft()
                if len(piece) > _SLICE_BYTES:
                    self._pieces.appendleft(piece[_SLICE_BYTES:])
                    piece = piece[:_SLICE_BYTES]
                self._waiting -= len(piece)
                self._room.notify_all()
            self._parser.feed(piece)
        self.drawn.emit()
        with self._room:
            more = bool(self._pieces)
        if more:
            self._timer.start(FRAME_MS)
