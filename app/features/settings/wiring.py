"""Connects the settings: requests of the views to the agent, replies to the store."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QObject

from app.links.link_state import LinkState
from app.state.parts import Parts
from app.state.settings_store import REQUESTS, SettingsStore
from backend.api import Phase, Problem, Request, messages

_AT_FIRST: Final = (messages.GetSettings(), messages.GetDaemonFile(), messages.GetContext(), messages.GetAutostart())


class SettingsWiring(QObject):
    """Sends settings requests, and loads all settings when the agent connects."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._phase: Phase | None = None
        self._started = False
        store = parts.store
        store.machine_changed.connect(self._on_machine)
        store.intents.request_agent.connect(self._request)

    def _request(self, request: Request[Any]) -> None:
        assert type(request) in REQUESTS

        def done(answer: object) -> None:
            self._parts.store.part(SettingsStore).take(request, answer)
            if not isinstance(answer, Problem):
                self._start_machine()

        self._parts.machine_link.request(request, done, self)

    def _on_machine(self) -> None:
        """Reload the settings when the agent connects, and when the machine settled in another phase."""
        store = self._parts.store
        phase = store.phase
        before, self._phase = self._phase, phase
        if phase is None or phase is before or store.agent_link is not LinkState.UP:
            return
        if before is None:
            for request in _AT_FIRST:
                self._request(request)
        elif phase.is_settled:
            self._request(messages.GetSettings())
            self._request(messages.GetContext())

    def _start_machine(self) -> None:
        """Start the machine with the window if the preferences say so; once, and never before the first run."""
        store = self._parts.store
        if self._started or store.part(SettingsStore).machine is None:
            return
        self._started = True
        if (
            store.preferences.start_machine
            and store.phase in (Phase.STOPPED, Phase.SUSPENDED)
            and not store.part(SettingsStore).first_run
        ):
            store.intents.start_machine.emit()
