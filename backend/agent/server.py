"""The agent's side of the control channel: requests in, replies and whole snapshots out, one task pair per client.

A client that reads slowly holds up nobody: snapshots and figures coalesce (only the newest is kept for it), notices and
replies queue up to a bound, and a client that lets even those pile up is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from backend import VERSION
from backend.agent.protocol import (
    MAX_LINE_BYTES,
    PROTOCOL,
    Hello,
    NoticePush,
    Reply,
    Request,
    StatsPush,
    StatusPush,
    decode_from_client,
    encode,
)
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.model import MachineStatus, Notice
from backend.stream import ByteStream

_log = logging.getLogger(__name__)

Method = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
_HELLO_TIMEOUT_S: Final = 10.0
_MAX_QUEUED: Final = 256
_MAX_UNHEARD: Final = 8
_MAX_UNDER_WAY: Final = 64
"""Requests of one client that are being answered; more are read when one of these has ended."""


class ControlServer:
    """Serves any number of clients."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        status: Callable[[], MachineStatus],
        *,
        stats: Callable[[], StatsPush | None] = lambda: None,
        stats_wanted: Callable[[bool], None] = lambda _wanted: None,
    ) -> None:
        """Make a server.

        Args:
            methods: what clients may ask for, by name; raises WherryError to refuse. The server itself answers
                "stats.subscribe" and "stats.unsubscribe".
            status: the present snapshot, for a client that has just come.
            stats: the newest figures, for a client that has just subscribed to them.
            stats_wanted: told whether any client is subscribed, when that changes.
        """
        self._methods = methods
        self._status = status
        self._stats = stats
        self._stats_wanted = stats_wanted
        self._subscribers: set[_Client] = set()
        self._clients: set[_Client] = set()
        self._connected = 0
        """Those, and who has not said hello yet: an agent must not end before it has heard them."""
        self._retired = False
        self._unheard: deque[Notice] = deque(maxlen=_MAX_UNHEARD)
        """Warnings that came while nobody was connected; the next client hears them."""

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._connected

    def retire(self) -> bool:
        """Serve nobody any more, if nobody is connected; False, and nothing changed, when somebody is.

        Whoever connects afterwards is let go before the greeting, which tells it that another agent is needed.
        """
        self._retired = self._connected == 0
        return self._retired

    def publish(self, status: MachineStatus) -> None:
        """Send a snapshot to everyone."""
        for client in self._clients:
            client.send_status(status)

    def publish_stats(self, push: StatsPush) -> None:
        """Send figures to those who asked for them."""
        for client in self._subscribers:
            client.send_stats(push)

    def notify(self, notice: Notice) -> None:
        """Tell everyone of a thing that happened; a warning that nobody hears is kept for who comes next."""
        if not self._clients and notice.level != "info":
            self._unheard.append(notice)
        for client in tuple(self._clients):
            client.send(encode(NoticePush(notice=notice)))

    async def handle(self, stream: ByteStream) -> None:
        """Serve one client to its end."""
        if self._retired:
            await stream.aclose()
            return
        client = _Client(stream, cut_off=_cancel_this_task())
        writer = asyncio.create_task(client.write_all(), name="control writer")
        self._connected += 1
        try:
            await self._converse(client, stream)
        except TimeoutError:
            _log.info("a client said nothing and was left")
        except WherryError as error:
            _log.info("a client was refused: %s", error.problem.summary)
            client.send(encode(Reply(id=0, problem=error.problem)))
            client.end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(writer), 2)
        finally:
            self._connected -= 1
            self._clients.discard(client)
            self._subscribe(client, False)
            client.drop_requests()  # those, too, that came after the writer had found its end
            writer.cancel()
            await asyncio.wait({writer}, timeout=2)

    async def _converse(self, client: _Client, stream: ByteStream) -> None:
        lines = _Lines(stream)
        async with asyncio.timeout(_HELLO_TIMEOUT_S):
            hello = await lines.next()
        if hello is None:
            return
        first = decode_from_client(hello)
        client.send(encode(Hello(protocol=PROTOCOL, version=VERSION, pid=os.getpid())))
        if not isinstance(first, Hello) or first.protocol != PROTOCOL:
            theirs = first.protocol if isinstance(first, Hello) else "unknown"
            raise WherryError(
                Problem(
                    code=ProblemCode.AGENT_TOO_OLD,
                    summary=f"This agent speaks version {PROTOCOL} of the control protocol, the client {theirs}.",
                    hint="Restart the agent with: wherry restart --agent",
                )
            )
        self._clients.add(client)
        client.send_status(self._status())
        while self._unheard:
            client.send(encode(NoticePush(notice=self._unheard.popleft())))
        while (line := await lines.next()) is not None:
            message = decode_from_client(line)
            if isinstance(message, Request):
                client.spawn(self._answer(client, message))
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

    async def _answer(self, client: _Client, request: Request) -> None:
        if request.name in ("stats.subscribe", "stats.unsubscribe"):
            if client in self._clients:
                self._subscribe(client, request.name == "stats.subscribe")
            client.send(encode(Reply(id=request.id)))
            return
        method = self._methods.get(request.name)
        if method is None:
            problem = Problem(
                code=ProblemCode.BAD_REQUEST,
                summary=f"The agent does not know the request {request.name[:80]!r}.",
                hint="It may be of another version: wherry restart --agent",
            )
            client.send(encode(Reply(id=request.id, problem=problem)))
            return
        try:
            line = encode(Reply(id=request.id, result=await method(request.args)))
            if len(line) > MAX_LINE_BYTES:  # the client would take it for another program's, and leave
                raise fail(ProblemCode.INTERNAL, f"The answer to {request.name!r} is too long: {len(line)} bytes.")
        except WherryError as error:
            client.send(encode(Reply(id=request.id, problem=error.problem)))
        except Exception as error:  # noqa: BLE001 -- a task's border: a defect here must answer the client
            _log.exception("request %s failed", request.name)
            problem = Problem(
                code=ProblemCode.INTERNAL,
                summary=f"Wherry made a mistake while it answered {request.name!r}: {error}.",
                hint="Please report it with the agent's log: wherry logs agent",
            )
            client.send(encode(Reply(id=request.id, problem=problem)))
        else:
            client.send(line)


def _cancel_this_task() -> Callable[[], object]:
    task = asyncio.current_task()
    assert task is not None
    return task.cancel


class _Client:
    def __init__(self, stream: ByteStream, *, cut_off: Callable[[], object]) -> None:
        self._stream = stream
        self._cut_off = cut_off
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
        """Put figures in the place of those that are not sent yet; None takes those back."""
        self._stats = push
        self._wake.set()

    def send(self, line: bytes) -> None:
        if self._ended:
            return
        if len(self._queue) >= _MAX_QUEUED:
            _log.warning("a client does not read what it asked for; it is cut off")
            self._queue.clear()
            self.end()
            self._cut_off()
            return
        self._queue.append(line)
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drop_requests(self) -> None:
        """Nobody is left to be answered."""
        for task in tuple(self._tasks):
            task.cancel()

    async def has_room(self) -> None:
        """Return when another request may be taken on."""
        while len(self._tasks) >= _MAX_UNDER_WAY:
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
            self.drop_requests()
            await self._stream.aclose()


class _Lines:
    """Lines out of a byte stream, none longer than the protocol allows."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        """The next line without its end; None once the peer has closed."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                raise WherryError(
                    Problem(code=ProblemCode.BAD_REQUEST, summary="A line on the control channel is too long.")
                )
            try:
                chunk = await self._stream.read(65_536)
            except ConnectionError:
                return None
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
