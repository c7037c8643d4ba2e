"""The container list: what the engine tells into the store, what the user asks of containers to the engine."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.wiring.parts import Parts
from backend.api import ContainerAction, Problem


class ContainersWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        link, store, intents = parts.engine_link, parts.store, parts.store.intents
        link.state_changed.connect(store.set_engine_link)
        link.containers_changed.connect(store.set_containers)
        link.action_started.connect(store.set_pending)
        link.action_finished.connect(self._on_action_finished)
        intents.act_on_containers.connect(self._act)
        intents.refresh.connect(link.refresh)

    def _act(self, container_ids: tuple[str, ...], action: ContainerAction) -> None:
        for container_id in container_ids:
            self._parts.engine_link.act(container_id, action)

    def _on_action_finished(self, container_id: str, _action: ContainerAction, problem: Problem | None) -> None:
        self._parts.store.set_pending(container_id, None)
        if problem is not None:
            self._parts.store.set_problem(problem)
