"""State of the running guest: the boot stages and problems that it has reported, and their explanations."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from backend.errors import Action, Problem, ProblemCode
from backend.model import Notice
from backend.vm.guest import (
    BootStage,
    GuestControl,
    GuestEvent,
    GuestProblem,
    OutOfMemory,
    ProblemSolved,
    ServiceChange,
    ServiceContinued,
    Trimmed,
)

_log = logging.getLogger(__name__)
_MAX_STAGES: Final = 100
_MAX_PROBLEMS: Final = 20


class _Meaning(NamedTuple):
    code: ProblemCode
    summary: str
    hint: str
    action: Action | None = None
    warning: bool = False
    """The engine still works."""


_MEANINGS: Final = {
    "data-disk": _Meaning(
        ProblemCode.DISK_DAMAGED,
        "The guest cannot use its data disk, so the engine was not started. The disk was left as it is.",
        "Look at it with `wherry shell`, put back a copy, or give up its contents with: wherry reset",
    ),
    "data-full": _Meaning(
        ProblemCode.DATA_DISK_FULL,
        "The machine's data disk is almost full.",
        "Remove what is not needed (docker system prune), or give the machine a larger disk in the settings.",
        warning=True,
    ),
    "data-full-now": _Meaning(
        ProblemCode.DATA_DISK_FULL,
        "The machine's data disk is full: containers and the engine can hardly write any more.",
        "Remove what is not needed (docker system prune), or give the machine a larger disk in the settings.",
    ),
    "memory-low": _Meaning(
        ProblemCode.MEMORY_LOW,
        "The machine is running out of memory: soon the kernel ends containers.",
        "Stop containers that are not needed, or give the machine more memory in the settings.",
        Action.RECLAIM,
        warning=True,
    ),
    "engine-crash": _Meaning(
        ProblemCode.ENGINE_DOWN,
        "A service of the engine keeps ending and is started again and again.",
        "The engine's own words: wherry logs engine. A setting in daemon.json may be the cause.",
        Action.RESTART,
    ),
    "names-crash": _Meaning(
        ProblemCode.GUEST_FAULT,
        "The machine's DNS forwarder keeps ending. Names are asked of QEMU's resolver meanwhile, which knows less.",
        "Its own words: wherry shell cat /data/log/dns.log. It is started again by itself.",
        warning=True,
    ),
}
"""By the guest's problem code. Other codes are shown with the text of the guest."""

_UNKNOWN: Final = _Meaning(
    ProblemCode.GUEST_FAULT, "The guest reports a fault.", "See the guest's console: wherry logs guest"
)
_OOM_LINE: Final = re.compile(
    r"constraint=(\w+).*?task_memcg=(?:[^,]*?/([0-9a-f]{64}))?[^,]*,task=(.{1,15}?),pid=(\d+)"
)

_WITHOUT_ENGINE: Final = frozenset({"data-disk", "engine-crash"})


class Guest:
    """What the guest reports on its control port. One object per run of the machine."""

    def __init__(self, control: GuestControl) -> None:
        self.control = control
        self.stages: dict[str, float] = {}
        """Boot stage -> the guest's uptime in seconds when it was reached."""
        self._problems: dict[str, GuestProblem] = {}
        self._changed = asyncio.Event()

    @property
    def shut_down_in_order(self) -> bool:
        """Whether the guest has reported that its shutdown is complete."""
        return "off" in self.stages

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems that the guest has reported and not yet reported as solved, oldest first."""
        return tuple(explain(problem) for problem in self._problems.values())

    @property
    def without_engine(self) -> tuple[Problem, ...]:
        """Those problems with which the engine cannot start."""
        return tuple(explain(problem) for code, problem in self._problems.items() if code in _WITHOUT_ENGINE)

    async def events(self) -> AsyncIterator[GuestEvent]:
        """Yield the events of the guest, after updating `stages` and `problems`. Ends with the control port."""
        async for event in self.control.events():
            match event:
                case BootStage(name, uptime) if name in self.stages or len(self.stages) < _MAX_STAGES:
                    self.stages[name] = uptime
                case GuestProblem(code) if code in self._problems or len(self._problems) < _MAX_PROBLEMS:
                    self._problems[code] = event
                case ProblemSolved(code):
                    self._problems.pop(code, None)
                case ServiceChange(name, exit_code):
                    _log.info("guest service %s %s", name, "started" if exit_code is None else f"exited {exit_code}")
                case ServiceContinued(name):
                    _log.warning("guest service %s was stopped by a signal; the guest let it go on", name)
                case Trimmed(untrusted_text):
                    _log.info("the guest gave room back: %r", untrusted_text[:200])
            self._changed.set()
            yield event

    async def any_stage(self) -> None:
        """Return when the guest has reported a boot stage."""
        while not self.stages:
            self._changed.clear()
            await self._changed.wait()

    async def reached(self, stage: str) -> None:
        """Return when the guest has reported `stage`."""
        while stage not in self.stages:
            self._changed.clear()
            await self._changed.wait()


def explain(problem: GuestProblem) -> Problem:
    """The problem for the user."""
    words = "".join(c for c in problem.untrusted_text if c.isprintable())
    meaning = _MEANINGS.get(problem.code, _UNKNOWN)
    return Problem(
        code=meaning.code,
        summary=meaning.summary,
        tail=(words,) if words else (),
        hint=meaning.hint,
        retryable=True,
        action=meaning.action,
    )


def is_warning(problem: GuestProblem) -> bool:
    """Whether the engine still works."""
    return _MEANINGS.get(problem.code, _UNKNOWN).warning


def explain_oom(event: OutOfMemory) -> Notice:
    """The notice for the user about processes that the guest's kernel has killed because memory ran out."""
    found = _OOM_LINE.search(event.untrusted_text)
    if found is None:
        return Notice(level="error", text="Memory ran out in the machine, and its kernel ended a process.")
    constraint, container, untrusted_task, pid = found.groups()
    task = "".join(c for c in untrusted_task if c.isprintable())
    of = f" of the container {container[:12]}" if container else ""
    others = f" and {event.count - 1} more" if event.count > 1 else ""
    if constraint == "CONSTRAINT_MEMCG":
        text = f"The process {task} ({pid}){of}{others} was ended by the kernel: its memory limit was reached."
        return Notice(level="warning", text=text)
    text = f"The machine ran out of memory, and its kernel ended the process {task} ({pid}){of}{others}."
    return Notice(level="error", text=text)
