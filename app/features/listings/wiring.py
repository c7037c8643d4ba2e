"""Loads the lists of images, volumes and networks: when a page opens, and after events that change its list.

Each list has at most one request in flight. Events during a request cause one more request, after a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QObject, QTimer

from app.features.listings.store import KINDS, ListingStore
from app.links.link_state import LinkState
from app.state.parts import Parts
from backend.api import Problem, ProblemCode, list_images, list_networks, list_volumes, volume_sizes

PAUSE_MS: Final = 300
"""Least time between two requests: removing fifty images causes hundreds of events."""
_JOBS: Final[dict[str, Callable[[Any], Any]]] = {
    "images": list_images,
    "volumes": list_volumes,
    "networks": list_networks,
}


class ListingsWiring(QObject):
    """Connects the pages' visibility and the engine's events to requests for the lists."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._watched: set[str] = set()
        self._stale = set(KINDS)
        self._in_flight: set[str] = set()
        self._adds_up = False
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._request)
        store, link = parts.store, parts.engine_link
        store.intents.watch_listing.connect(self._watch)
        store.intents.refresh.connect(lambda: self._mark_stale(*KINDS))
        store.containers_changed.connect(lambda: self._mark_stale(*KINDS))  # they show which containers use an entry
        store.engine_changed.connect(self._on_engine)
        link.happened.connect(lambda kind: self._mark_stale(f"{kind}s"))

    def _watch(self, kind: str, visible: bool) -> None:
        if visible:
            self._watched.add(kind)
            self._request()
        else:
            self._watched.discard(kind)

    def _on_engine(self) -> None:
        link = self._parts.store.engine_link
        if link is LinkState.UP:
            self._mark_stale(*KINDS)
        elif link is LinkState.OFF:
            self._parts.store.part(ListingStore).clear()

    def _mark_stale(self, *kinds: str) -> None:
        """Mark lists as changed; the visible ones are loaded again."""
        self._stale.update(kind for kind in kinds if kind in KINDS)
        if not self._pause.isActive():
            self._pause.start()

    def _request(self) -> None:
        if self._parts.store.engine_link is not LinkState.UP:
            return
        for kind in self._watched & self._stale - self._in_flight:
            self._stale.discard(kind)
            self._in_flight.add(kind)
            self._parts.engine_link.run(_JOBS[kind], partial(self._on_list, kind))
            if kind == "volumes" and not self._adds_up:
                self._adds_up = True
                self._parts.engine_link.run(volume_sizes, self._on_sizes)

    def _on_list(self, kind: str, answer: Any) -> None:
        self._in_flight.discard(kind)
        listings = self._parts.store.part(ListingStore)
        if not isinstance(answer, Problem):
            listings.set_entries(kind, answer)
        else:
            # The link reports a lost engine itself, and reconnecting causes another request.
            self._stale.add(kind)
            if answer.code is not ProblemCode.CANCELLED:
                listings.set_problem(kind, answer)
        if self._stale & self._watched and not isinstance(answer, Problem):
            self._mark_stale()

    def _on_sizes(self, answer: dict[str, int] | Problem) -> None:
        self._adds_up = False
        # Without sizes the column is empty; the list is shown anyway.
        if not isinstance(answer, Problem):
            self._parts.store.part(ListingStore).set_volume_sizes(answer)
