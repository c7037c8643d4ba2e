"""Loads restart counts of containers, which the engine's list does not include.

Inspecting all containers would be expensive. So only containers that are restarting, or have run for much less time
than they exist, are inspected; a few at a time, and once for each run.
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
"""Maximum number of containers inspected at a time; others wait for the next list."""
CHECK_AFTER_MS: Final = 700
"""Delay, so that the list is painted first, and checked once for many changes."""
_MARGIN_S: Final = 120


class RestartsWiring(QObject):
    """Inspects containers after changes of the list, and stores their restart counts."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._store = parts.store
        self._link = parts.engine_link
        self._inspected: dict[str, str] = {}
        """The inspected run by container id."""
        self._busy = False
        self._soon = QTimer(self, singleShot=True, interval=CHECK_AFTER_MS)
        self._soon.timeout.connect(self._paint_state)
        self._store.containers_changed.connect(self._check_soon)

    def _check_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _paint_state(self) -> None:
        containers = self._store.containers or ()
        ids_now = {container.id for container in containers}
        self._inspected = {key: run for key, run in self._inspected.items() if key in ids_now}
        counts = {key: count for key, count in self._store.restart_counts.items() if key in ids_now}
        self._store.set_restart_counts(counts)
        if self._busy:
            return
        candidates = [
            entry for entry in containers if needs_inspection(entry) and self._inspected.get(entry.id) != _run_of(entry)
        ]
        # Restarting containers first, because the user is probably interested in them.
        candidates.sort(key=lambda entry: entry.state is not ContainerState.RESTARTING)
        chosen = candidates[:AT_A_TIME]
        if not chosen:
            return
        self._inspected |= {entry.id: _run_of(entry) for entry in chosen}
        self._busy = True
        ids = [entry.id for entry in chosen]
        self._link.run(lambda client: _counts(client, ids), self._on_counts)

    def _on_counts(self, answer: Mapping[str, int] | Problem) -> None:
        self._busy = False
        if isinstance(answer, Problem):
            # The link reports the error; the column is unchanged, and the next list causes another attempt.
            self._inspected.clear()
            return
        self._store.set_restart_counts({**self._store.restart_counts, **answer})


def needs_inspection(container: Container) -> bool:
    """Whether the container is restarting, or may have been started more than once."""
    if container.state is ContainerState.RESTARTING:
        return True
    up_s = span_s(container.status)
    if container.state is not ContainerState.RUNNING or up_s is None:
        return False
    # The engine rounds down: "2 hours" may be nearly three.
    return time.time() - container.created > up_s * 2 + _MARGIN_S


def _run_of(container: Container) -> str:
    """A value that changes when the container is started again, as far as the list shows it."""
    up_s = span_s(container.status) or 0
    # Rounded to the hour, because the duration in the text is imprecise and grows without a new run.
    return container.status if container.state is ContainerState.RESTARTING else str(int((time.time() - up_s) // 3600))


def _counts(client: EngineClient, container_ids: list[str]) -> dict[str, int]:
    urls = {}
    for container_id in container_ids:
        try:
            urls[container_id] = client.inspect(container_id).run.restart_count
        except WherryError as error:
            if error.problem.retryable:
                raise
            # It was removed meanwhile, so its count is not needed.
    return urls
