"""Synchronizes the guest's clock with the host's.

The answer to a ping has the guest's time. It shows the offset, accurate to half of the round-trip time. It is measured
every few seconds, and at once when `wake` is called: after the host slept or its clock was set, after a pause, a resume
or an adoption. The guest's clock is set only right after an answer: messages to a QEMU that was stopped for minutes
would arrive with outdated times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from backend.errors import ProblemCode, WherryError

_log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
TOLERANCE_S: Final = 0.1
MAX_TRIP_S: Final = 0.5
"""A measurement with a longer round trip is inaccurate, and is repeated soon."""
_RETRY_S: Final = 0.1
_BUSY_RETRY_S: Final = 1.0
_MAX_HALF_TRIP_S: Final = 0.25
_ANSWER_S: Final = 20.0
"""After this a ping is repeated: one is lost while the program that answers in the guest is being restarted."""
_LOGGED_S: Final = 1.0


class Clock(Protocol):
    """This computer's clocks."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def steady(self) -> float:
        """Seconds of a monotonic clock."""
        ...


class HostClock:
    """The real clocks."""

    def wall(self) -> float:
        """See Clock."""
        return time.time()

    def steady(self) -> float:
        """See Clock."""
        return time.monotonic()


class GuestClock:
    """Measures and sets the guest's clock while `run` runs. One object per run of the machine."""

    def __init__(
        self, ask: Callable[[str, float], Awaitable[str]], send: Callable[[str], Awaitable[None]], clock: Clock
    ) -> None:
        """
        Args:
            ask: sends a command to the guest and returns its answer, with a timeout in seconds. Raises WherryError.
            send: sends a line to the guest. Raises ConnectionError.
            clock: the host's clocks.
        """
        self._ask = ask
        self._send = send
        self._clock = clock
        self._woken = asyncio.Event()
        self.offset_s: float | None = None
        """How far the guest's clock was ahead at the last measurement, before it was set; None: not measured."""
        self.is_waiting = False
        """Whether a ping has not been answered yet."""

    def wake(self) -> None:
        """Measure immediately."""
        self._woken.set()

    async def run(self) -> None:
        """Run until the connection to the guest ends."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._woken.clear()
                pause_s = await self._measure()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()

    async def _measure(self) -> float:
        """Measure once and set the guest's clock if it is wrong. Returns the seconds until the next measurement."""
        begun = self._clock.steady()
        self.is_waiting = True
        try:
            answer = await self._ask("ping", _ANSWER_S)
        except WherryError as error:
            if error.problem.code is ProblemCode.MACHINE_DIED:
                raise ConnectionResetError(error.problem.summary) from error
            if error.problem.code is ProblemCode.GUEST_HUNG:
                return _RETRY_S
            _log.info("no answer to a ping: %s", error.problem.summary)
            return EVERY_S
        self.is_waiting = False
        took = self._clock.steady() - begun
        epoch = read_pong(answer)
        if epoch is None:  # an older image, whose answer has no time
            await self._send(f"time {self._clock.wall():.3f}")
            return EVERY_S
        self.offset_s = epoch - (self._clock.wall() - took / 2)
        if abs(self.offset_s) <= max(TOLERANCE_S, took):  # it is right, as far as this measurement shows
            return EVERY_S if took <= MAX_TRIP_S else _BUSY_RETRY_S
        if abs(self.offset_s) >= _LOGGED_S:
            _log.info("the guest's clock is off by %+.3f s; it is set", self.offset_s)
        await self._send(f"time {self._clock.wall() + min(took / 2, _MAX_HALF_TRIP_S):.3f}")
        return _RETRY_S


def read_pong(answer: str) -> float | None:
    """The guest's time in seconds since the epoch, from the answer "UPTIME EPOCH"; None if it has no valid one."""
    words = answer.split()
    try:
        epoch = float(words[1])
    except (IndexError, ValueError):
        return None
    return epoch if math.isfinite(epoch) else None


class TimeJumps:
    """Detects that the host slept or its clock was set. `check` is called regularly."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.wall()
        self._steady = clock.steady()

    def check(self, *, every_s: float) -> bool:
        """Whether that has happened since the last call, which was scheduled `every_s` seconds ago."""
        wall, steady = self._clock.wall(), self._clock.steady()
        passed = steady - self._steady
        jumped = abs((wall - self._wall) - passed) > TOLERANCE_S
        # Where the monotonic clock includes the host's sleep, only a long pause shows it.
        slept = passed > every_s + 5
        self._wall, self._steady = wall, steady
        return jumped or slept
