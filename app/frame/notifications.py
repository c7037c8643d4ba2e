"""Decides when to notify the user: a container failed or is unhealthy, or the machine has a serious problem.

A requested stop is no failure: the engine emits "kill" before the "die" of every stop, restart, kill and removal, from
here or from a terminal. Simultaneous failures share one notification, and repeated failures of a container are limited
to one notification per QUIET_S.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app import texts
from app.state.store import AppStore
from app.texts import _, ngettext, say
from backend.api import EngineEvent, Phase, ProblemCode

GATHER_MS: Final = 1_500
"""Time from the first failure to the notification, to collect simultaneous failures."""
QUIET_S: Final = 300.0
"""Least time between two notifications about one container or one kind of problem."""
REQUESTED_S: Final = 120.0
"""How long after a "kill" an exit counts as requested; longer than the usual stop timeout."""
NAMES_SHOWN: Final = 4
_RELOADS: Final = (1, 10, 12, 28)
"""Signals that do not ask a process to exit: HUP, USR1, USR2, WINCH."""
_KILLED: Final = 137
_MAX_REMEMBERED: Final = 2_000
NOTIFIED: Final = frozenset(
    {
        *(ProblemCode.GUEST_HUNG, ProblemCode.ENGINE_DOWN, ProblemCode.MACHINE_DIED, ProblemCode.KERNEL_PANIC),
        *(ProblemCode.DATA_DISK_FULL, ProblemCode.HOST_DISK_FULL, ProblemCode.MEMORY_LOW, ProblemCode.DISK_DAMAGED),
        *(ProblemCode.SUSPEND_FAILED, ProblemCode.UPDATE_FAILED),
    }
)
"""Machine problems that are worth a notification while the window is not active."""
_SHUTTING_DOWN: Final = (Phase.STOPPING, Phase.STOPPED, Phase.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Alarm:
    """The contents of one notification."""

    title: str
    text: str
    containers: tuple[str, ...]
    """Ids of the failed containers; empty for a problem of the machine."""


@dataclass(frozen=True, slots=True)
class _Failure:
    name: str
    text: str


class ContainerWatch(QObject):
    """Turns container events into alarms. Pass every event to `note`; `alarm` is emitted for failures."""

    alarm = Signal(object)  # Alarm

    def __init__(
        self, store: AppStore, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._clock = clock
        self._requested: dict[str, float] = {}
        self._notified: dict[str, float] = {}
        self._failures: dict[str, _Failure] = {}
        self._batch_timer = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._batch_timer.timeout.connect(self._notify)

    def note(self, event: EngineEvent) -> None:
        """Process an engine event of a container."""
        match event.action:
            case "kill" if event.signal not in _RELOADS:
                self._remember(self._requested, event.actor_id)
            case "start" | "destroy":
                self._requested.pop(event.actor_id, None)
            case "die":
                self._on_end(event)
            case "health_status: unhealthy":
                self._fail(event, _("Its health check is failing."))

    def _on_end(self, event: EngineEvent) -> None:
        requested_at = self._requested.pop(event.actor_id, None)
        requested = requested_at is not None and self._clock() - requested_at < REQUESTED_S
        if requested or not event.exit_code:
            return
        code = event.exit_code
        self._fail(
            event,
            _("Killed (exit code {code}): out of memory or stopped by another process.", code=code)
            if code == _KILLED
            else _("Exited with code {code}.", code=code),
        )

    def _fail(self, event: EngineEvent, text: str) -> None:
        # A machine that is stopping ends its containers; that is not a failure.
        if not self._store.preferences.notifications or self._store.phase in _SHUTTING_DOWN:
            return
        notified_at = self._notified.get(event.actor_id)
        if notified_at is not None and self._clock() - notified_at < QUIET_S:
            return
        self._remember(self._notified, event.actor_id)
        self._failures[event.actor_id] = _Failure(event.name or event.actor_id[:12], text)
        if not self._batch_timer.isActive():
            self._batch_timer.start()

    def _notify(self) -> None:
        failures, self._failures = self._failures, {}
        # Checked again: the machine may have begun to stop since, or the setting may have changed.
        if failures and self._store.preferences.notifications and self._store.phase is not Phase.STOPPING:
            self.alarm.emit(_alarm(failures))

    def _remember(self, times: dict[str, float], container_id: str) -> None:
        times.pop(container_id, None)
        times[container_id] = self._clock()
        while len(times) > _MAX_REMEMBERED:
            del times[next(iter(times))]


class MachineWatch(QObject):
    """Emits `alarm` for new problems of the machine, at most once per QUIET_S for each kind."""

    alarm = Signal(object)  # Alarm

    def __init__(
        self, store: AppStore, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._clock = clock
        self._present: frozenset[ProblemCode] = frozenset()
        self._notified: dict[ProblemCode, float] = {}
        store.machine_changed.connect(self._check)

    def _check(self) -> None:
        store = self._store
        if store.machine is None or store.phase is None:
            return
        before, self._present = self._present, frozenset(problem.code for problem in store.machine.problems)
        for problem in store.machine.problems:
            if problem.code in before or problem.code not in NOTIFIED or not store.preferences.notifications:
                continue
            notified_at = self._notified.get(problem.code)
            if notified_at is None or self._clock() - notified_at >= QUIET_S:
                self._notified[problem.code] = self._clock()
                self.alarm.emit(Alarm(texts.problem_title(problem.code), say(problem.summary), ()))


def _alarm(failures: Mapping[str, _Failure]) -> Alarm:
    first = next(iter(failures.values()))
    if len(failures) == 1:
        return Alarm(_("{name} failed", name=first.name), first.text, tuple(failures))
    names = [failure.name for failure in failures.values()]
    text = ", ".join(names[:NAMES_SHOWN])
    if len(names) > NAMES_SHOWN:
        text = _("{names} and {count} more", names=text, count=len(names) - NAMES_SHOWN)
    return Alarm(ngettext("{count} container failed", "{count} containers failed", len(names)), text, tuple(failures))
