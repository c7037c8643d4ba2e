"""A pool of idle connections to the engine, so that most requests need no new one."""

from __future__ import annotations

import asyncio

from backend.engine.front.stream import WatchedStream
from backend.stream import Dial

_WATCH_AFTER_S = 0.05
"""A stream idle for less than this is assumed to be open: watching it costs a task, for each request of a client that
sends many in a row."""


class UpstreamPool:
    """Idle streams, last used first. All methods MUST be called on one loop."""

    def __init__(
        self, dial: Dial, *, dial_quietly: Dial | None = None, max_idle: int = 4, idle_s: float = 60.0
    ) -> None:
        """The pool is empty at first.

        Args:
            dial: opens a stream to the engine; has a deadline of its own.
            dial_quietly: the same for requests that must not start the machine; default: `dial`.
            max_idle: number of streams kept; each costs the guest a descriptor and a goroutine.
            idle_s: how long an unused stream is kept.
        """
        self._dial = dial
        self._dial_quietly = dial_quietly or dial
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._idle: dict[WatchedStream, asyncio.TimerHandle] = {}
        self._closings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, *, fresh: bool = False, quietly: bool = False) -> WatchedStream:
        """Return an idle stream that seems to be open, or a new one.

        Args:
            fresh: close all idle streams and open a new one.
            quietly: whether the machine must not be started for it.

        Raises:
            WherryError, ConnectionError: errors of `dial`.
        """
        while self._idle:
            stream, timer = self._idle.popitem()
            timer.cancel()
            if stream.is_quiet and not fresh:
                stream.reused = True
                return stream
            self._close_soon(stream)
        return WatchedStream(await (self._dial_quietly if quietly else self._dial)())

    def give(self, stream: WatchedStream) -> None:
        """Return a stream to the pool after a complete response."""
        if self._closed or not stream.is_quiet:
            self._close_soon(stream)
            return
        if len(self._idle) >= self._max_idle:
            oldest = next(iter(self._idle))
            self._drop(oldest)
        loop = asyncio.get_running_loop()
        self._idle[stream] = loop.call_later(_WATCH_AFTER_S, self._watch, stream)

    async def aclose(self) -> None:
        """Close the idle streams and wait for it. Idempotent."""
        self._closed = True
        for stream in list(self._idle):
            self._drop(stream)
        while self._closings:
            await asyncio.wait(self._closings)

    def _watch(self, stream: WatchedStream) -> None:
        self._idle[stream] = asyncio.get_running_loop().call_later(self._idle_s, self._drop, stream)
        stream.watch(lambda: self._drop(stream))

    def _drop(self, stream: WatchedStream) -> None:
        timer = self._idle.pop(stream, None)
        if timer is not None:
            timer.cancel()
            self._close_soon(stream)

    def _close_soon(self, stream: WatchedStream) -> None:
        task = asyncio.get_running_loop().create_task(stream.aclose())
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)
