"""A blocking client of the agent, for the command line and for tests."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from backend import VERSION, host
from backend.control.launch import ensure_agent
from backend.control.lines import LineBuffer
from backend.control.messages import CancelOperation, ShutDownAgent, SubscribeStats
from backend.control.messages.request import Accepted, AnswerT, Request
from backend.control.protocol import (
    PROTOCOL,
    FromAgent,
    Hello,
    NoticePush,
    ReplyLine,
    RequestLine,
    StatsPush,
    StatusPush,
    check_protocol,
    decode_from_agent,
    encode,
    read_reply,
    request_line,
)
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import message
from backend.model import MachineStatus, Notice

_REPLY_TIMEOUT_S: Final = 20.0
_READ_BYTES: Final = 65_536
_ATTEMPTS: Final = 20
"""An idle agent ends. It may do so after a client has found it and before they have exchanged hello."""


class AgentLeft(WherryError):  # noqa: N818 -- an event, and no mistake
    """The agent has ended or closed the connection."""


class OtherVersion(WherryError):  # noqa: N818 -- an event, and no mistake
    """The agent uses another version of the protocol. `agent_pid` is its process id."""

    def __init__(self, error: WherryError, agent_pid: int) -> None:
        super().__init__(error.problem)
        self.agent_pid = agent_pid


class MachineClient:
    """A connection to the agent. Not thread-safe."""

    def __init__(self, address: str) -> None:
        """Connect, exchange hello and receive the first status. Blocks for up to 20 s per message.

        Args:
            address: path of the agent's socket.

        Raises:
            WherryError: AGENT_UNREACHABLE, or AGENT_TOO_OLD (as `OtherVersion`).
        """
        self._address = address
        try:
            self._socket = host.current().connect_blocking(Path(address), timeout_s=_REPLY_TIMEOUT_S)
        except OSError as error:
            raise self._connection_lost(error) from error
        self._lines = LineBuffer()
        self._next_id = 1
        self._status: MachineStatus | None = None
        self._notices: list[Notice] = []
        self._stats: deque[StatsPush] = deque(maxlen=1)  # only the newest is of interest
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        self._send(Hello(protocol=PROTOCOL, version=VERSION, pid=os.getpid()))
        hello = self._receive_reply()
        if not isinstance(hello, Hello):
            raise fail(
                ProblemCode.AGENT_UNREACHABLE,
                message("Another program answered instead of the machine's agent."),
                command=f"connect {self._address}",
                hint=message("Stop that program, or start Wherry with another --home."),
            )
        self.agent_pid = hello.pid
        try:
            check_protocol(hello)
        except WherryError as error:
            raise OtherVersion(error, hello.pid) from error
        while self._status is None:
            self._store(self._receive_reply())

    @classmethod
    def open(cls, home: Path | None) -> MachineClient:
        """Connect to the agent, and start it if it does not run.

        Args:
            home: the machine's home directory; None: the default one.

        Raises:
            WherryError: AGENT_UNREACHABLE, AGENT_TOO_OLD or PATH_UNUSABLE.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return cls(ensure_agent(home))
            except AgentLeft:
                continue
        return cls(ensure_agent(home))

    @property
    def status(self) -> MachineStatus:
        """The newest status received. It is read from the connection only during the other calls."""
        assert self._status is not None
        return self._status

    def request(self, request: Request[AnswerT], *, reply_timeout_s: float | None = None) -> AnswerT:
        """Send a request and return its answer. On return `status` includes what the request changed.

        Args:
            request: the request.
            reply_timeout_s: longest time between two messages of the agent, 20 s if None. Long operations need more.

        Raises:
            WherryError: the problem that the agent replied with, or AGENT_UNREACHABLE.
        """
        number = self._send_request(request)
        while True:
            received = self._receive_reply(reply_timeout_s)
            if isinstance(received, ReplyLine) and received.id in (number, 0):
                answer = read_reply(request, received)
                if isinstance(answer, Accepted):
                    while self.status.seq < answer.seq:
                        self._store(self._receive_reply())
                return answer
            self._store(received)

    def operate(
        self, request: Request[AnswerT], *, show: Callable[[MachineStatus | Notice], None], timeout_s: float
    ) -> AnswerT:
        """Request a long operation and return its answer when it has ended.

        The first KeyboardInterrupt (Ctrl-C) asks the agent to cancel the operation. The second one is raised, and the
        operation continues in the agent.

        Args:
            request: the request.
            show: called with each status and notice while the operation runs.
            timeout_s: longest time between two messages of the agent.

        Raises:
            WherryError: why the operation failed, or AGENT_UNREACHABLE.
        """
        number = self._send_request(request)
        cancelled = False
        while True:
            try:
                received = self._receive_reply(timeout_s)
            except KeyboardInterrupt:
                if cancelled:
                    raise
                cancelled = True
                self._send_request(CancelOperation())
                continue
            if isinstance(received, ReplyLine) and received.id in (number, 0):
                return read_reply(request, received)
            if isinstance(received, ReplyLine) and received.problem is not None:  # it cannot be cancelled any more
                show(Notice(level="warning", text=received.problem.summary))
            if isinstance(received, StatusPush):
                show(received.status)
            if isinstance(received, NoticePush):
                show(received.notice)
            else:
                self._store(received)

    def updates(self, *, timeout_s: float) -> Iterator[MachineStatus | Notice]:
        """Yield the current status, then each new status and notice. Returns after `timeout_s`.

        Raises:
            WherryError: AGENT_UNREACHABLE when the agent ends.
        """
        deadline = time.monotonic() + timeout_s
        yield self.status
        while (remaining := deadline - time.monotonic()) > 0:
            while self._notices:
                yield self._notices.pop(0)
            try:
                received = self._receive(remaining)
            except TimeoutError:
                return
            self._store(received)
            if isinstance(received, StatusPush):
                yield received.status

    def stats(self, *, timeout_s: float) -> Iterator[StatsPush]:
        """Subscribe to the statistics and yield each push. Returns after `timeout_s`.

        A push that was not read in time is replaced by the next.

        Raises:
            WherryError: AGENT_UNREACHABLE when the agent ends; BAD_REQUEST from an agent too old to have statistics.
        """
        self._stats.clear()
        self.request(SubscribeStats())
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            while self._stats:
                yield self._stats.popleft()
            try:
                self._store(self._receive(remaining))
            except TimeoutError:
                return

    def close(self) -> None:
        """Close the connection. The machine and the agent continue."""
        self._socket.close()

    def __enter__(self) -> MachineClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _store(self, received: object) -> None:
        if isinstance(received, StatusPush):
            self._status = received.status
        elif isinstance(received, NoticePush):
            self._notices.append(received.notice)
        elif isinstance(received, StatsPush):
            self._stats.append(received)

    def _send_request(self, request: Request[Any]) -> int:
        """Send a request and return its number."""
        number = self._next_id
        self._next_id += 1
        self._send(request_line(number, request))
        return number

    def _send(self, sent: Hello | RequestLine) -> None:
        try:
            self._socket.sendall(encode(sent))
        except OSError as error:
            raise self._connection_lost(error) from error

    def _receive_reply(self, timeout_s: float | None = None) -> FromAgent:
        """Receive one message. Raises WherryError (AGENT_UNREACHABLE) when none comes in time."""
        timeout_s = _REPLY_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            return self._receive(timeout_s)
        except TimeoutError as error:
            raise fail(
                ProblemCode.AGENT_UNREACHABLE,
                message("The agent didn't respond within {seconds:g} s.", seconds=timeout_s),
                command=f"connect {self._address}",
                hint=message(
                    "It may be suspended or hanging. Stop its process, then run the command again. "
                    "The machine keeps running."
                ),
                retryable=True,
            ) from error

    def _receive(self, timeout_s: float) -> FromAgent:
        deadline = time.monotonic() + timeout_s
        while (line := self._lines.next_line()) is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the agent said nothing")
            self._socket.settimeout(remaining)
            try:
                data = self._socket.recv(_READ_BYTES)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._connection_lost(error) from error
            if not data:
                raise self._connection_lost(None)
            self._lines.receive(data)
        return decode_from_agent(line)

    def _connection_lost(self, error: OSError | None) -> Exception:
        return AgentLeft(
            Problem(
                code=ProblemCode.AGENT_UNREACHABLE,
                summary=message("Lost the connection to the agent: {error}.", error=error)
                if error is not None
                else message("Lost the connection to the agent."),
                command=f"connect {self._address}",
                hint=message("Run the command again. It starts a new agent, which takes over the machine."),
                retryable=True,
            )
        )


def end_agent(home: Path | None, *, for_good: bool = False) -> None:
    """End the agent, of whatever version; the machine continues. Does not wait for the agent to end.

    Args:
        home: the machine's home directory; None: the default one.
        for_good: see `ShutDownAgent`.

    Raises:
        WherryError: AGENT_UNREACHABLE or PATH_UNUSABLE.
    """
    try:
        with MachineClient.open(home) as client:
            client.request(ShutDownAgent(for_good=for_good))
    except OtherVersion as error:
        if error.agent_pid <= 1:
            raise
        os.kill(error.agent_pid, signal.SIGTERM)
