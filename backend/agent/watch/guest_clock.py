"""The guest's clock is measured by the host's, and set where it is wrong.

One round trip of a ping tells how far it is off, to half the time that the trip took. It is measured every few seconds,
and at once when `wake` is called: after the host slept or its clock was set, after a pause, a resume, an adoption.
A time is sent only right after an answer: a QEMU that stood still for minutes must not find old times waiting.
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
SHARP_S: Final = 0.5
"""A trip that took longer tells little of the clock; it is made again soon."""
_AGAIN_S: Final = 0.1
_BUSY_AGAIN_S: Final = 1.0
_MOST_HALF_TRIP_S: Final = 0.25
_ANSWER_S: Final = 20.0
"""Then it is asked again: a line is lost that comes while the guest's side of the port is being started anew."""
_LOGGED_S: Final = 1.0


class Clock(Protocol):
    """This computer's clocks."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def steady(self) -> float:
        """Seconds that are never set back."""
        ...


class HostClock:
    """See Clock."""

    def wall(self) -> float:
        """See Clock."""
        return time.time()

    def steady(self) -> float:
        """See Clock."""
        return time.monotonic()


class GuestClock:
    """One per run of the machine; `run` it."""

    def __init__(
        self, ask: Callable[[str, float], Awaitable[str]], send: Callable[[str], Awaitable[None]], clock: Clock
    ) -> None:
        """Make one that has measured nothing.

        Args:
            ask: sends a command and gives the answer within so many seconds. Raises WherryError.
            send: sends a line. Raises ConnectionError.
            clock: the host's.
        """
        self._ask = ask
        self._send = send
        self._clock = clock
        self._woken = asyncio.Event()
        self.offset_s: float | None = None
        """How far the guest was ahead when last measured."""
        self.is_waiting = False
        """Whether the guest has been asked and has not answered yet."""

    def wake(self) -> None:
        """Measure now."""
        self._woken.set()

    async def run(self) -> None:
        """Until the guest is gone."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._woken.clear()
                pause_s = await self._measure()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()

    async def _measure(self) -> float:
        """Ask once, and set the guest's clock if it is wrong. Returns after how many seconds to ask again."""
        begun = self._clock.steady()
        self.is_waiting = True
        try:
            answer = await self._ask("ping", _ANSWER_S)
        except WherryError as error:
            if error.problem.code is ProblemCode.MACHINE_DIED:
                raise ConnectionResetError(error.problem.summary) from error
            if error.problem.code is ProblemCode.GUEST_HUNG:
                return _AGAIN_S
            _log.info("no answer to a ping: %s", error.problem.summary)
            return EVERY_S
        self.is_waiting = False
        took = self._clock.steady() - begun
        epoch = read_pong(answer)
        if epoch is None:  # a guest of an image that does not tell its time
            await self._send(f"time {self._clock.wall():.3f}")
            return EVERY_S
        self.offset_s = epoch - (self._clock.wall() - took / 2)
        if abs(self.offset_s) <= max(TOLERANCE_S, took):  # it is right, or nobody can tell by such a trip
            return EVERY_S if took <= SHARP_S else _BUSY_AGAIN_S
        if abs(self.offset_s) >= _LOGGED_S:
            _log.info("the guest's clock is off by %+.3f s; it is set", self.offset_s)
        await self._send(f"time {self._clock.wall() + min(took / 2, _MOST_HALF_TRIP_S):.3f}")
        return _AGAIN_S


def read_pong(answer: str) -> float | None:
    """The guest's time, out of "UPTIME EPOCH"; None when it tells none that can be."""
    words = answer.split()
    try:
        epoch = float(words[1])
    except (IndexError, ValueError):
        return None
    return epoch if math.isfinite(epoch) else None


class Jumps:
    """Tells when the host slept, or its clock was set. Asked again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.wall()
        self._steady = clock.steady()

    def look(self, *, every_s: float) -> bool:
        """Whether that happened since the last look, which was meant to be `every_s` ago."""
        wall, steady = self._clock.wall(), self._clock.steady()
        passed = steady - self._steady
        jumped = abs((wall - self._wall) - passed) > TOLERANCE_S
        # Where the steady clock goes on in the host's sleep, a long pause is all that is seen of it.
        slept = passed > every_s + 5
        self._wall, self._steady = wall, steady
        return jumped or slept
