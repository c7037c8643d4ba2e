"""State of the running guest: the boot stages and problems that it has reported, and their explanations."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from backend.errors import Action, Problem, ProblemCode
from backend.messages import Message, message
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
    Stopping,
    Trimmed,
)

_log = logging.getLogger(__name__)
_MAX_STAGES: Final = 100
_MAX_PROBLEMS: Final = 20


class _Meaning(NamedTuple):
    code: ProblemCode
    summary: Message
    hint: Message
    action: Action | None = None
    warning: bool = False
    """The engine still works."""


_MEANINGS: Final = {
    "data-disk": _Meaning(
        ProblemCode.DISK_DAMAGED,
        message("The guest can't use its data disk, so the Docker engine wasn't started. The disk is unchanged."),
        message("Inspect it with wherry shell, restore a copy, or erase everything: wherry reset"),
    ),
    "data-full": _Meaning(
        ProblemCode.DATA_DISK_FULL,
        message("The machine's data disk is almost full."),
        message("Remove unused data (docker system prune), or increase the disk size in Settings."),
        warning=True,
    ),
    "data-full-now": _Meaning(
        ProblemCode.DATA_DISK_FULL,
        message("The machine's data disk is full. Containers and the engine can hardly write anymore."),
        message("Remove unused data (docker system prune), or increase the disk size in Settings."),
    ),
    "memory-low": _Meaning(
        ProblemCode.MEMORY_LOW,
        message("The machine is running out of memory. Containers may be killed soon."),
        message("Stop containers that you don't need, or give the machine more memory in Settings."),
        Action.RECLAIM,
        warning=True,
    ),
    "engine-crash": _Meaning(
        ProblemCode.ENGINE_DOWN,
        message("A service of the Docker engine keeps crashing and restarting."),
        message("Check the engine's log: wherry logs engine. A setting in daemon.json may be the cause."),
        Action.RESTART,
    ),
    "swap": _Meaning(
        ProblemCode.GUEST_FAULT,
        message("The machine has no swap."),
        message("Without it, containers are killed sooner when memory runs short. Restart the machine."),
        Action.RESTART,
        warning=True,
    ),
    "names-crash": _Meaning(
        ProblemCode.GUEST_FAULT,
        message(
            "The machine's DNS forwarder keeps crashing. Names are resolved by QEMU meanwhile, which supports less."
        ),
        message("It restarts automatically. Check its log: wherry shell cat /data/log/dns.log"),
        warning=True,
    ),
}
"""By the guest's problem code. Other codes are shown with the text of the guest."""

_UNKNOWN: Final = _Meaning(
    ProblemCode.GUEST_FAULT,
    message("The guest reports a problem."),
    message("Check the guest's console: wherry logs guest"),
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
        self.stopping: Stopping | None = None
        """What a shutdown, or a restart of dockerd, waits for; as the guest has said last."""
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
                case Stopping():
                    self.stopping = event
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
        return Notice(level="error", text=message("The machine ran out of memory, and a process was killed."))
    constraint, container, untrusted_task, pid = found.groups()
    task = "".join(c for c in untrusted_task if c.isprintable())
    process = message("{name} ({pid})", name=task, pid=pid)
    if container:
        process = message("{process} in the container {container}", process=process, container=container[:12])
    if event.count > 1:
        process = message("{process} and {count} more", process=process, count=event.count - 1)
    if constraint == "CONSTRAINT_MEMCG":
        text = message("A process was killed because its memory limit was reached: {process}.", process=process)
        return Notice(level="warning", text=text)
    text = message("The machine ran out of memory, and a process was killed: {process}.", process=process)
    return Notice(level="error", text=text)
