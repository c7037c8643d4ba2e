"""A small thread pool for the system's resolver, whose calls can block for long.

Not a ThreadPoolExecutor: Python waits for its threads when the process ends, and a lookup without a network can take
half a minute. These threads are daemons; `close` waits briefly for them, and lookups in progress end with the process.
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
    """All threads are busy and the queue is full."""


class _Job(Generic[Out]):
    def __init__(self, work: Callable[[], Out], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop
        self.future: asyncio.Future[Out] = loop.create_future()

    def run(self) -> Callable[[], None]:
        """Run the work. Returns a function that passes the result to the awaiting task."""
        if self.future.cancelled():  # the caller gave up while it was queued
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
            return  # the loop is closed, so nothing waits


class LookupThreads:
    """Threads that are started when needed, up to a limit."""

    def __init__(self, *, most: int = MOST_THREADS, most_waiting: int = MOST_WAITING) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        """Queued and running jobs. Idle threads are not counted instead: a thread that has just taken a job would still
        count as idle, and the next job would wait behind it."""
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, work: Callable[[], Out]) -> Out:
        """Run `work` in a thread and return its result. Raises BusyError."""
        if self._closed or self._jobs.qsize() >= self._most_waiting:
            raise BusyError
        job = _Job(work, asyncio.get_running_loop())
        with self._lock:
            self._unfinished += 1
            needs_thread = len(self._threads) < min(self._unfinished, self._most)
        self._jobs.put(job)  # type: ignore[arg-type]  # what it returns goes only to who holds it
        if needs_thread:
            thread = threading.Thread(target=self._serve, name=f"name lookup {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return await job.future

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            hand_over = job.run()
            with self._lock:  # before the result is published: the caller may submit again at once
                self._unfinished -= 1
            hand_over()

    def close(self, *, within_s: float) -> bool:
        """Accept no more work, and wait at most `within_s` for all threads to end. Returns whether they did."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
