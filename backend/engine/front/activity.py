"""Activity of docker clients: pending requests, and the time since the last one ended.

Who only listens, or asks the same again and again, does not count (`clients.py`): windows and editors do so for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from backend.engine.front.clients import Request


class Activity:
    """Activity of one API front. All methods MUST be called on one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way = 0
        self._last = clock()

    def begin(self, request: Request) -> Callable[[], None]:
        """Register a request. Returns a function to call once at its end."""
        if not request.counts_while_pending:
            return lambda: None
        self._under_way += 1
        return self._end_in_use if request.counts_at_its_end else self._end

    def _end_in_use(self) -> None:
        self._last = self._clock()
        self._end()

    def _end(self) -> None:
        self._under_way -= 1

    @property
    def idle_s(self) -> float:
        """Seconds since the last request that counts has ended; 0 while one is pending."""
        return 0.0 if self._under_way else self._clock() - self._last
