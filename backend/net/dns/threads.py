"""A few threads for the system's resolver, which blocks for as long as it likes.

Not a ThreadPoolExecutor: Python waits for its threads when the process ends, and a lookup without a network may hold
one for half a minute. These are daemons; `close` waits a moment for them, and what is in a lookup then ends with the
process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Out = TypeVar("Out")

MOST_THREADS: Final = 32
MOST_WAITING: Final = 512


class BusyError(Exception):
    """All threads have work, and enough waits already."""


class _Job(Generic[Out]):
    def __init__(self, work: Callable[[], Out], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop
        self.future: asyncio.Future[Out] = loop.create_future()

    def run(self) -> Callable[[], None]:
        """Do the work; returns what hands its result to whoever awaits it."""
        if self.future.cancelled():  # whoever asked gave up while it waited
            return lambda: None
        try:
            result = self._work()
        except Exception as error:  # noqa: BLE001 -- it is raised where the result is awaited
            failure = error
            return lambda: self._post(lambda: self.future.set_exception(failure))
        return lambda: self._post(lambda: self.future.set_result(result))

    def _post(self, finish: Callable[[], None]) -> None:
        def on_loop() -> None:
            if not self.future.done():
                finish()

        try:
            self._loop.call_soon_threadsafe(on_loop)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody waits


class LookupThreads:
    """Threads that are made when they are needed, up to a number."""

    def __init__(self, *, most: int = MOST_THREADS, most_waiting: int = MOST_WAITING) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        """Jobs that wait or run. Idle threads are not counted instead: one that has just taken a job would still look
        idle, and the next job would wait behind it."""
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, work: Callable[[], Out]) -> Out:
        """Do it in a thread, and return or raise what it does. Raises BusyError."""
        if self._closed or self._jobs.qsize() >= self._most_waiting:
            raise BusyError
        job = _Job(work, asyncio.get_running_loop())
        with self._lock:
            self._unfinished += 1
            wanted = len(self._threads) < min(self._unfinished, self._most)
        self._jobs.put(job)  # type: ignore[arg-type]  # what it returns goes only to who holds it
        if wanted:
            thread = threading.Thread(target=self._serve, name=f"name lookup {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return await job.future

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            hand_over = job.run()
            with self._lock:  # before the result is known: whoever gets it may ask again at once
                self._unfinished -= 1
            hand_over()

    def close(self, *, within_s: float) -> bool:
        """Take no more work; whether every thread has ended within the time. Blocks that long at most."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
