"""How often containers were started again by the engine. The list does not tell, and to inspect all would be dear.

So only those are inspected that restart right now, or run for much less time than they exist; a few at a time, each
once for every run of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer

from app.features.containers.list.columns import span_s
from app.state.parts import Parts
from backend.api import Container, ContainerState, Problem, WherryError

if TYPE_CHECKING:
    from backend.api import EngineClient

AT_A_TIME: Final = 8
"""More wait for the next list: the engine has other things to do."""
LOOK_AFTER_MS: Final = 700
"""So that a list that changes is painted first, and looked through once for many changes."""
_MARGIN_S: Final = 120


class RestartsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._store = parts.store
        self._link = parts.engine_link
        self._asked: dict[str, str] = {}
        """By container id, the run that was inspected."""
        self._busy = False
        self._soon = QTimer(self, singleShot=True, interval=LOOK_AFTER_MS)
        self._soon.timeout.connect(self._look)
        self._store.containers_changed.connect(self._look_soon)

    def _look_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _look(self) -> None:
        containers = self._store.containers or ()
        known = {container.id for container in containers}
        self._asked = {key: run for key, run in self._asked.items() if key in known}
        counts = {key: count for key, count in self._store.restart_counts.items() if key in known}
        self._store.set_restart_counts(counts)
        if self._busy:
            return
        wanted = [entry for entry in containers if worth_asking(entry) and self._asked.get(entry.id) != _run_of(entry)]
        # Those that restart now first: somebody is looking for them.
        wanted.sort(key=lambda entry: entry.state is not ContainerState.RESTARTING)
        chosen = wanted[:AT_A_TIME]
        if not chosen:
            return
        self._asked |= {entry.id: _run_of(entry) for entry in chosen}
        self._busy = True
        ids = [entry.id for entry in chosen]
        self._link.run(lambda client: _counts(client, ids), self._on_counts)

    def _on_counts(self, answer: Mapping[str, int] | Problem) -> None:
        self._busy = False
        if isinstance(answer, Problem):
            # The link tells of it; the column stays as it was, and the next list asks again.
            self._asked.clear()
            return
        self._store.set_restart_counts({**self._store.restart_counts, **answer})


def worth_asking(container: Container) -> bool:
    """Whether it restarts now, or may have been started more than once."""
    if container.state is ContainerState.RESTARTING:
        return True
    up_s = span_s(container.status)
    if container.state is not ContainerState.RUNNING or up_s is None:
        return False
    # The engine rounds: "2 hours" may be nearly three.
    return time.time() - container.created > up_s * 2 + _MARGIN_S


def _run_of(container: Container) -> str:
    """A word that changes when the container is started again, as far as the list shows it."""
    up_s = span_s(container.status) or 0
    # To the hour: the sentence grows older by itself, and that is no new run.
    return container.status if container.state is ContainerState.RESTARTING else str(int((time.time() - up_s) // 3600))


def _counts(client: EngineClient, container_ids: list[str]) -> dict[str, int]:
    found = {}
    for container_id in container_ids:
        try:
            found[container_id] = client.inspect(container_id).run.restart_count
        except WherryError as error:
            if error.problem.retryable:
                raise
            # It was removed meanwhile: nobody will look for it.
    return found
