"""What is known of the running guest: its control port, all that it has said, and what that means for the user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from backend.errors import Problem, ProblemCode
from backend.vm.guest import GuestControl, GuestEvent, GuestProblem, ProblemSolved, ServiceChange, Stage

_log = logging.getLogger(__name__)
_MAX_STAGES: Final = 100
_MAX_PROBLEMS: Final = 20

_MEANINGS: Final = {
    "data-disk": (
        ProblemCode.DISK_DAMAGED,
        "The guest cannot use its data disk, so the engine was not started. The disk was left as it is.",
        "Look at it with `wherry shell`, put back a copy, or give up its contents with: wherry reset",
    ),
    "data-full": (
        ProblemCode.DATA_DISK_FULL,
        "The machine's data disk is almost full.",
        "Remove what is not needed: docker system prune",
    ),
    "engine-crash": (
        ProblemCode.ENGINE_DOWN,
        "A service of the engine keeps ending and is started again and again.",
        "The engine's own words: wherry logs engine. A setting in daemon.json may be the cause.",
    ),
}
"""The guest's code -> ours, what happened, and what to do. Other codes are shown with the guest's own words."""

_WITHOUT_ENGINE: Final = frozenset({"data-disk", "engine-crash"})


class Guest:
    """One per run of the machine."""

    def __init__(self, control: GuestControl) -> None:
        self.control = control
        self.stages: dict[str, float] = {}
        """Stage -> the guest's uptime in seconds when it got there."""
        self._problems: dict[str, GuestProblem] = {}
        self._changed = asyncio.Event()

    @property
    def shut_down_in_order(self) -> bool:
        """Whether the guest's last word was that everything is closed."""
        return "off" in self.stages

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the guest has reported and not taken back, oldest first."""
        return tuple(explain(problem) for problem in self._problems.values())

    @property
    def without_engine(self) -> tuple[Problem, ...]:
        """Those of them with which there is no use in waiting for the engine."""
        return tuple(explain(problem) for code, problem in self._problems.items() if code in _WITHOUT_ENGINE)

    async def events(self) -> AsyncIterator[GuestEvent]:
        """Follow the guest, noting what it says; yields each event."""
        async for event in self.control.events():
            match event:
                case Stage(name, uptime) if name in self.stages or len(self.stages) < _MAX_STAGES:
                    self.stages[name] = uptime
                case GuestProblem(code) if code in self._problems or len(self._problems) < _MAX_PROBLEMS:
                    self._problems[code] = event
                case ProblemSolved(code):
                    self._problems.pop(code, None)
                case ServiceChange(name, exit_code):
                    _log.info("guest service %s %s", name, "started" if exit_code is None else f"exited {exit_code}")
            self._changed.set()
            yield event

    async def any_stage(self) -> None:
        """Return once the guest has told how far it is."""
        while not self.stages:
            self._changed.clear()
            await self._changed.wait()

    async def reached(self, stage: str) -> None:
        """Return once the guest got as far as `stage`."""
        while stage not in self.stages:
            self._changed.clear()
            await self._changed.wait()


def explain(problem: GuestProblem) -> Problem:
    """A problem of the guest as the user is shown it."""
    words = "".join(c for c in problem.untrusted_text if c.isprintable())
    code, summary, hint = _MEANINGS.get(
        problem.code,
        (ProblemCode.GUEST_FAULT, "The guest reports a fault.", "See the guest's console: wherry logs guest"),
    )
    return Problem(code=code, summary=summary, tail=(words,) if words else (), hint=hint, retryable=True)
