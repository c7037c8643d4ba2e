"""The figures: asked for while the window can be seen, kept while the machine runs."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QTimer

from app.features.stats.store import StatsStore
from app.links.link_state import LinkState
from app.state.parts import Parts
from backend.api import Phase, Problem, StatsPush, messages

LINGER_MS: Final = 30_000
"""They go on for so long after the window is hidden: one that is only covered or looked away from loses no history."""


class StatsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._subscribed = False
        self._leave = QTimer(self, singleShot=True, interval=LINGER_MS)
        self._leave.timeout.connect(lambda: self._subscribe(False))
        link = parts.machine_link
        link.stats_changed.connect(self._on_stats)
        link.connected.connect(self._on_connected)
        link.lost.connect(self._on_lost)
        parts.store.machine_changed.connect(self._on_machine)
        parts.window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange):
            self._look()
        return super().eventFilter(watched, event)

    def _look(self) -> None:
        window = self._parts.window
        if window.isVisible() and not window.isMinimized():
            self._leave.stop()
            self._subscribe(True)
        elif self._subscribed and not self._leave.isActive():
            self._leave.start()

    def _subscribe(self, wanted: bool) -> None:
        link = self._parts.machine_link
        if wanted is not self._subscribed and link.is_up:
            self._subscribed = wanted
            request = messages.SubscribeStats() if wanted else messages.UnsubscribeStats()
            link.request(request, self._on_subscribed if wanted else _ignore, self)

    def _on_connected(self) -> None:
        self._subscribed = False  # the agent forgot us with the connection
        self._look()

    def _on_lost(self, _problem: Problem) -> None:
        self._subscribed = False

    def _on_stats(self, push: StatsPush) -> None:
        stats = self._parts.store.part(StatsStore)
        if push.sample is not None:
            stats.add(push.sample)
        elif push.problem is not None:
            stats.fail(push.problem)

    def _on_subscribed(self, answer: messages.Done | Problem) -> None:
        # An agent of an older version refuses; one that was lost comes back and is asked again.
        store = self._parts.store
        if isinstance(answer, Problem) and store.agent_link is LinkState.UP:
            store.part(StatsStore).fail(answer)

    def _on_machine(self) -> None:
        if self._parts.store.phase in (Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED, Phase.PREPARING, Phase.BOOTING):
            self._parts.store.part(StatsStore).clear()


def _ignore(_answer: object) -> None:
    """For a request whose answer changes nothing."""
