"""Connects the container list: the engine's list to the store, the user's actions to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from app.features.containers.list.restarts import RestartsWiring
from app.state.parts import Parts
from app.texts import count_message
from backend.api import ContainerAction, Notice, Problem, run_command, spec_of

if TYPE_CHECKING:
    from backend.api import EngineClient


class ContainersWiring(QObject):
    """Stores the engine's list, and runs actions on containers."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        link, store, intents = parts.engine_link, parts.store, parts.store.intents
        link.state_changed.connect(store.set_engine_link)
        link.containers_changed.connect(store.set_containers)
        link.action_started.connect(store.set_pending)
        link.action_finished.connect(self._on_action_finished)
        intents.act_on_containers.connect(self._act)
        intents.request_engine.connect(link.run)
        intents.copy_as_run.connect(self._copy_as_run)
        intents.refresh.connect(link.refresh)
        RestartsWiring(parts, self)

    def _act(self, container_ids: tuple[str, ...], action: ContainerAction) -> None:
        for container_id in container_ids:
            self._parts.engine_link.act(container_id, action)

    def _on_action_finished(self, container_id: str, action: ContainerAction, problem: Problem | None) -> None:
        store = self._parts.store
        store.end_pending(container_id, action)
        container = store.container(container_id)
        if action is ContainerAction.KILL and container is not None and not container.state.is_up:
            return  # it stopped a moment before
        if problem is not None:
            store.set_problem(problem)

    def _copy_as_run(self, container_ids: tuple[str, ...]) -> None:
        def commands(client: EngineClient) -> list[str]:
            return [run_command(spec_of(client, container_id)) for container_id in container_ids]

        self._parts.engine_link.run(commands, self._on_commands)

    def _on_commands(self, answer: list[str] | Problem) -> None:
        store = self._parts.store
        if isinstance(answer, Problem):
            store.set_problem(answer)
            return
        QGuiApplication.clipboard().setText("\n".join(answer))
        store.notice(
            Notice(
                level="info",
                text=count_message(
                    "Copied the docker run command of {count} container.",
                    "Copied the docker run commands of {count} containers.",
                    len(answer),
                ),
            )
        )
