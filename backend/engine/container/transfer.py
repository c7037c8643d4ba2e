"""Progress and cancellation of a long transfer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from backend.errors import Cancelled, Problem, ProblemCode
from backend.messages import message


class Transfer:
    """Updated by the working thread; read and cancelled by others."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self.total_bytes: int | None = None
        """None while unknown."""
        self.item = ""
        """Name of the file in progress, sanitised."""
        self.skipped: list[str] = []
        """What was skipped, and why, sanitised. At most `MAX_SKIPPED` entries."""
        self.skipped_count = 0
        self._cancelled = threading.Event()
        self._closers: list[Callable[[], object]] = []

    def add(self, count: int) -> None:
        """Add to the number of bytes. Raises Cancelled."""
        self.done_bytes += count
        self.check()

    def check(self) -> None:
        """Raise Cancelled after `cancel`."""
        if self._cancelled.is_set():
            raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary=message("Canceled.")))

    def skip(self, what: str) -> None:
        """Add an entry to `skipped`."""
        self.skipped_count += 1
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(what)

    def on_cancel(self, close: Callable[[], object]) -> None:
        """Call `close` on cancellation, to end a read that waits for a slow peer."""
        self._closers.append(close)
        if self._cancelled.is_set():
            close()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Request the end. Thread-safe."""
        self._cancelled.set()
        for close in self._closers:
            close()


MAX_SKIPPED = 20
