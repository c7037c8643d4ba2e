"""The guest's control port: a line protocol over a virtio-serial port, available from the start of the guest's init.

* guest -> host: stage NAME UPTIME | service NAME started | service NAME exited CODE | service NAME continued |
  problem CODE TEXT | solved CODE | oom COUNT TEXT | trimmed TEXT | stopping CONTAINERS SECONDS |
  pong ID UPTIME EPOCH | done ID TEXT | failed ID TEXT | ok | error TEXT
* host -> guest: hello | ping ID | freeze ID | thaw ID | time EPOCH | poweroff | restart NAME ID | trim ID | reclaim ID

After `hello` the guest repeats its current state, so a client that connects late, or again, misses nothing. The answer
to a command with an ID carries the same ID: `ask` waits for it, while another task consumes `events`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from backend.errors import ProblemCode, fail
from backend.host.base import Host
from backend.messages import message
from backend.stream import ByteStream
from backend.vm.spec import SocketAddress, UnixAddress

_log = logging.getLogger(__name__)
_MAX_LINE_BYTES: Final = 4096
_RETRY_S: Final = 0.02
_MAX_PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class BootStage:
    """The guest's boot reached the stage `name`, `uptime_s` after its kernel started."""

    name: str
    uptime_s: float


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A service of the guest started, or exited with `exit_code` (the guest restarts it)."""

    name: str
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class GuestProblem:
    """A problem that the guest cannot solve itself."""

    code: str
    untrusted_text: str


@dataclass(frozen=True, slots=True)
class ProblemSolved:
    """The problem with this code no longer exists."""

    code: str


@dataclass(frozen=True, slots=True)
class ServiceContinued:
    """The guest continued a service that a signal had stopped."""

    name: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The guest's kernel killed `count` processes because memory ran out; `text` is its log line about the last one."""

    count: int
    untrusted_text: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The guest released unused space on the data disk."""

    untrusted_text: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """dockerd was asked to end: so many containers still run by its record, and the next may take so long."""

    containers: int
    seconds: float


GuestEvent = (
    BootStage | ServiceChange | ServiceContinued | GuestProblem | ProblemSolved | OutOfMemory | Trimmed | Stopping
)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """The guest's answer to the command with this ID."""

    identity: str
    ok: bool
    untrusted_text: str


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """The guest's image is too old to know the command."""

    name: str


class GuestControl:
    """A connection to the control port."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._asked: dict[str, tuple[str, asyncio.Future[CommandAnswer]]] = {}
        """By ID: the command, and the future of its answer."""

    @classmethod
    async def connect(cls, host: Host, address: SocketAddress, *, timeout_s: float) -> GuestControl:
        """Connect and request the current state. Raises TimeoutError or OSError."""
        assert isinstance(address, UnixAddress)
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    stream = await host.connect(address.path)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(_RETRY_S)
        control = cls(stream)
        try:
            await control.send("hello")
        except BaseException:
            await stream.aclose()  # the port accepts one client at a time, so close it
            raise
        return control

    async def send(self, line: str) -> None:
        """Send one line. Raises ConnectionError."""
        await self._stream.write(line.encode() + b"\n")

    async def ask(self, command: str, *, timeout_s: float) -> str:
        """Send a command that is answered (ping, freeze, thaw) and return the guest's answer, sanitised.

        Raises:
            WherryError: GUEST_HUNG when no answer comes in time, GUEST_FAULT when the guest refuses or does not know
                the
                command, MACHINE_DIED when the connection ends.
        """
        identity = secrets.token_hex(4)
        future: asyncio.Future[CommandAnswer] = asyncio.get_running_loop().create_future()
        self._asked[identity] = (command, future)
        try:
            async with asyncio.timeout(timeout_s):
                await self.send(f"{command} {identity}")
                answer = await future
        except TimeoutError as error:
            raise fail(
                ProblemCode.GUEST_HUNG,
                message(
                    "The guest didn't respond to “{command}” within {seconds:g} s.", command=command, seconds=timeout_s
                ),
                hint=message("It may be hanging or overloaded. Check its console: wherry logs guest"),
                retryable=True,
            ) from error
        except ConnectionError as error:
            raise fail(
                ProblemCode.MACHINE_DIED,
                message("The guest's control port closed before “{command}”.", command=command),
            ) from error
        finally:
            del self._asked[identity]
        text = "".join(c for c in answer.untrusted_text if c.isprintable())
        if not answer.ok:
            raise fail(
                ProblemCode.GUEST_FAULT,
                message("The guest couldn't run “{command}”.", command=command),
                tail=(text,) if text else (),
                hint=message("Check the guest's console: wherry logs guest"),
                retryable=True,
            )
        return text

    def _on_answer(self, answer: CommandAnswer | UnknownCommand) -> None:
        for identity, (command, future) in self._asked.items():
            if future.done():
                continue
            if isinstance(answer, UnknownCommand):
                if answer.name == command.partition(" ")[0]:  # with its argument, if any: "restart dockerd"
                    future.set_result(CommandAnswer(identity, False, "this guest image does not know the command"))
            elif answer.identity == identity:
                future.set_result(answer)

    async def events(self) -> AsyncIterator[GuestEvent]:
        """Yield events until the connection ends; answers go to the waiting `ask`.

        Unknown lines are logged and skipped.
        """
        pending = b""
        try:
            with contextlib.suppress(ConnectionError):
                while chunk := await self._stream.read(_MAX_LINE_BYTES):
                    pending += chunk
                    *lines, pending = pending.split(b"\n")
                    if len(pending) > _MAX_LINE_BYTES:
                        pending = b""
                    for line in lines:
                        event = parse(line)
                        if isinstance(event, CommandAnswer | UnknownCommand):
                            self._on_answer(event)
                        elif event is not None:
                            yield event
        finally:
            for _, future in self._asked.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the control port closed"))

    async def aclose(self) -> None:
        """Close the connection, so that the next agent can use the port. Idempotent."""
        await self._stream.aclose()


def parse(untrusted_line: bytes) -> GuestEvent | CommandAnswer | UnknownCommand | None:
    """Parse a line of the guest; None when it needs no action or is not valid."""
    words = untrusted_line.decode("utf-8", errors="replace").strip().split(" ")
    try:
        match words:
            case ["stage", name, uptime] if name and math.isfinite(float(uptime)):
                return BootStage(name, float(uptime))
            case ["service", name, "started", *_]:
                return ServiceChange(name, None)
            case ["service", name, "exited", code, *_]:
                return ServiceChange(name, int(code))
            case ["service", name, "continued"]:
                return ServiceContinued(name)
            case ["oom", count, *text]:
                return OutOfMemory(int(count), " ".join(text))
            case ["stopping", count, seconds] if 0 <= float(seconds) <= _MAX_PATIENCE_S and int(count) >= 0:
                return Stopping(int(count), float(seconds))
            case ["trimmed", *text]:
                return Trimmed(" ".join(text))
            case ["problem", code, *text]:
                return GuestProblem(code, " ".join(text))
            case ["solved", code]:
                return ProblemSolved(code)
            case ["pong", identity, *clocks]:
                return CommandAnswer(identity, True, " ".join(clocks))
            case ["done" | "failed" as word, identity, *text]:
                return CommandAnswer(identity, word == "done", " ".join(text))
            case ["error", "unknown", "command", name]:
                return UnknownCommand(name)
            case ["ok" | "", *_]:
                return None
    except ValueError:
        pass
    _log.info("guest: %r", untrusted_line[:200])
    return None
