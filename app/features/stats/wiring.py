"""Subscribes to resource statistics while the window is visible; the history is kept while the machine runs."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QTimer

from app.features.stats.store import StatsStore
from app.links.link_state import LinkState
from app.state.parts import Parts
from backend.api import Phase, Problem, StatsPush, messages

LINGER_MS: Final = 30_000
"""How long the subscription continues after the window was hidden, so that a short absence leaves no gap."""


class StatsWiring(QObject):
    """Connects the window's visibility to the subscription, and its samples to the store."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._subscribed = False
        self._linger = QTimer(self, singleShot=True, interval=LINGER_MS)
        self._linger.timeout.connect(lambda: self._subscribe(False))
        link = parts.machine_link
        link.stats_changed.connect(self._on_stats)
        link.connected.connect(self._on_connected)
        link.lost.connect(self._on_lost)
        parts.store.machine_changed.connect(self._on_machine)
        parts.window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange):
            self._check_visibility()
        return super().eventFilter(watched, event)

    def _check_visibility(self) -> None:
        window = self._parts.window
        if window.isVisible() and not window.isMinimized():
            self._linger.stop()
            self._subscribe(True)
        elif self._subscribed and not self._linger.isActive():
            self._linger.start()

    def _subscribe(self, subscribe: bool) -> None:
        link = self._parts.machine_link
        if subscribe is not self._subscribed and link.is_up:
            self._subscribed = subscribe
            request = messages.SubscribeStats() if subscribe else messages.UnsubscribeStats()
            link.request(request, self._on_subscribed if subscribe else _ignore, self)

    def _on_connected(self) -> None:
        self._subscribed = False  # the subscription ended with the connection
        self._check_visibility()

    def _on_lost(self, _problem: Problem) -> None:
        self._subscribed = False

    def _on_stats(self, push: StatsPush) -> None:
        stats = self._parts.store.part(StatsStore)
        if push.sample is not None:
            stats.add(push.sample)
        elif push.problem is not None:
            stats.fail(push.problem)

    def _on_subscribed(self, answer: messages.Done | Problem) -> None:
        # An agent of an older version refuses. After a lost connection we subscribe again.
        store = self._parts.store
        if isinstance(answer, Problem) and store.agent_link is LinkState.UP:
            store.part(StatsStore).fail(answer)

    def _on_machine(self) -> None:
        if self._parts.store.phase in (Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED, Phase.PREPARING, Phase.BOOTING):
            self._parts.store.part(StatsStore).clear()


def _ignore(_answer: object) -> None:
    """Callback for a request whose reply is not needed."""
