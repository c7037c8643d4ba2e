"""MachineClient: the blocking client of the agent, for the command line and for tests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from backend import VERSION, host
from backend.agent.launch import ensure_agent
from backend.agent.protocol import (
    PROTOCOL,
    Hello,
    NoticePush,
    Reply,
    Request,
    StatusPush,
    check_protocol,
    decode_from_agent,
    encode,
)
from backend.errors import ProblemCode, fail
from backend.model import MachineStatus, Notice

_REPLY_TIMEOUT_S: Final = 20.0


class MachineClient:
    """A connection to the agent of one machine. Not for use by several threads at once."""

    def __init__(self, address: str) -> None:
        """Connect and greet. Raises WherryError (AGENT_UNREACHABLE, AGENT_TOO_OLD)."""
        self._address = address
        try:
            self._socket = host.current().connect_blocking(Path(address), timeout_s=_REPLY_TIMEOUT_S)
        except OSError as error:
            raise self._lost(error) from error
        self._buffer = bytearray()
        self._next_id = 1
        self._status: MachineStatus | None = None
        self._notices: list[Notice] = []
        self._send(Hello(protocol=PROTOCOL, version=VERSION, pid=os.getpid()))
        hello = self._receive(_REPLY_TIMEOUT_S)
        assert isinstance(hello, Hello)
        check_protocol(hello)
        self.agent_pid = hello.pid
        while self._status is None:
            self._take(self._receive(_REPLY_TIMEOUT_S))

    @classmethod
    def open(cls, home: Path | None) -> MachineClient:
        """Connect to the machine's agent, starting it if need be. Raises WherryError."""
        return cls(ensure_agent(home))

    @property
    def status(self) -> MachineStatus:
        """The newest snapshot that has been read."""
        assert self._status is not None
        return self._status

    def request(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Ask for something and return the result; `status` heeds the request then.

        Raises:
            WherryError: what the agent answered, or its loss.
        """
        number = self._next_id
        self._next_id += 1
        self._send(Request(id=number, name=name, args=arguments))
        while True:
            message = self._receive(_REPLY_TIMEOUT_S)
            if isinstance(message, Reply) and message.id in (number, 0):
                if message.problem is not None:
                    raise fail(
                        message.problem.code,
                        message.problem.summary,
                        hint=message.problem.hint,
                        command=message.problem.command,
                        tail=message.problem.tail,
                        retryable=message.problem.retryable,
                    )
                heeded_by = message.result.get("seq", 0)
                while self.status.seq < heeded_by:
                    self._take(self._receive(_REPLY_TIMEOUT_S))
                return message.result
            self._take(message)

    def updates(self, *, timeout_s: float) -> Iterator[MachineStatus | Notice]:
        """Yield the present snapshot, then each new one and each notice, until the time is over (then it returns).

        Raises:
            WherryError: AGENT_UNREACHABLE when the agent ends.
        """
        deadline = time.monotonic() + timeout_s
        yield self.status
        while (left := deadline - time.monotonic()) > 0:
            while self._notices:
                yield self._notices.pop(0)
            try:
                message = self._receive(left)
            except TimeoutError:
                return
            self._take(message)
            if isinstance(message, StatusPush):
                yield message.status

    def close(self) -> None:
        """Leave; the machine and the agent go on."""
        self._socket.close()

    def __enter__(self) -> MachineClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, message: object) -> None:
        if isinstance(message, StatusPush):
            self._status = message.status
        elif isinstance(message, NoticePush):
            self._notices.append(message.notice)

    def _send(self, message: Hello | Request) -> None:
        try:
            self._socket.sendall(encode(message))
        except OSError as error:
            raise self._lost(error) from error

    def _receive(self, timeout_s: float) -> Hello | Reply | StatusPush | NoticePush:
        deadline = time.monotonic() + timeout_s
        while (end := self._buffer.find(b"\n")) < 0:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the agent said nothing")
            self._socket.settimeout(left)
            try:
                chunk = self._socket.recv(65_536)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._lost(error) from error
            if not chunk:
                raise self._lost(None)
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode_from_agent(line)

    def _lost(self, error: OSError | None) -> Exception:
        why = f" ({error.strerror or error})" if error is not None else ""
        return fail(
            ProblemCode.AGENT_UNREACHABLE,
            f"The connection to the agent was lost{why}.",
            command=f"connect {self._address}",
            hint="Run the command again: it starts a new agent, which takes over the machine.",
            retryable=True,
        )
