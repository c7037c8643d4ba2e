"""A condition variable for the agent's event loop: waits until a condition is true, without polling.

Code that changes something calls `notify`; every waiting task then evaluates its condition once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from backend.errors import ProblemCode, fail
from backend.messages import Message, message

Value = TypeVar("Value")


class Changes:
    """For tasks of one event loop; not thread-safe."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Make all waiting tasks evaluate their conditions, in the next iteration of the loop."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], Value], what: Message, *, timeout_s: float | None) -> Value:
        """Wait until `condition` returns a true value, and return it.

        Args:
            condition: called now and after each `notify`. Must be quick and have no side effects.
            what: first sentence of the error, for when the deadline has passed: "The machine didn't stop."
            timeout_s: deadline in seconds; None: no deadline, for waiting on a user.

        Raises:
            WherryError: STEP_TIMED_OUT, with `what`.
        """
        deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        while not (value := condition()):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout_at(deadline):
                    await waiter
            except TimeoutError as error:
                raise fail(
                    ProblemCode.STEP_TIMED_OUT,
                    message("{what} Wherry waited for {seconds:g} s.", what=what, seconds=timeout_s or 0),
                    hint=message("Check: wherry status, wherry logs agent"),
                    retryable=True,
                ) from error
            finally:
                self._waiters.discard(waiter)
        return value
