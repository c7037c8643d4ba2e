"""A background task that runs while it is wanted and the machine is up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger(__name__)

_AFTER_A_DEFECT_S: Final = 30.0


class WhileWanted:
    """Starts and cancels the task. Call `run` as a task; the setters may be called at any time."""

    def __init__(self, work: Callable[[], Awaitable[None]], *, name: str, stopped: Callable[[], None]) -> None:
        """The work is neither wanted nor possible at first.

        Args:
            work: runs until it is cancelled.
            name: name of its task, and for the log.
            stopped: called at once when the work is no longer wanted or possible.
        """
        self._work = work
        self._name = name
        self._stopped = stopped
        self._wanted = False
        self._up = False
        self._go = asyncio.Event()
        self._task: asyncio.Future[None] | None = None

    def set_wanted(self, wanted: bool) -> None:
        """Set whether the work is wanted."""
        self._wanted = wanted
        self._decide()

    def set_up(self, up: bool) -> None:
        """Set whether the machine is up."""
        self._up = up
        self._decide()

    def _decide(self) -> None:
        if self._wanted and self._up:
            self._go.set()
        else:
            self._go.clear()
            if self._task is not None:
                self._task.cancel()
            self._stopped()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._go.wait()
            task = self._task = asyncio.ensure_future(self._work())
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                self._task = None
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("internal error in %s", self._name, exc_info=error)
                await asyncio.sleep(_AFTER_A_DEFECT_S)
