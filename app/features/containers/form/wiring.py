"""Opens the container form, for a new container or an existing one, and shows a notice when it is finished."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import shiboken6
from PySide6.QtCore import QObject

from app.features.containers.form.form import ContainerForm
from app.state.parts import Parts
from app.texts import message, sentences, verbatim
from backend.api import Container, ContainerSpec, Created, Notice, Problem, spec_of

if TYPE_CHECKING:
    from backend.api import EngineClient


class ContainerFormWiring(QObject):
    """Opens one form at a time; another request brings the open form to the front."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._form: ContainerForm | None = None
        parts.store.intents.new_container.connect(self._new)
        parts.store.intents.edit_container.connect(self._edit)

    def _new(self, image: str) -> None:
        self._open(ContainerSpec(image=image), None)

    def _edit(self, container_id: str) -> None:
        container = self._parts.store.container(container_id)
        if container is not None and not self._brought_to_front():
            self._parts.engine_link.run(partial(_spec, container_id=container_id), partial(self._on_spec, container))

    def _on_spec(self, container: Container, answer: ContainerSpec | Problem) -> None:
        if isinstance(answer, Problem):
            self._parts.store.set_problem(answer)
        else:
            self._open(answer, container)

    def _open(self, spec: ContainerSpec, replaces: Container | None) -> None:
        if self._brought_to_front():
            return
        self._form = ContainerForm(self._parts.store, self._parts.window, spec, replaces)
        self._form.finished_with.connect(self._on_created)
        self._form.show()

    def _brought_to_front(self) -> bool:
        if self._form is None or not shiboken6.isValid(self._form):
            return False
        self._form.raise_()
        self._form.activateWindow()
        return True

    def _on_created(self, created: Created) -> None:
        store = self._parts.store
        warnings = [verbatim(warning) for warning in created.warnings]
        if created.kept_as and created.ended_at_once is not None:
            warnings.append(
                message(
                    "The new container exited immediately with code {code}. Check its logs. The old "
                    "container is kept as “{name}”.",
                    code=created.ended_at_once,
                    name=created.kept_as,
                )
            )
        elif created.ended_at_once is not None:
            warnings.append(
                message(
                    "The container exited immediately with code {code}. Check its logs.", code=created.ended_at_once
                )
            )
        if warnings:
            store.notice(Notice(level="warning", text=sentences(*warnings)))
        if created.ended_at_once is not None:
            store.intents.open_container.emit(created.id, "logs")


def _spec(client: EngineClient, *, container_id: str) -> ContainerSpec:
    return spec_of(client, container_id)
