"""Activity of docker clients: pending requests, and the time since the last one ended.

A client that only listens for events does not count: editors keep such a connection open for ever. Neither do Wherry's
own programs while they only look: a window that is open is no use of the machine, and must not keep it awake.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from backend.engine.front.hooks import Headers

OWN_CLIENT_HEADER: Final = "X-Wherry-Client"
"""Header of every request that Wherry's window and commands send to the engine; its value does not matter."""
_LOOKS: Final = frozenset({"GET", "HEAD"})
_TRANSFERS: Final = ("/archive", "/export", "/get")
"""Ends of the paths of downloads. A download is work, however it was asked for."""


def is_event_stream(target: str) -> bool:
    """Whether a request for `target` (path and query as sent) only waits for events."""
    return urlsplit(target).path.endswith("/events")


def is_own(headers: Headers) -> bool:
    """Whether a request with these headers was sent by Wherry's window or one of its commands."""
    name = OWN_CLIENT_HEADER.lower()
    return any(key == name for key, _ in headers)


def may_wake(target: str, headers: Headers) -> bool:
    """Whether a stopped or suspended machine may be started for this request.

    Not for listeners, and never for the window: it asks the agent for a start when a person wants one. Its lists, log
    followers and reconnects would otherwise undo the person's stop.
    """
    return not (is_event_stream(target) or is_own(headers))


def counts(method: str, target: str, headers: Headers) -> bool:
    """Whether this request is use of the machine, which keeps it from being suspended as idle."""
    if is_event_stream(target):
        return False
    return not is_own(headers) or method not in _LOOKS or urlsplit(target).path.endswith(_TRANSFERS)


class Activity:
    """Activity of one API front. All methods MUST be called on one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._under_way = 0
        self._last = clock()

    def begin(self, method: str, target: str, headers: Headers = ()) -> Callable[[], None]:
        """Register a request; `target` is path and query as sent. Returns a function to call once at its end."""
        if not counts(method, target, headers):
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
