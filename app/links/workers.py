"""Worker threads for blocking calls: fixed-size pools, owned by their creators and joined when closed.

Qt's pool is not used: the process shares it, and a thread in it that waits for an engine without an answer cannot be
abandoned at quit.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)


def start_thread(name: str, run: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread; an unhandled exception in it is logged."""

    def guarded() -> None:
        try:
            run()
        except Exception:  # noqa: BLE001 -- the border of a thread: nobody above could report it
            _log.exception("thread %s ended with an internal error", name)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread


def join_threads(threads: Iterable[threading.Thread], deadline_s: float) -> bool:
    """Join all threads within `deadline_s` seconds. False when some are still blocked; they end with the process."""
    end = time.monotonic() + deadline_s
    alive = []
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            alive.append(thread.name)
    if alive:
        _log.warning("threads still busy at quit: %s", ", ".join(alive))
    return not alive


class Workers:
    """A pool of at most `count` threads, each started when a job finds no idle one. `submit` never blocks."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._under_way = 0
        """Jobs that are queued or running."""
        self._closed = False
        self._threads: list[threading.Thread] = []

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job. After `close` it is dropped."""
        with self._lock:
            if self._closed:
                return
            self._under_way += 1
            if self._under_way > len(self._threads) < self._count:
                self._threads.append(start_thread(f"{self._name}-{len(self._threads)}", self._run))
            self._jobs.put(job)

    def close(self, deadline_s: float) -> bool:
        """Accept no more jobs and wait for the running ones; drop queued jobs. Returns whether all threads ended."""
        self._closed = True
        return self.finish(deadline_s)

    def finish(self, deadline_s: float) -> bool:
        """Accept no more jobs, and wait until all queued ones are done."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        return join_threads(threads, deadline_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if not self._closed:
                    job()
            except Exception:  # noqa: BLE001 -- the border of a thread: the pool must outlive one bad job
                _log.exception("internal error in a job of %s", threading.current_thread().name)
            finally:
                with self._lock:
                    self._under_way -= 1
