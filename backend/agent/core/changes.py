"""Waiting for something to become true inside the agent, without looking again and again.

Whoever changes what others wait for calls `notify`. Each who waits then looks once, at its own condition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from backend.errors import ProblemCode, fail

Value = TypeVar("Value")


class Changes:
    """One per agent. Not for use by several loops, nor by threads."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Something may be different now: whoever waits looks again, in the loop's next turn."""
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def until(self, condition: Callable[[], Value], what: str, *, timeout_s: float | None) -> Value:
        """Return the condition's first true value.

        Args:
            condition: looked at now, and after each `notify`. Must be quick, and must not change anything.
            what: is waited for, as it ends a sentence: "the machine is stopped".
            timeout_s: how long it may take; None for what waits for a person.

        Raises:
            WherryError: STEP_TIMED_OUT, naming what was waited for.
        """
        deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        while not (found := condition()):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.add(turn)
            try:
                async with asyncio.timeout_at(deadline):
                    await turn
            except TimeoutError as error:
                raise fail(
                    ProblemCode.STEP_TIMED_OUT,
                    f"Wherry waited until {what}, but not for longer than {timeout_s:g} s.",
                    hint="See what it does: wherry status. Its own words: wherry logs agent",
                    retryable=True,
                ) from error
            finally:
                self._waiting.discard(turn)
        return found
