"""Upkeep: checkpoints, updates, the disk, memory. What views ask goes to the agent, its answers to the store.

The list of checkpoints is read anew when somebody looks at it and after whatever may have changed it: an operation
that ended (by whomever it was begun), a machine that came to rest in another phase.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from PySide6.QtCore import QObject

from app.links.link_state import LinkState
from app.state.maintenance_store import QUESTIONS, REQUESTS, UpkeepStore
from app.state.parts import Parts
from app.texts import text
from app.ui import figures
from backend.api import Notice, OperationStatus, Phase, Problem, ProblemCode

_ENDED: Final = {
    "checkpoints.create": "upkeep.done.create",
    "checkpoints.restore": "upkeep.done.restore",
    "update.apply": "upkeep.done.update",
    "disk.grow": "upkeep.done.grow",
    "disk.move": "upkeep.done.move",
    "reset": "upkeep.done.reset",
    "engine.restart": "upkeep.done.engine",
}
"""What is said when it is done: by then the user looks at something else."""


class UpkeepWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._watched = False
        self._operation: OperationStatus | None = None
        self._offer: str | None = None
        self._phase: Phase | None = None
        self._deletions: deque[dict[str, Any]] = deque()
        link, store = parts.machine_link, parts.store
        link.answered.connect(self._on_answered)
        link.replied.connect(self._on_replied)
        store.machine_changed.connect(self._on_machine)
        store.intents.ask_upkeep.connect(self._ask)
        store.intents.watch_checkpoints.connect(self._watch)

    def _ask(self, name: str, args: dict[str, Any]) -> None:
        assert name in REQUESTS
        if name == "checkpoints.delete" and name in self._parts.store.part(UpkeepStore).asked:
            self._deletions.append(args)  # one at a time: the agent refuses a second one meanwhile
            return
        self._parts.store.part(UpkeepStore).begin(name)
        self._parts.machine_link.request(name, **args)

    def _watch(self, wanted: bool) -> None:
        self._watched = wanted
        if wanted:
            self._list()

    def _list(self) -> None:
        store = self._parts.store
        if (
            self._watched
            and store.agent_link is LinkState.UP
            and "checkpoints.list" not in store.part(UpkeepStore).asked
        ):
            self._ask("checkpoints.list", {})

    def _on_machine(self) -> None:
        store = self._parts.store
        machine, phase = store.machine, store.phase
        if machine is None or phase is None:
            self._phase = None  # what is said when the agent is back is news, even if it is the same
            return
        before, self._operation = self._operation, machine.operation
        moved, self._phase = phase is not self._phase, phase
        if (before is not None and machine.operation is None) or (moved and phase.is_settled):
            self._list()
        offered, self._offer = machine.image_offer != self._offer, machine.image_offer
        if offered:
            self._ask("update.check", {})

    def _on_answered(self, name: str, result: dict[str, Any]) -> None:
        if name not in REQUESTS:
            return
        store = self._parts.store
        problem = store.part(UpkeepStore).take(name, result)
        if problem is not None:
            if name not in QUESTIONS:
                store.set_problem(problem)
            return
        if name == "reclaim":
            store.notice(Notice(level="info", text=self._reclaimed()))
        elif name == "disk.grow" and result.get("now") is False:
            store.notice(Notice(level="info", text=text("upkeep.done.grow-later")))
        elif name in _ENDED:
            store.notice(Notice(level="info", text=text(_ENDED[name])))
        if name == "checkpoints.delete" and self._deletions:
            self._ask(name, self._deletions.popleft())
        elif name.startswith("checkpoints.") and name != "checkpoints.list":
            self._list()
        if name == "update.apply":
            self._ask("update.check", {})
        if name in ("disk.grow", "disk.move", "reset"):
            self._parts.machine_link.request("config.get")

    def _on_replied(self, name: str, problem: Problem | None) -> None:
        if problem is None or name not in REQUESTS:
            return
        store = self._parts.store
        if name == "checkpoints.delete":
            self._deletions.clear()
        store.part(UpkeepStore).refuse(name, problem)
        if problem.code is ProblemCode.CANCELLED:
            store.notice(Notice(level="info", text=text("upkeep.cancelled")))
        elif name not in QUESTIONS:
            store.set_problem(problem)
        if name.startswith("checkpoints.") and name != "checkpoints.list":
            self._list()

    def _reclaimed(self) -> str:
        found = self._parts.store.part(UpkeepStore).reclaimed
        assert found is not None
        parts = [
            text(f"upkeep.reclaimed.{kind}", before=figures.size(before), after=figures.size(after))
            if after < before
            else text(f"upkeep.reclaimed.{kind}.nothing")
            for kind, before, after in (
                ("memory", found.memory_before, found.memory_after),
                ("disk", found.disk_before, found.disk_after),
            )
            if before is not None and after is not None
        ]
        return text("upkeep.reclaimed", figures=", ".join(parts)) if parts else text("upkeep.reclaimed.unknown")
