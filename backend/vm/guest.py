"""The guest's control port: lines both ways over a virtio-serial port, from the first moments of its init.

    guest -> host    stage NAME UPTIME | service NAME started | service NAME exited CODE | problem CODE TEXT
                     solved CODE | pong ID | ok | error TEXT
    host  -> guest   hello | ping ID | time EPOCH | poweroff | restart NAME | trim

After `hello` the guest repeats all that still holds, so whoever connects late, or again, misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from backend.host.base import Host
from backend.stream import ByteStream
from backend.vm.spec import SocketAddress, UnixAddress

_log = logging.getLogger(__name__)
_MAX_LINE_BYTES: Final = 4096
_RETRY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Stage:
    """The guest got as far as `name`, `uptime_s` after its kernel started."""

    name: str
    uptime_s: float


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A service of the guest started, or ended with `exit_code` (and will be started again)."""

    name: str
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class GuestProblem:
    """Something that the guest cannot mend by itself."""

    code: str
    untrusted_text: str


@dataclass(frozen=True, slots=True)
class ProblemSolved:
    """The problem of this code is over."""

    code: str


GuestEvent = Stage | ServiceChange | GuestProblem | ProblemSolved


class GuestControl:
    """One connection to the control port."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    @classmethod
    async def connect(cls, host: Host, address: SocketAddress, *, timeout_s: float) -> GuestControl:
        """Connect and ask for everything that still holds. Raises TimeoutError or OSError."""
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
            await stream.aclose()  # the port has one client at a time: whoever leaves must hang up
            raise
        return control

    async def send(self, line: str) -> None:
        """Send one line. Raises ConnectionError."""
        await self._stream.write(line.encode() + b"\n")

    async def events(self) -> AsyncIterator[GuestEvent]:
        """Yield what the guest says until the connection ends. Lines that mean nothing to us are logged and passed."""
        pending = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await self._stream.read(_MAX_LINE_BYTES):
                pending += chunk
                *lines, pending = pending.split(b"\n")
                if len(pending) > _MAX_LINE_BYTES:
                    pending = b""
                for line in lines:
                    event = parse(line)
                    if event is not None:
                        yield event

    async def aclose(self) -> None:
        """Leave the port to the next agent. Idempotent."""
        await self._stream.aclose()


def parse(untrusted_line: bytes) -> GuestEvent | None:
    """One line of the guest; None for what needs no action (answers) or cannot be read."""
    words = untrusted_line.decode("utf-8", errors="replace").strip().split(" ")
    try:
        match words:
            case ["stage", name, uptime] if name and math.isfinite(float(uptime)):
                return Stage(name, float(uptime))
            case ["service", name, "started", *_]:
                return ServiceChange(name, None)
            case ["service", name, "exited", code, *_]:
                return ServiceChange(name, int(code))
            case ["problem", code, *text]:
                return GuestProblem(code, " ".join(text))
            case ["solved", code]:
                return ProblemSolved(code)
            case ["pong" | "ok" | "", *_]:
                return None
    except ValueError:
        pass
    _log.info("guest: %r", untrusted_line[:200])
    return None
