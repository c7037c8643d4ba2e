"""Progress of a start: the state of each step and the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable

from backend.agent.boot.readiness import LADDER, Step
from backend.model import StepState, StepStatus


class Progress:
    """Progress of the current start. `changed` is called after every change."""

    def __init__(self, changed: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = changed
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._failed: str | None = None
        self._active: str | None = None
        self._started_at: float | None = None
        self._ladder: tuple[Step, ...] = LADDER

    def reset(self) -> None:
        """Begin a new start."""
        self._begun.clear()
        self._ended.clear()
        self._failed = self._active = None
        self._started_at = self._clock()
        self._ladder = LADDER
        self._changed()

    def set_steps(self, ladder: tuple[Step, ...]) -> None:
        """Replace the steps of this start. Those that are done stay done."""
        self._ladder = ladder

    def begin(self, step: Step) -> None:
        """Begin `step`; the one before is done. The time of a repeated step (with another accelerator) starts again."""
        self._close()
        position = self._ladder.index(step)
        for later in self._ladder[position:]:
            self._begun.pop(later.name, None)
            self._ended.pop(later.name, None)
        self._failed = None
        self._active = step.name
        self._begun[step.name] = self._clock()
        self._changed()

    def finish(self) -> None:
        """End the start: all steps are done."""
        self._close()
        self._changed()

    def fail(self) -> None:
        """End the start: the active step has failed."""
        self._failed = self._active
        self._close()
        self._changed()

    def clear(self) -> None:
        """Remove all progress: the machine is stopped."""
        self._begun.clear()
        self._ended.clear()
        self._failed = self._active = None
        self._changed()

    @property
    def seconds(self) -> float | None:
        """Seconds since the start was requested; None before the first."""
        return None if self._started_at is None else self._clock() - self._started_at

    def steps(self) -> tuple[StepStatus, ...]:
        """All steps in order; empty if none was begun."""
        if not self._begun:
            return ()
        return tuple(self._status(step) for step in self._ladder)

    def _status(self, step: Step) -> StepStatus:
        begun = self._begun.get(step.name)
        if begun is None:
            return StepStatus(name=step.name, title=step.title, state=StepState.PENDING)
        ended = self._ended.get(step.name)
        if ended is None:
            return StepStatus(name=step.name, title=step.title, state=StepState.ACTIVE, began_at=begun)
        state = StepState.FAILED if step.name == self._failed else StepState.DONE
        return StepStatus(name=step.name, title=step.title, state=state, elapsed_s=round(ended - begun, 3))

    def _close(self) -> None:
        if self._active is not None:
            self._ended[self._active] = self._clock()
            self._active = None
