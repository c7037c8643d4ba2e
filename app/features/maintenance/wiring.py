"""Connects maintenance (checkpoints, updates, disk, memory): requests of the views to the agent, replies to the store.

The list of checkpoints is reloaded when it becomes visible and after anything that can change it: the end of any
operation, even one started elsewhere, and a machine that settled in another phase.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from PySide6.QtCore import QObject

from app.links.link_state import LinkState
from app.state.maintenance_store import QUESTIONS, REQUESTS, MaintenanceStore
from app.state.parts import Parts
from app.texts import Message, message
from app.ui import figures
from backend.api import Notice, OperationStatus, Phase, Problem, ProblemCode, Request, messages

_ENDED: Final[dict[type[Request[Any]], Message]] = {
    messages.CreateCheckpoint: message("Checkpoint created."),
    messages.RestoreCheckpoint: message("Checkpoint restored. The previous state was saved as a checkpoint."),
    messages.ApplyUpdate: message("Guest image updated. Your containers, images and volumes are kept."),
    messages.GrowDisk: message("Disk size increased."),
    messages.MoveDisk: message("Disk moved."),
    messages.ResetMachine: message("The machine was erased and has an empty disk."),
    messages.RestartEngine: message("Docker engine restarted."),
}
"""Notices for finished requests, because the user may have left the page by then."""
_CHANGE_CHECKPOINTS: Final = (messages.CreateCheckpoint, messages.RestoreCheckpoint, messages.DeleteCheckpoint)
_CHANGE_DISK: Final = (messages.GrowDisk, messages.MoveDisk, messages.ResetMachine)


class MaintenanceWiring(QObject):
    """Sends maintenance requests, and shows their results as notices or problems."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._watched = False
        self._operation: OperationStatus | None = None
        self._offer: str | None = None
        self._phase: Phase | None = None
        self._deletions: deque[messages.DeleteCheckpoint] = deque()
        store = parts.store
        store.machine_changed.connect(self._on_machine)
        store.intents.request_maintenance.connect(self._request)
        store.intents.watch_checkpoints.connect(self._on_visible)

    def _request(self, request: Request[Any]) -> None:
        assert type(request) in REQUESTS
        maintenance = self._parts.store.part(MaintenanceStore)
        if isinstance(request, messages.DeleteCheckpoint) and messages.DeleteCheckpoint in maintenance.in_flight:
            self._deletions.append(request)  # one at a time: the agent refuses a second one until the first is finished
            return

        def done(answer: object) -> None:
            maintenance.take(request, answer)
            if isinstance(answer, Problem):
                self._on_refused(request, answer)
            else:
                self._on_done(request, answer)

        maintenance.begin(request)
        self._parts.machine_link.request(request, done, self)

    def _on_visible(self, visible: bool) -> None:
        self._watched = visible
        if visible:
            self._list()

    def _list(self) -> None:
        store = self._parts.store
        in_flight = store.part(MaintenanceStore).in_flight
        if self._watched and store.agent_link is LinkState.UP and messages.ListCheckpoints not in in_flight:
            self._request(messages.ListCheckpoints())

    def _on_machine(self) -> None:
        store = self._parts.store
        machine, phase = store.machine, store.phase
        if machine is None or phase is None:
            self._phase = None  # after reconnecting, the same phase counts as new
            return
        before, self._operation = self._operation, machine.operation
        moved, self._phase = phase is not self._phase, phase
        if (before is not None and machine.operation is None) or (moved and phase.is_settled):
            self._list()
        offered, self._offer = machine.image_offer != self._offer, machine.image_offer
        if offered:
            self._request(messages.CheckUpdate())

    def _on_done(self, request: Request[Any], answer: object) -> None:
        store = self._parts.store
        notice_text = _ENDED.get(type(request))
        if isinstance(answer, messages.Reclaimed):
            store.notice(Notice(level="info", text=self._reclaimed(answer)))
        elif isinstance(answer, messages.DiskGrown) and not answer.now:
            store.notice(Notice(level="info", text=message("The disk size increases at the next start.")))
        elif notice_text is not None:
            store.notice(Notice(level="info", text=notice_text))
        if isinstance(request, messages.DeleteCheckpoint) and self._deletions:
            self._request(self._deletions.popleft())
        elif isinstance(request, _CHANGE_CHECKPOINTS):
            self._list()
        if isinstance(request, messages.ApplyUpdate):
            self._request(messages.CheckUpdate())
        if isinstance(request, _CHANGE_DISK):
            store.intents.request_agent.emit(messages.GetSettings())

    def _on_refused(self, request: Request[Any], problem: Problem) -> None:
        store = self._parts.store
        if isinstance(request, messages.DeleteCheckpoint):
            self._deletions.clear()
        if problem.code is ProblemCode.CANCELLED:
            store.notice(Notice(level="info", text=message("Canceled. Nothing was changed.")))
        elif not isinstance(request, QUESTIONS):
            store.set_problem(problem)
        if isinstance(request, _CHANGE_CHECKPOINTS):
            self._list()

    def _reclaimed(self, reclaimed: messages.Reclaimed) -> Message:
        parts = [
            _memory_reclaimed(reclaimed.memory_before, reclaimed.memory_after),
            _disk_reclaimed(reclaimed.disk_before, reclaimed.disk_after),
        ]
        known = tuple(part for part in parts if part is not None)
        if not known:
            return message("Reclaimed. The amount is unknown.")
        return message("Reclaimed. {figures}", figures=known)


def _memory_reclaimed(before: int | None, after: int | None) -> Message | None:
    if before is None or after is None:
        return None
    if after >= before:
        return message("Memory: nothing to reclaim")
    return message("Memory: {before} → {after}", before=figures.size(before), after=figures.size(after))


def _disk_reclaimed(before: int | None, after: int | None) -> Message | None:
    if before is None or after is None:
        return None
    if after >= before:
        return message("Disk: nothing to reclaim")
    return message("Disk: {before} → {after}", before=figures.size(before), after=figures.size(after))
