"""The connection to the agent, in the GUI thread: messages are converted into signals.

It connects and reconnects automatically: `find_agent` (which starts an agent if none runs, and may take seconds) is
called in a worker thread, everything else is driven by socket events. Every wait has a deadline: `find_agent` has its
own, connecting and the agent's hello are timed here.
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
from app.texts import Message, message
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
"""From the start of connecting to the agent's first message."""
BACK_OFF_MS: Final = (100, 300, 1_000, 2_000, 5_000)
"""Pauses between attempts; the last is repeated."""
CLOSE_DEADLINE_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request without a reply yet."""

    request: Request[Any]
    done: Callable[[Any], object]
    context: QObject

    def end(self, answer: object) -> None:
        """Pass the answer, or the problem, to the callback, unless its context was deleted."""
        if shiboken6.isValid(self.context):
            self.done(answer)


class MachineLink(QObject):
    """Connection of one client to one agent. MUST be created and used in the GUI thread."""

    status_changed = Signal(object)  # MachineStatus
    stats_changed = Signal(object)  # StatsPush; after a SubscribeStats request
    noticed = Signal(object)  # Notice
    connected = Signal()
    lost = Signal(object)  # Problem with the reason; reconnects automatically

    _unsent = Signal(object, object)  # _Pending, Problem
    _found = Signal(int, str)
    _not_found = Signal(int, object)

    def __init__(self, find_agent: Callable[[], str], parent: QObject | None = None) -> None:
        """`open` starts connecting.

        Args:
            find_agent: returns the control socket's name, after starting the agent if needed. Blocks; raises
                WherryError.
            parent: Qt's parent.
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
        self._deadline.timeout.connect(self._on_deadline)
        self._retry = QTimer(self, singleShot=True)
        self._retry.timeout.connect(self._find)
        self._unsent.connect(self._on_unsent, Qt.ConnectionType.QueuedConnection)
        self._found.connect(self._connect_to, Qt.ConnectionType.QueuedConnection)
        self._not_found.connect(self._on_find_failed, Qt.ConnectionType.QueuedConnection)

    @property
    def is_up(self) -> bool:
        """Whether both sides have sent their hello."""
        return self._is_up

    def open(self) -> None:
        """Start connecting."""
        self._find()

    def close(self) -> None:
        """Disconnect; the agent keeps running. Waits for the worker."""
        self._closed = True
        self._retry.stop()
        self._deadline.stop()
        self._socket.abort()
        self._pending.clear()
        self._workers.close(CLOSE_DEADLINE_S)

    def request(self, request: Request[AnswerT], done: Callable[[AnswerT | Problem], object], context: QObject) -> None:
        """Send a request to the agent. Its effects are also visible in the status.

        Args:
            request: the request. Several may be pending; the agent answers in any order.
            done: called once, in the GUI thread and never before this has returned: with the answer to this request, or
                with the problem. With AGENT_UNREACHABLE the connection was lost, and the result is unknown.
            context: once it is deleted, or this link is closed, `done` is not called.
        """
        pending = _Pending(request, done, context)
        if not self._is_up:
            self._unsent.emit(pending, _unreachable(message("Not connected to the machine's agent.")))
            return
        number = self._next_id
        self._next_id += 1
        self._pending[number] = pending
        self._socket.write(encode(request_line(number, request)))

    def _find(self) -> None:
        self._attempt += 1
        attempt = self._attempt
        find = self._find_agent

        def run() -> None:
            try:
                name = find()
            except WherryError as error:
                self._not_found.emit(attempt, error.problem)
            except Exception as error:
                self._not_found.emit(
                    attempt,
                    fail(
                        ProblemCode.INTERNAL, message("Couldn't look for the agent: {error}", error=str(error))
                    ).problem,
                )
                raise
            else:
                self._found.emit(attempt, name)

        self._workers.submit(run)

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
    def _on_find_failed(self, attempt: int, problem: Problem) -> None:
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
                self._on_message(line)
        except WherryError as error:
            _log.warning("the agent is not understood: %s", error)
            self._give_up(error.problem)

    def _on_message(self, untrusted_line: bytes) -> None:
        received = decode_from_agent(untrusted_line)
        if isinstance(received, Hello):
            check_protocol(received)
            self._deadline.stop()
            self._failures = 0
            self._is_up = True
            self.connected.emit()
            return
        if not self._is_up:
            raise fail(ProblemCode.BAD_REQUEST, message("The agent didn't send a greeting first."))
        if isinstance(received, StatusPush):
            self.status_changed.emit(received.status)
        elif isinstance(received, StatsPush):
            self.stats_changed.emit(received)
        elif isinstance(received, NoticePush):
            self.noticed.emit(received.notice)
        elif isinstance(received, ReplyLine):
            pending = self._pending.pop(received.id, None)
            if pending is not None:
                pending.end(_answer(pending.request, received))

    @Slot()
    def _disconnected(self) -> None:
        if self._is_up:
            self._give_up(_unreachable(message("The machine's agent stopped.")))

    @Slot(QLocalSocket.LocalSocketError)
    def _failed(self, error: QLocalSocket.LocalSocketError) -> None:
        # For an open connection `disconnected` is signalled too: do not handle it twice.
        if error is not QLocalSocket.LocalSocketError.PeerClosedError or not self._is_up:
            self._give_up(
                _unreachable(
                    message("The machine's agent isn't responding: {error}.", error=self._socket.errorString())
                )
            )

    @Slot()
    def _on_deadline(self) -> None:
        self._give_up(
            _unreachable(
                message("The machine's agent didn't respond within {seconds} s.", seconds=HELLO_DEADLINE_MS // 1000)
            )
        )

    def _give_up(self, problem: Problem) -> None:
        """Drop this connection, report the reason, and retry after a pause."""
        if self._closed or self._retry.isActive():
            return
        self._is_up = False
        self._deadline.stop()
        # Start the pause first: abort() signals the socket's end, which must not count as another failure.
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


def _unreachable(summary: Message) -> Problem:
    return Problem(
        code=ProblemCode.AGENT_UNREACHABLE,
        summary=summary,
        hint=message("It restarts automatically. The machine isn't affected."),
        retryable=True,
    )
