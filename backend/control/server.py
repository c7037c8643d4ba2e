"""The agent's side of the control channel: receives requests, sends replies and the status. Two tasks per client.

A slow client delays no other: of status and statistics only the newest is kept for it, notices and replies are queued,
and a client whose queue is full is disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from backend import VERSION
from backend.control.lines import MAX_LINE_BYTES, LineBuffer
from backend.control.messages import SubscribeStats, UnsubscribeStats
from backend.control.messages.request import Done, Handler
from backend.control.protocol import (
    PROTOCOL,
    Hello,
    NoticePush,
    ReplyLine,
    RequestLine,
    StatsPush,
    StatusPush,
    decode_from_client,
    encode,
    read_request,
    reply_line,
)
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import message
from backend.model import MachineStatus, Notice
from backend.stream import ByteStream

_log = logging.getLogger(__name__)

_HELLO_TIMEOUT_S: Final = 10.0
_READ_BYTES: Final = 65_536
_MAX_QUEUED: Final = 256
_MAX_UNSENT_NOTICES: Final = 8
_MAX_CONCURRENT_REQUESTS: Final = 64
"""Most requests of one client that are answered at the same time; further ones are read when one has ended."""


class ControlServer:
    """Serves any number of clients on the agent's event loop."""

    def __init__(
        self,
        handlers: Iterable[Handler],
        status: Callable[[], MachineStatus],
        *,
        stats: Callable[[], StatsPush | None] = lambda: None,
        stats_wanted: Callable[[bool], None] = lambda _wanted: None,
        clients_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            handlers: one per type of request. The server itself answers SubscribeStats and UnsubscribeStats.
            status: returns the current status, for a client that has just connected.
            stats: returns the newest statistics, for a client that has just subscribed; None if there are none.
            stats_wanted: called when the first client subscribes (True) and when the last one is gone (False).
            clients_changed: called when a client has connected or left.
        """
        self._clients_changed = clients_changed
        self._handlers = {handler.kind.wire_name: handler for handler in handlers}
        self._status = status
        self._stats = stats
        self._stats_wanted = stats_wanted
        self._subscribers: set[_Client] = set()
        self._clients: set[_Client] = set()
        self._connected = 0
        """`_clients`, and connections without a hello so far: the agent must not end before it has served them."""
        self._retired = False
        self._unsent_notices: deque[Notice] = deque(maxlen=_MAX_UNSENT_NOTICES)
        """Warnings and errors from a time without clients; they are sent to the next client."""

    @property
    def clients(self) -> int:
        """Number of connections."""
        return self._connected

    def retire(self) -> bool:
        """Accept no further clients, unless one is connected: then return False and change nothing.

        Later connections are closed without a hello. From this the client knows that it has to start another agent.
        """
        self._retired = self._connected == 0
        return self._retired

    def publish(self, status: MachineStatus) -> None:
        """Send a status to all clients."""
        for client in self._clients:
            client.send_status(status)

    def publish_stats(self, push: StatsPush) -> None:
        """Send statistics to the subscribed clients."""
        for client in self._subscribers:
            client.send_stats(push)

    def notify(self, notice: Notice) -> None:
        """Send a notice to all clients. Without clients, a warning or error is kept for the next one."""
        if not self._clients and notice.level != "info":
            self._unsent_notices.append(notice)
        for client in tuple(self._clients):
            client.send(encode(NoticePush(notice=notice)))

    async def handle(self, stream: ByteStream) -> None:
        """Serve one client until its connection ends, and close the stream."""
        if self._retired:
            await stream.aclose()
            return
        client = _Client(stream, disconnect=_cancel_current_task())
        writer = asyncio.create_task(client.write_all(), name="control writer")
        self._connected += 1
        self._clients_changed()
        try:
            await self._serve_client(client, stream)
        except TimeoutError:
            _log.info("a client said nothing and was left")
        except WherryError as error:
            _log.info("a client was refused: %s", error.problem.summary)
            client.send(encode(ReplyLine(id=0, problem=error.problem)))
            client.end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(writer), 2)
        finally:
            self._connected -= 1
            self._clients_changed()
            self._clients.discard(client)
            self._subscribe(client, False)
            client.cancel_requests()  # also those that came after the writer had ended
            writer.cancel()
            await asyncio.wait({writer}, timeout=2)

    async def _serve_client(self, client: _Client, stream: ByteStream) -> None:
        lines = LineBuffer()
        async with asyncio.timeout(_HELLO_TIMEOUT_S):
            hello = await _next_line(stream, lines)
        if hello is None:
            return
        first = decode_from_client(hello)
        client.send(encode(Hello(protocol=PROTOCOL, version=VERSION, pid=os.getpid())))
        if not isinstance(first, Hello) or first.protocol != PROTOCOL:
            theirs = first.protocol if isinstance(first, Hello) else "unknown"
            raise WherryError(
                Problem(
                    code=ProblemCode.AGENT_TOO_OLD,
                    summary=message(
                        "This agent uses version {own} of the control protocol, the client version {other}.",
                        own=PROTOCOL,
                        other=theirs,
                    ),
                    hint=message("Restart the agent: wherry restart --agent"),
                )
            )
        self._clients.add(client)
        client.send_status(self._status())
        while self._unsent_notices:
            client.send(encode(NoticePush(notice=self._unsent_notices.popleft())))
        while (line := await _next_line(stream, lines)) is not None:
            received = decode_from_client(line)
            if isinstance(received, RequestLine):
                client.spawn(self._answer(client, received))
                await client.has_room()

    def _subscribe(self, client: _Client, wanted: bool) -> None:
        before = bool(self._subscribers)
        if wanted:
            self._subscribers.add(client)
            if (newest := self._stats()) is not None:
                client.send_stats(newest)
        else:
            self._subscribers.discard(client)
            client.send_stats(None)
        if bool(self._subscribers) is not before:
            self._stats_wanted(not before)

    async def _answer(self, client: _Client, request: RequestLine) -> None:
        try:
            line = encode(await self._reply(client, request))
            if len(line) > MAX_LINE_BYTES:  # the client would take it for a defect and disconnect
                raise fail(
                    ProblemCode.INTERNAL,
                    message("The answer to “{name}” is too long: {count} bytes.", name=request.name, count=len(line)),
                )
        except WherryError as error:
            line = encode(ReplyLine(id=request.id, problem=error.problem))
        except Exception as error:  # noqa: BLE001 -- outermost code of a task: the client needs an answer after a defect, too
            _log.exception("request %s failed", request.name)
            problem = Problem(
                code=ProblemCode.INTERNAL,
                summary=message(
                    "Internal error while answering “{name}”: {error}.",
                    name=request.name,
                    error=str(error),
                ),
                hint=message("Report it with the agent's log: wherry logs agent"),
            )
            line = encode(ReplyLine(id=request.id, problem=problem))
        client.send(line)

    async def _reply(self, client: _Client, request: RequestLine) -> ReplyLine:
        """Handle a request and return its reply. Raises WherryError: it is refused."""
        if request.name in (SubscribeStats.wire_name, UnsubscribeStats.wire_name):
            if client in self._clients:
                self._subscribe(client, request.name == SubscribeStats.wire_name)
            return reply_line(request.id, Done())
        handler = self._handlers.get(request.name)
        if handler is None:
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("The agent doesn't know the request “{name}”.", name=request.name[:80]),
                hint=message("It may have another version. Restart it: wherry restart --agent"),
            )
        return reply_line(request.id, await handler.handle(read_request(handler.kind, request)))


async def _next_line(stream: ByteStream, lines: LineBuffer) -> bytes | None:
    """The next line; None if the peer has closed the connection. Raises WherryError (BAD_REQUEST): it is too long."""
    while (line := lines.next_line()) is None:
        try:
            data = await stream.read(_READ_BYTES)
        except ConnectionError:
            return None
        if not data:
            return None
        lines.receive(data)
    return line


def _cancel_current_task() -> Callable[[], object]:
    task = asyncio.current_task()
    assert task is not None
    return task.cancel


class _Client:
    def __init__(self, stream: ByteStream, *, disconnect: Callable[[], object]) -> None:
        self._stream = stream
        self._disconnect = disconnect
        self._queue: deque[bytes] = deque()
        self._status: MachineStatus | None = None
        self._stats: StatsPush | None = None
        self._wake = asyncio.Event()
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()

    def send_status(self, status: MachineStatus) -> None:
        self._status = status
        self._wake.set()

    def send_stats(self, push: StatsPush | None) -> None:
        """Send statistics, in place of any that are not sent yet; None only withdraws those."""
        self._stats = push
        self._wake.set()

    def send(self, line: bytes) -> None:
        if self._ended:
            return
        if len(self._queue) >= _MAX_QUEUED:
            _log.warning("a client does not read what it asked for; it is cut off")
            self._queue.clear()
            self.end()
            self._disconnect()
            return
        self._queue.append(line)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel_requests(self) -> None:
        """Cancel the requests that are being answered: the client is gone."""
        for task in tuple(self._tasks):
            task.cancel()

    async def has_room(self) -> None:
        """Return when another request may be accepted."""
        while len(self._tasks) >= _MAX_CONCURRENT_REQUESTS:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def write_all(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue or self._status is not None or self._stats is not None:
                    if self._queue:
                        await self._stream.write(self._queue.popleft())
                    elif self._status is not None:
                        status, self._status = self._status, None
                        await self._stream.write(encode(StatusPush(status=status)))
                    elif self._stats is not None:
                        stats, self._stats = self._stats, None
                        await self._stream.write(encode(stats))
                if self._ended:
                    break
        except ConnectionError:
            pass
        finally:
            self.cancel_requests()
            await self._stream.aclose()
