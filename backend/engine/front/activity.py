"""Whether docker clients want anything: what is under way, and when the last of it ended.

A client that only listens for events wants nothing: windows and editors keep such a connection for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit


def only_listens(target: str) -> bool:
    """Whether a request for `target` (path and query as sent) only waits for what others do."""
    return urlsplit(target).path.endswith("/events")


class Activity:
    """Of one front. All methods belong to one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way = 0
        self._last = clock()

    def begin(self, target: str) -> Callable[[], None]:
        """Note a request for `target` (path and query as sent); returns what is to be called once at its end."""
        if only_listens(target):
            return lambda: None
        self._under_way += 1
        self._last = self._clock()
        return self._end

    def _end(self) -> None:
        self._under_way -= 1
        self._last = self._clock()

    @property
    def idle_s(self) -> float:
        """Seconds since anybody wanted anything; 0 while somebody does."""
        return 0.0 if self._under_way else self._clock() - self._last
