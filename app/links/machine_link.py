"""The connection to the agent: bytes to protocol to signals, in the GUI thread, with no thread but one for finding it.

It connects by itself, for ever: `find_agent` (which starts an agent where none runs, and may take seconds) runs in a
worker, everything else is events of the socket. Every wait has a deadline: finding ends by itself, connecting and the
agent's hello are timed here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import shiboken6
from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtNetwork import QLocalSocket

from app.links.workers import Workers
from backend.api import (
    PROTOCOL,
    VERSION,
    AnswerT,
    Hello,
    LineBuffer,
    NoticePush,
    Problem,
    ProblemCode,
    ReplyLine,
    Request,
    StatsPush,
    StatusPush,
    WherryError,
    check_protocol,
    decode_from_agent,
    encode,
    fail,
    read_reply,
    request_line,
)

HELLO_DEADLINE_MS: Final = 5_000
"""From the start of connecting to the agent's first line."""
BACK_OFF_MS: Final = (100, 300, 1_000, 2_000, 5_000)
"""Pauses between attempts; the last repeats."""
CLOSE_DEADLINE_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request whose reply has not come."""

    request: Request[Any]
    done: Callable[[Any], object]
    context: QObject

    def end(self, answer: object) -> None:
        """Hand over the answer, or the problem, if there is somebody left to take it."""
        if shiboken6.isValid(self.context):
            self.done(answer)


class MachineLink(QObject):
    """One client of one agent. Make and use it in the GUI thread."""

    status_changed = Signal(object)  # MachineStatus
    stats_changed = Signal(object)  # StatsPush; after the request SubscribeStats
    noticed = Signal(object)  # Notice
    connected = Signal()
    lost = Signal(object)  # Problem: why; the next attempt comes by itself

    _unsent = Signal(object, object)  # _Pending, Problem
    _found = Signal(int, str)
    _not_found = Signal(int, object)

    def __init__(self, find_agent: Callable[[], str], parent: QObject | None = None) -> None:
        """Prepare; `open` begins.

        Args:
            find_agent: gives the control socket's name, after starting the agent if need be. Blocks; raises
                WherryError.
        """
        super().__init__(parent)
        self._find_agent = find_agent
        self._workers = Workers("find-agent", 1)
        self._attempt = 0
        self._failures = 0
        self._lines = LineBuffer()
        self._is_up = False
        self._closed = False
        self._next_id = 1
        self._pending: dict[int, _Pending] = {}
        self._socket = QLocalSocket(self)
        self._socket.connected.connect(self._greet)
        self._socket.readyRead.connect(self._read)
        self._socket.disconnected.connect(self._disconnected)
        self._socket.errorOccurred.connect(self._failed)
        self._deadline = QTimer(self, singleShot=True, interval=HELLO_DEADLINE_MS)
        self._deadline.timeout.connect(self._too_late)
        self._retry = QTimer(self, singleShot=True)
        self._retry.timeout.connect(self._look)
        self._unsent.connect(self._on_unsent, Qt.ConnectionType.QueuedConnection)
        self._found.connect(self._connect_to, Qt.ConnectionType.QueuedConnection)
        self._not_found.connect(self._nobody, Qt.ConnectionType.QueuedConnection)

    @property
    def is_up(self) -> bool:
        """Whether both sides have said hello."""
        return self._is_up

    def open(self) -> None:
        """Begin to connect."""
        self._look()

    def close(self) -> None:
        """Let go of the agent, which goes on. Waits for the worker."""
        self._closed = True
        self._retry.stop()
        self._deadline.stop()
        self._socket.abort()
        self._pending.clear()
        self._workers.close(CLOSE_DEADLINE_S)

    def request(self, request: Request[AnswerT], done: Callable[[AnswerT | Problem], object], context: QObject) -> None:
        """Ask the agent for something; what it does shows in the status, too.

        Args:
            request: what is asked. Any number may be under way; the agent answers them in whatever order.
            done: called once, in the GUI thread and never before this has returned: with the answer to this request,
                or with the problem that it was refused with. AGENT_UNREACHABLE: the connection is lost, and nobody
                knows what became of it.
            context: when it is deleted, or this link is closed, `done` is not called any more.
        """
        pending = _Pending(request, done, context)
        if not self._is_up:
            self._unsent.emit(pending, _unreachable("The machine's agent is not connected."))
            return
        number = self._next_id
        self._next_id += 1
        self._pending[number] = pending
        self._socket.write(encode(request_line(number, request)))

    def _look(self) -> None:
        self._attempt += 1
        attempt = self._attempt
        find = self._find_agent

        def look() -> None:
            try:
                name = find()
            except WherryError as error:
                self._not_found.emit(attempt, error.problem)
            except Exception as error:
                self._not_found.emit(
                    attempt, fail(ProblemCode.INTERNAL, f"Looking for the agent failed: {error!r}").problem
                )
                raise
            else:
                self._found.emit(attempt, name)

        self._workers.submit(look)

    @Slot(object, object)
    def _on_unsent(self, pending: _Pending, problem: Problem) -> None:
        if not self._closed:
            pending.end(problem)

    @Slot(int, str)
    def _connect_to(self, attempt: int, name: str) -> None:
        if self._closed or attempt != self._attempt:
            return
        self._lines.clear()
        self._deadline.start()
        self._socket.connectToServer(name)

    @Slot(int, object)
    def _nobody(self, attempt: int, problem: Problem) -> None:
        if not self._closed and attempt == self._attempt:
            self._give_up(problem)

    @Slot()
    def _greet(self) -> None:
        self._socket.write(encode(Hello(protocol=PROTOCOL, version=VERSION, pid=QCoreApplication.applicationPid())))

    @Slot()
    def _read(self) -> None:
        self._lines.receive(bytes(self._socket.readAll().data()))
        try:
            while (line := self._lines.next_line()) is not None:
                self._take(line)
        except WherryError as error:
            _log.warning("the agent is not understood: %s", error)
            self._give_up(error.problem)

    def _take(self, untrusted_line: bytes) -> None:
        message = decode_from_agent(untrusted_line)
        if isinstance(message, Hello):
            check_protocol(message)
            self._deadline.stop()
            self._failures = 0
            self._is_up = True
            self.connected.emit()
            return
        if not self._is_up:
            raise fail(ProblemCode.BAD_REQUEST, "The agent did not begin with a greeting.")
        if isinstance(message, StatusPush):
            self.status_changed.emit(message.status)
        elif isinstance(message, StatsPush):
            self.stats_changed.emit(message)
        elif isinstance(message, NoticePush):
            self.noticed.emit(message.notice)
        elif isinstance(message, ReplyLine):
            pending = self._pending.pop(message.id, None)
            if pending is not None:
                pending.end(_answer(pending.request, message))

    @Slot()
    def _disconnected(self) -> None:
        if self._is_up:
            self._give_up(_unreachable("The machine's agent ended."))

    @Slot(QLocalSocket.LocalSocketError)
    def _failed(self, error: QLocalSocket.LocalSocketError) -> None:
        # The end of an open connection is told by `disconnected` as well; here it would be told twice.
        if error is not QLocalSocket.LocalSocketError.PeerClosedError or not self._is_up:
            self._give_up(_unreachable(f"The machine's agent does not answer: {self._socket.errorString()}."))

    @Slot()
    def _too_late(self) -> None:
        self._give_up(_unreachable(f"The machine's agent said nothing for {HELLO_DEADLINE_MS // 1000} seconds."))

    def _give_up(self, problem: Problem) -> None:
        """Drop this connection, say why, and try again after a pause."""
        if self._closed or self._retry.isActive():
            return
        self._is_up = False
        self._deadline.stop()
        # The pause is set first: abort() makes the socket report its end, which must not count as another failure.
        self._retry.start(BACK_OFF_MS[min(self._failures, len(BACK_OFF_MS) - 1)])
        self._failures += 1
        self._socket.abort()
        self._lines.clear()
        pending, self._pending = self._pending, {}
        self.lost.emit(problem)
        for each in pending.values():
            each.end(problem)


def _answer(request: Request[AnswerT], reply: ReplyLine) -> AnswerT | Problem:
    try:
        return read_reply(request, reply)
    except WherryError as error:
        return error.problem


def _unreachable(summary: str) -> Problem:
    return Problem(
        code=ProblemCode.AGENT_UNREACHABLE,
        summary=summary,
        hint="It is started again by itself; the machine is not affected.",
        retryable=True,
    )
