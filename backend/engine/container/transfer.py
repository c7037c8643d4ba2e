"""Something long that is under way: how far it is, and the way to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from backend.errors import Cancelled, Problem, ProblemCode


class Transfer:
    """Counted by the thread that works, read and cancelled by any other."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self.total_bytes: int | None = None
        """None while nobody can tell."""
        self.item = ""
        """What is being worked on: the name of a file, cleaned."""
        self.skipped: list[str] = []
        """What was left out, and why, cleaned. At most `MAX_SKIPPED` are named."""
        self.skipped_count = 0
        self._cancelled = threading.Event()
        self._closers: list[Callable[[], object]] = []

    def add(self, count: int) -> None:
        """Count bytes. Raises Cancelled."""
        self.done_bytes += count
        self.check()

    def check(self) -> None:
        """Raise Cancelled if the user wants no more of it."""
        if self._cancelled.is_set():
            raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary="It was cancelled."))

    def skip(self, what: str) -> None:
        """Note what was left out."""
        self.skipped_count += 1
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(what)

    def on_cancel(self, close: Callable[[], object]) -> None:
        """Have `close` called by a cancel: it ends a read that waits for a slow peer."""
        self._closers.append(close)
        if self._cancelled.is_set():
            close()

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to end."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it soon. From any thread."""
        self._cancelled.set()
        for close in self._closers:
            close()


MAX_SKIPPED = 20
