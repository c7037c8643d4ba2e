"""Settings: what the agent knows of them into the store, what the user changes to the agent."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QObject

from app.links.link_state import LinkState
from app.state.parts import Parts
from app.state.settings_store import REQUESTS, SettingsStore
from backend.api import Phase, Problem

_AT_FIRST: Final = ("config.get", "daemon.get", "context.get", "autostart.get")


class SettingsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._phase: Phase | None = None
        self._started = False
        link, store = parts.machine_link, parts.store
        link.answered.connect(self._on_answered)
        link.replied.connect(self._on_replied)
        store.machine_changed.connect(self._on_machine)
        store.intents.ask_agent.connect(self._ask)

    def _ask(self, name: str, args: dict[str, Any]) -> None:
        assert name in REQUESTS
        self._parts.machine_link.request(name, **args)

    def _on_machine(self) -> None:
        """Read everything anew when the agent is found, and when the machine has come to rest in another phase."""
        store = self._parts.store
        phase = store.phase
        before, self._phase = self._phase, phase
        if phase is None or phase is before or store.agent_link is not LinkState.UP:
            return
        if before is None:
            for name in _AT_FIRST:
                self._parts.machine_link.request(name)
        elif phase.is_settled:
            self._parts.machine_link.request("config.get")
            self._parts.machine_link.request("context.get")

    def _on_answered(self, name: str, result: dict[str, Any]) -> None:
        if name in REQUESTS:
            self._parts.store.part(SettingsStore).take(name, result)
            self._start_machine()

    def _start_machine(self) -> None:
        """Once, where the user wants the machine to start with the window; never before the first run's questions."""
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

    def _on_replied(self, name: str, problem: Problem | None) -> None:
        if problem is not None and name in REQUESTS:
            self._parts.store.part(SettingsStore).refuse(name, problem)
