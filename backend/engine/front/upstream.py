"""The front's connections to the engine: a few are kept open between requests, so that most requests open none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from backend.engine.front.stream import WatchedStream
from backend.stream import ByteStream

Dial = Callable[[], Awaitable[ByteStream]]

_WATCH_AFTER_S = 0.05
"""A stream idle for less than this is taken to be alive: to watch it costs a task, which a client that sends one
request after the other would pay for each."""


class UpstreamPool:
    """Idle upstream streams, the last used first. All methods belong to one loop."""

    def __init__(
        self, dial: Dial, *, dial_quietly: Dial | None = None, max_idle: int = 4, idle_s: float = 60.0
    ) -> None:
        """Make an empty pool.

        Args:
            dial: opens a stream to the engine; has a deadline of its own.
            dial_quietly: the same for who only listens; `dial` if there is none.
            max_idle: streams kept; each costs the guest a descriptor and a goroutine.
            idle_s: how long an unused one is kept.
        """
        self._dial = dial
        self._dial_quietly = dial_quietly or dial
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._idle: dict[WatchedStream, asyncio.TimerHandle] = {}
        self._closings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, *, fresh: bool = False, quietly: bool = False) -> WatchedStream:
        """Return an idle stream that is alive as far as is known, or a new one.

        Args:
            fresh: whether idle ones are not trusted: they are all dropped.
            quietly: whether the request only listens.

        Raises:
            WherryError, ConnectionError: what `dial` raises.
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
        """Take back a stream on which the last response is complete."""
        if self._closed or not stream.is_quiet:
            self._close_soon(stream)
            return
        if len(self._idle) >= self._max_idle:
            oldest = next(iter(self._idle))
            self._drop(oldest)
        loop = asyncio.get_running_loop()
        self._idle[stream] = loop.call_later(_WATCH_AFTER_S, self._watch, stream)

    async def aclose(self) -> None:
        """Close the idle streams and wait for all closings. Idempotent."""
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
