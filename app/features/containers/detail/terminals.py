"""Runs the programs behind terminals, each with a reading and a writing thread.

The GUI thread never waits for a program: input goes through a bounded queue, and output waits in the session, which
blocks the reading thread and so the program.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.links.engine_link import EngineLink
from app.links.workers import join_threads, start_thread
from app.terminal.session import TerminalSession, TerminalState
from backend.api import Problem, TerminalSize, WherryError

if TYPE_CHECKING:
    from backend.api import EngineClient, programs

_QUEUE_BYTES: Final = 8_388_608
JOIN_DEADLINE_S: Final = 2.0
RESIZE_TRIES: Final = 10
RESIZE_PAUSE_MS: Final = 200


class Terminals(QObject):
    """Opens and ends the programs of terminal sessions. For the GUI thread only."""

    _over = Signal(object)  # _Pump

    def __init__(self, link: EngineLink, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.owner = secrets.token_hex(8)
        """Identifies the debug shells of this window."""
        self._link = link
        self._pumps: dict[TerminalSession, _Pump] = {}
        self._old: list[threading.Thread] = []
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)

    def open(self, session: TerminalSession, container_id: str, *, debug: bool) -> None:
        """Start a shell in the container, or a debug shell beside it, for the session."""
        from backend.api import programs

        size = TerminalSize(session.screen.columns, session.screen.lines)
        owner = self.owner

        def start(client: EngineClient) -> tuple[EngineClient, programs.Program]:
            if debug:
                return client, programs.open_debug_shell(client, container_id, size, owner)
            return client, programs.open_shell(client, container_id, size)

        def done(answer: tuple[EngineClient, programs.Program] | Problem) -> None:
            if session.is_closed:
                # The session was closed meanwhile.
                if not isinstance(answer, Problem):
                    self._end(*answer)
            elif isinstance(answer, Problem):
                session.ended(TerminalState.FAILED, problem=answer)
            else:
                self._begin(session, *answer, size)

        self._link.run(start, done)

    def end(self, session: TerminalSession) -> None:
        """End the session's program, as closing a terminal window does."""
        session.close()
        pump = self._pumps.pop(session, None)
        if pump is not None:
            self._old.extend(pump.close())
            self._end(pump.client, pump.program)

    def forget_leftovers(self) -> None:
        """Remove debug shells of windows that no longer exist."""
        owner = self.owner

        def remove(client: EngineClient) -> None:
            from backend.api import programs  # in the worker: docker-py is slow to import

            programs.remove_leftovers(client, owner)

        self._link.run(remove, _ignore)

    def close(self) -> None:
        """End all programs and wait for the threads."""
        for session in tuple(self._pumps):
            self.end(session)
        join_threads(self._old, JOIN_DEADLINE_S)

    def _begin(
        self, session: TerminalSession, client: EngineClient, program: programs.Program, size: TerminalSize
    ) -> None:
        pump = _Pump(session, client, program, self._over.emit)
        self._old = [thread for thread in self._old if thread.is_alive()]
        self._pumps[session] = pump
        session.size_changed.connect(lambda columns, lines: self._resize(session, TerminalSize(columns, lines)))
        session.opened(pump.write)
        now = TerminalSize(session.screen.columns, session.screen.lines)
        if now != size and pump.pending_size is None:  # the window was resized while the program started
            self._resize(session, now)

    def _resize(self, session: TerminalSession, size: TerminalSize) -> None:
        pump = self._pumps.get(session)
        if pump is not None:
            pump.pending_size = size
            pump.tries = 0
            self._send_size(pump)

    def _send_size(self, pump: _Pump) -> None:
        """Send sizes one at a time, so that the last one wins; retry if the program was not ready."""
        size, program = pump.pending_size, pump.program
        if pump.is_resizing or size is None or self._pumps.get(pump.session) is not pump:
            return
        pump.is_resizing = True

        def done(answer: Problem | None) -> None:
            pump.is_resizing = False
            if pump.session.is_closed:
                return
            if pump.pending_size != size:
                self._send_size(pump)
            elif isinstance(answer, Problem) and pump.tries < RESIZE_TRIES:
                pump.tries += 1
                QTimer.singleShot(RESIZE_PAUSE_MS, pump.session, lambda: self._send_size(pump))

        self._link.run(lambda client: program.resize(client, size), done)

    def _on_over(self, pump: _Pump) -> None:
        """Handle the end of the program's connection."""
        session = pump.session
        if self._pumps.get(session) is not pump:
            return
        del self._pumps[session]
        self._old.extend(pump.close())
        program = pump.program

        def done(answer: int | Problem | None) -> None:
            from backend.api import programs

            if session.is_closed:
                return  # and another program runs in its session
            # An unreachable engine cannot report the exit code; the session ends anyway.
            code = answer if isinstance(answer, int) else None
            missing = code in programs.NO_SUCH_PROGRAM and not pump.was_used
            problem = answer if isinstance(answer, Problem) else None
            session.ended(TerminalState.NO_SHELL if missing else TerminalState.ENDED, exit_code=code, problem=problem)

        self._link.run(program.exit_code, done)

    def _end(self, client: EngineClient, program: programs.Program) -> None:
        # In its own thread, because the link's pool accepts no jobs while the window closes.
        def end() -> None:
            with contextlib.suppress(WherryError):  # if the engine is gone, so is the program
                program.end(client)

        self._old.append(start_thread("terminal-end", end))


class _Pump:
    """The two threads of one program."""

    def __init__(
        self, session: TerminalSession, client: EngineClient, program: programs.Program, over: Callable[[_Pump], None]
    ) -> None:
        self.session = session
        self.client = client
        self.program = program
        self.was_used = False
        """Whether anything was typed. If so a shell existed, whatever its exit code."""
        self.pending_size: TerminalSize | None = None
        self.is_resizing = False
        self.tries = 0
        self._over = over
        self._typed: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._threads = [start_thread("terminal-read", self._read), start_thread("terminal-write", self._write)]

    def write(self, data: bytes) -> None:
        """Queue input; it is dropped if the program has left megabytes unread."""
        with self._lock:
            if self._waiting + len(data) > _QUEUE_BYTES:
                return
            self._waiting += len(data)
        self.was_used = True
        self._typed.put(data)

    def close(self) -> list[threading.Thread]:
        """Request both threads to end, and return them for joining."""
        self._typed.put(None)
        self.program.connection.close()
        return self._threads

    def _read(self) -> None:
        connection = self.program.connection
        while data := connection.read():
            self.session.feed(data)
        connection.release()
        self._over(self)

    def _write(self) -> None:
        while (data := self._typed.get()) is not None:
            self.program.connection.write(data)
            with self._lock:
                self._waiting -= len(data)


def _ignore(_answer: object) -> None:
    """Callback for requests whose failure has no visible effect."""
