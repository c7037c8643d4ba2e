"""Connects the machine: the agent's snapshots to the store, the user's requests to the agent, the engine's address to
the engine link."""

from __future__ import annotations

import logging
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.links.link_state import LinkState
from app.state.parts import Parts
from backend.api import Action, MachineStatus, Phase, Problem, ProblemCode, Request, StopPolicy, messages

_log = logging.getLogger(__name__)


class MachineWiring(QObject):
    """Sends start, stop, suspend and restart requests, and stores the machine's status."""

    settled = Signal()  # the machine is stopped, suspended, or failed
    refused = Signal()  # the agent refused one of our requests

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        link, store, intents = parts.machine_link, parts.store, parts.store.intents
        link.status_changed.connect(self._on_status)
        link.connected.connect(lambda: store.set_agent_link(LinkState.UP))
        link.lost.connect(self._on_lost)
        link.noticed.connect(store.notice)
        intents.start_machine.connect(lambda: self._request(messages.Start()))
        intents.suspend_machine.connect(lambda: self._stop(StopPolicy.SUSPEND))
        intents.stop_machine.connect(lambda: self._stop(StopPolicy.POWER_DOWN))
        intents.kill_machine.connect(lambda: self._stop(StopPolicy.KILL))
        intents.restart_machine.connect(lambda: self._request(messages.Restart()))
        intents.act_on_problem.connect(self._run_action)

    def _stop(self, policy: StopPolicy) -> None:
        self._parts.store.is_suspending = policy is StopPolicy.SUSPEND
        self._request(messages.Stop(policy=policy))

    def _request(self, request: Request[Any]) -> None:
        def done(answer: object) -> None:
            if isinstance(answer, Problem) and answer.code is not ProblemCode.CANCELLED:
                self._on_refused(request, answer)

        self._parts.machine_link.request(request, done, self)

    def _run_action(self, action: Action) -> None:
        """Run the action that a problem offers."""
        intents = self._parts.store.intents
        match action:
            case Action.START:
                self._request(messages.Start())
            case Action.CONTINUE:
                self._request(messages.Continue())
            case Action.RESTART:
                self._request(messages.Restart())
            case Action.FORCE_RESTART:
                self._request(messages.Restart(kill=True))
            case Action.RESTART_ENGINE:
                intents.request_maintenance.emit(messages.RestartEngine())
            case Action.RECLAIM:
                intents.request_maintenance.emit(messages.Reclaim())
            case Action.DOCTOR:
                intents.show_window.emit()
                intents.show_machine.emit("checks")
                intents.run_checks.emit()

    def _on_status(self, status: MachineStatus) -> None:
        self._parts.store.set_machine(status)
        endpoint = status.endpoint
        # A request to a stopped machine's endpoint would start the machine: use it only while the engine is ready.
        ready = endpoint is not None and endpoint.ready and status.phase in (Phase.RUNNING, Phase.DEGRADED)
        self._parts.engine_link.set_endpoint(endpoint.url if endpoint and ready else None)
        if not status.phase.is_live:
            self.settled.emit()

    def _on_lost(self, problem: Problem) -> None:
        # The engine may still be running: its connection and its containers are kept.
        self._parts.store.set_agent_link(LinkState.RECONNECTING, problem)

    def _on_refused(self, request: Request[Any], problem: Problem) -> None:
        _log.warning("the agent refused %s: %s", request.wire_name, problem.summary)
        self._parts.store.is_suspending = False
        self.refused.emit()
        self._parts.store.set_problem(problem)
