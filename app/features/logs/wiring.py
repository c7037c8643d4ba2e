"""Connects log panes with feeds, and feeds with the engine link."""

from __future__ import annotations

import threading
from pathlib import Path

from PySide6.QtCore import QObject

from app.features.logs.data.buffer import MAX_SOURCES, LogBuffer
from app.features.logs.data.feed import FIRST_LINES, TAIL_LINES, LogFeed
from app.features.logs.data.followed import FollowedLog
from app.features.logs.data.spill import Spill
from app.features.logs.store import LogStore
from app.links.workers import join_threads
from app.state.parts import Parts
from backend.api import Container, user_cache_dir

JOIN_DEADLINE_S = 3.0


class LogsWiring(QObject):
    """Lives as long as the window. MUST be closed with `close`."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._feeds: dict[str, LogFeed] = {}
        self._old: list[threading.Thread] = []
        self._directory: Path = user_cache_dir() / "logs"
        parts.store.intents.follow_logs.connect(self._follow)
        parts.store.intents.load_older_logs.connect(self._load_older)
        parts.engine_link.endpoint_changed.connect(self._on_endpoint)
        parts.engine_link.containers_changed.connect(self._on_containers)

    def close(self) -> None:
        """Close all feeds and wait for their threads."""
        for key in list(self._feeds):
            self._end(key)
        join_threads(self._old, JOIN_DEADLINE_S)

    def _load_older(self, key: str) -> None:
        if (log := self._parts.store.part(LogStore).log(key)) is not None:
            self._follow(key, log.container_ids, tail=TAIL_LINES)

    def _follow(self, key: str, container_ids: tuple[str, ...], *, tail: int = FIRST_LINES) -> None:
        store = self._parts.store
        self._end(key)
        chosen = container_ids[:MAX_SOURCES]
        if not chosen:
            store.part(LogStore).put(key, None)
            return
        known = {entry.id: entry.name for entry in store.containers or ()}
        names = tuple(known.get(each, each[:12]) for each in chosen)
        log = FollowedLog(chosen, names, LogBuffer(Spill(self._directory)))
        self._feeds[key] = LogFeed(log, self._parts.engine_link.url, store.containers or (), tail=tail)
        store.part(LogStore).put(key, log)

    def _end(self, key: str) -> None:
        self._old = [thread for thread in self._old if thread.is_alive()]
        if (feed := self._feeds.pop(key, None)) is not None:
            self._old += feed.close()

    def _on_endpoint(self, url: str | None) -> None:
        for feed in self._feeds.values():
            feed.set_url(url)

    def _on_containers(self, containers: tuple[Container, ...]) -> None:
        for feed in self._feeds.values():
            feed.refresh_containers(containers)
