"""Activity of docker clients: pending requests, and the time since the last one ended.

A client that only listens for events does not count: windows and editors keep such a connection open for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit


def is_event_stream(target: str) -> bool:
    """Whether a request for `target` (path and query as sent) only waits for events."""
    return urlsplit(target).path.endswith("/events")


class Activity:
    """Activity of one API front. All methods MUST be called on one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way = 0
        self._last = clock()

    def begin(self, target: str) -> Callable[[], None]:
        """Register a request for `target` (path and query as sent). Returns a function to call once at its end."""
        if is_event_stream(target):
            return lambda: None
        self._under_way += 1
        self._last = self._clock()
        return self._end

    def _end(self) -> None:
        self._under_way -= 1
        self._last = self._clock()

    @property
    def idle_s(self) -> float:
        """Seconds since the last request ended; 0 while one is pending."""
        return 0.0 if self._under_way else self._clock() - self._last
