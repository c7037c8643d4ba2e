"""A program in a terminal: its output is written to the screen in slices of a frame, input is sent to it.

The caller runs the program. `feed` is thread-safe and blocks while `_BACKLOG_BYTES` are queued, so a program that
floods is slowed down and the window stays responsive.
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
"""Processing time per slice, after which the window handles other events."""
FRAME_MS: Final = 16


class TerminalState(StrEnum):
    """State of the program."""

    OPENING = "opening"
    RUNNING = "running"
    ENDED = "ended"
    NO_SHELL = "no-shell"
    FAILED = "failed"


class TerminalSession(QObject):
    """A terminal session. Belongs to the GUI thread."""

    drawn = Signal()  # the screen has changed; `dirty` says where
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
        self._timer.timeout.connect(self._process)
        self._arrived.connect(self._schedule, Qt.ConnectionType.QueuedConnection)

    @property
    def is_closed(self) -> bool:
        """Whether the session was closed."""
        return self._closed

    # -- from the program -----------------------------------------------------------------------------------------
    def feed(self, untrusted_data: bytes) -> None:
        """Queue output of the program. Thread-safe; blocks while the queue is full."""
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
        """The program has started; `write` sends input to it, and MUST NOT block."""
        self._write = write
        self._set_state(TerminalState.RUNNING)

    def ended(self, state: TerminalState, *, exit_code: int | None = None, problem: Problem | None = None) -> None:
        """The program has ended, or failed to start. Queued output is still processed."""
        self._write = None
        self.exit_code = exit_code
        self.problem = problem
        self._set_state(state)

    def close(self) -> None:
        """Stop processing; a thread that is blocked in `feed` continues."""
        with self._room:
            self._closed = True
            self._pieces.clear()
            self._room.notify_all()
        self._write = None
        self._timer.stop()

    # -- from the user --------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        """Send input to the program."""
        if self._write is not None and data:
            self._write(data)

    def resize(self, columns: int, lines: int) -> None:
        """Set the size of the widget in cells."""
        if (columns, lines) != (self.screen.columns, self.screen.lines):
            self.screen.resize(lines, columns)
            self.size_changed.emit(self.screen.columns, self.screen.lines)

    def clear_history(self) -> None:
        """Clear the scrollback."""
        self.screen.history.clear()
        self.drawn.emit()

    def _set_state(self, state: TerminalState) -> None:
        self.state = state
        self.state_changed.emit()

    def _schedule(self) -> None:
        if not self._timer.isActive() and not self._closed:
            # At once, to echo a key without delay; in the next frame while more output follows.
            self._timer.start(0)

    def _process(self) -> None:
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
