"""Owners of the agent's asyncio tasks: they cancel their tasks at the end, and report every unexpected exception."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import message

_log = logging.getLogger(__name__)
_CANCEL_S: Final = 15.0
_CLOSE_S: Final = 5.0

Result = TypeVar("Result")


class Background:
    """Any number of independent tasks, each referenced until it has ended. For one event loop."""

    def __init__(self, crashed: Callable[[Problem], None]) -> None:
        """
        Args:
            crashed: called when a task has ended with an exception other than WherryError, which is a defect.
        """
        self._crashed = crashed
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Start a task. Await its result with `asyncio.shield`, so that it is not cancelled with the caller."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def aclose(self) -> None:
        """Cancel all tasks and wait up to 5 s for their end."""
        for task in self._tasks:
            task.cancel()
        await self.wait(_CLOSE_S)

    async def wait(self, timeout_s: float) -> None:
        """Wait until all tasks have ended, up to `timeout_s`. Cancels none."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, WherryError):
            _log.info("task %s: %s", task.get_name(), error.problem.summary)
            return
        _log.error("task %s failed", task.get_name(), exc_info=error)
        self._crashed(defect(task.get_name(), error))


class Tasks:
    """The supervisor's tasks: at most one lifecycle effect, one shutdown, and any number of others."""

    def __init__(self, crashed: Callable[[Problem], None], *, crashed_beside: Callable[[Problem], None]) -> None:
        """
        Args:
            crashed: called when the effect or the shutdown has ended with an exception, which is a defect.
            crashed_beside: called when one of the other tasks has.
        """
        self._crashed = crashed
        self._crashed_beside = crashed_beside
        self._work: asyncio.Task[None] | None = None
        self._shutdown: asyncio.Task[None] | None = None
        self._side: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start the effect. The one before it MUST have ended or been cancelled."""
        self._work = self._start(work, name)

    def shut_down(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the shutdown. One that is running is cancelled."""
        if self._shutdown is not None:
            self._shutdown.cancel()
        self._shutdown = self._start(work, "shut down")

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start an independent task."""
        task = self._start(work, name)
        self._side.add(task)
        task.add_done_callback(self._side.discard)
        return task

    async def cancel_work(self) -> None:
        """Cancel the effect and wait up to 15 s for its end."""
        work, self._work = self._work, None
        if work is not None and not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=_CANCEL_S)

    async def aclose(self) -> None:
        """Cancel all tasks and wait up to 20 s for their end."""
        await self.cancel_work()
        rest = {task for task in (self._shutdown, *self._side) if task is not None}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=_CLOSE_S)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("task %s failed", task.get_name(), exc_info=error)
        crashed = self._crashed if task in (self._work, self._shutdown) else self._crashed_beside
        crashed(defect(task.get_name(), error))


def defect(what: str, error: BaseException) -> Problem:
    """The problem for the user about an unexpected exception."""
    return Problem(
        code=ProblemCode.INTERNAL,
        summary=message(
            "Internal error ({task}: {name}: {error}).", task=what, name=type(error).__name__, error=str(error)
        ),
        hint=message("Report it with the agent's log: wherry logs agent"),
    )
