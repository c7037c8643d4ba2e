"""What the user is told of: a container that ended with an error or whose check fails, a machine in trouble.

Not told: what somebody asked for. The engine says "kill" before the "die" of every stop, restart, kill and removal,
whoever asked for it, here or in a terminal. Several at once are one notification, and a container that keeps ending is
told of once in a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app import texts
from app.state.store import AppStore
from app.texts import _, ngettext
from backend.api import EngineEvent, Phase, ProblemCode

GATHER_MS: Final = 1_500
"""From the first failure to the notification: what fails together is told together."""
QUIET_S: Final = 300.0
"""Between two notifications of one container."""
ASKED_S: Final = 120.0
"""How long after a "kill" an end is what was asked for; longer than the time that a stop is given usually."""
NAMED: Final = 4
_RELOADS: Final = (1, 10, 12, 28)
"""Signals that a process is sent to do something else than end: HUP, USR1, USR2, WINCH."""
_KILLED: Final = 137
_KEPT: Final = 2_000
TOLD: Final = frozenset(
    {
        *(ProblemCode.GUEST_HUNG, ProblemCode.ENGINE_DOWN, ProblemCode.MACHINE_DIED, ProblemCode.KERNEL_PANIC),
        *(ProblemCode.DATA_DISK_FULL, ProblemCode.HOST_DISK_FULL, ProblemCode.MEMORY_LOW, ProblemCode.DISK_DAMAGED),
        *(ProblemCode.SUSPEND_FAILED, ProblemCode.UPDATE_FAILED),
    }
)
"""Problems of the machine that somebody who does not look at the window wants to know of."""
_GOING: Final = (Phase.STOPPING, Phase.STOPPED, Phase.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One notification."""

    title: str
    words: str
    containers: tuple[str, ...]
    """Ids; none where it is about the machine."""


@dataclass(frozen=True, slots=True)
class _Failure:
    name: str
    words: str


class ContainerWatch(QObject):
    """Hand it every event of a container; it says when the user is to be told."""

    alarm = Signal(object)  # Alarm

    def __init__(
        self, store: AppStore, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._failures: dict[str, _Failure] = {}
        self._gather = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._gather.timeout.connect(self._tell)

    def note(self, event: EngineEvent) -> None:
        """An event of a container."""
        match event.action:
            case "kill" if event.signal not in _RELOADS:
                self._remember(self._asked, event.actor_id)
            case "start" | "destroy":
                self._asked.pop(event.actor_id, None)
            case "die":
                self._on_end(event)
            case "health_status: unhealthy":
                self._fail(event, _("Its health check is failing."))

    def _on_end(self, event: EngineEvent) -> None:
        asked_at = self._asked.pop(event.actor_id, None)
        asked = asked_at is not None and self._clock() - asked_at < ASKED_S
        if asked or not event.exit_code:
            return
        code = event.exit_code
        self._fail(
            event,
            _("Killed (exit code {code}): out of memory or stopped by another process.", code=code)
            if code == _KILLED
            else _("Exited with code {code}.", code=code),
        )

    def _fail(self, event: EngineEvent, words: str) -> None:
        # A machine that is being stopped ends its containers in order; that is no failure of theirs.
        if not self._store.preferences.notifications or self._store.phase in _GOING:
            return
        told_at = self._told.get(event.actor_id)
        if told_at is not None and self._clock() - told_at < QUIET_S:
            return
        self._remember(self._told, event.actor_id)
        self._failures[event.actor_id] = _Failure(event.name or event.actor_id[:12], words)
        if not self._gather.isActive():
            self._gather.start()

    def _tell(self) -> None:
        failures, self._failures = self._failures, {}
        # Asked again: the machine may have begun to stop since, or the setting may have changed.
        if failures and self._store.preferences.notifications and self._store.phase is not Phase.STOPPING:
            self.alarm.emit(_alarm(failures))

    def _remember(self, where: dict[str, float], container_id: str) -> None:
        where.pop(container_id, None)
        where[container_id] = self._clock()
        while len(where) > _KEPT:
            del where[next(iter(where))]


class MachineWatch(QObject):
    """Says which problems of the machine are new: each once, and again only after a while."""

    alarm = Signal(object)  # Alarm

    def __init__(
        self, store: AppStore, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._clock = clock
        self._present: frozenset[ProblemCode] = frozenset()
        self._told: dict[ProblemCode, float] = {}
        store.machine_changed.connect(self._look)

    def _look(self) -> None:
        store = self._store
        if store.machine is None or store.phase is None:
            return
        before, self._present = self._present, frozenset(problem.code for problem in store.machine.problems)
        for problem in store.machine.problems:
            if problem.code in before or problem.code not in TOLD or not store.preferences.notifications:
                continue
            told_at = self._told.get(problem.code)
            if told_at is None or self._clock() - told_at >= QUIET_S:
                self._told[problem.code] = self._clock()
                self.alarm.emit(Alarm(texts.problem_title(problem.code), problem.summary, ()))


def _alarm(failures: Mapping[str, _Failure]) -> Alarm:
    first = next(iter(failures.values()))
    if len(failures) == 1:
        return Alarm(_("{name} failed", name=first.name), first.words, tuple(failures))
    names = [failure.name for failure in failures.values()]
    words = ", ".join(names[:NAMED])
    if len(names) > NAMED:
        words = _("{names} and {count} more", names=words, count=len(names) - NAMED)
    return Alarm(ngettext("{count} container failed", "{count} containers failed", len(names)), words, tuple(failures))
