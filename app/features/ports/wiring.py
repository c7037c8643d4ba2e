"""Loads the list of published ports: every two seconds while their page is visible, and when containers change.

The number of conflicts is shown in the rail on every page. While there is a conflict, or the last request failed, the
list is reloaded every CONFLICT_EVERY_MS, because the program that holds the port can exit without any event. A port
that fails while its container runs is reported by the machine's problems or by a notice, which reload the list too.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer

from app.features.ports.store import PortsStore
from app.links.link_state import LinkState
from app.state.parts import Parts
from app.texts import message
from app.ui.ports import is_of_ports
from backend.api import Phase, Problem, ProblemCode, messages

EVERY_MS: Final = 2_000
CONFLICT_EVERY_MS: Final = 15_000
PAUSE_MS: Final = 250
"""Least time between two requests: starting a project causes dozens of events."""
ANSWER_DEADLINE_MS: Final = 10_000


class PortsWiring(QObject):
    """Connects the page's visibility, the containers and the machine to requests for the list."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._visible = False
        self._in_flight = False
        self._stale = False
        self._phase: Phase | None = None
        self._port_problems: tuple[Problem, ...] = ()
        self._tick = QTimer(self, interval=EVERY_MS)
        self._tick.timeout.connect(self._request_if_visible)
        self._retry = QTimer(self, singleShot=True, interval=CONFLICT_EVERY_MS)
        self._retry.timeout.connect(self._request)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._request)
        self._deadline = QTimer(self, singleShot=True, interval=ANSWER_DEADLINE_MS)
        self._deadline.timeout.connect(self._on_timeout)
        store, link = parts.store, parts.machine_link
        link.lost.connect(self._on_lost)
        link.noticed.connect(self._reload_soon)
        store.intents.watch_ports.connect(self._on_visible)
        store.intents.refresh.connect(self._reload_soon)
        store.containers_changed.connect(self._reload_soon)
        store.machine_changed.connect(self._on_machine)

    @property
    def _is_up(self) -> bool:
        store = self._parts.store
        return store.agent_link is LinkState.UP and store.phase in (Phase.RUNNING, Phase.DEGRADED)

    def _on_visible(self, visible: bool) -> None:
        self._visible = visible
        if visible:
            self._tick.start()
            self._request()
        else:
            self._tick.stop()
            self._retry_later()

    def _reload_soon(self) -> None:
        """Reload soon, because the ports have probably changed."""
        if not self._pause.isActive():
            self._pause.start()

    def _request_if_visible(self) -> None:
        if not self._parts.window.isMinimized():
            self._request()

    def _request(self) -> None:
        if not self._is_up or not self._parts.machine_link.is_up:
            return
        if self._in_flight:
            self._stale = True
            return
        self._in_flight = True
        self._stale = False
        self._deadline.start()
        self._parts.machine_link.request(messages.ListPorts(), self._on_ports, self)

    def _on_ports(self, answer: messages.PortList | Problem) -> None:
        self._in_flight = False
        self._deadline.stop()
        if self._is_up:
            ports = self._parts.store.part(PortsStore)
            if not isinstance(answer, Problem):
                ports.take(answer)
            elif answer.code is not ProblemCode.AGENT_UNREACHABLE:
                # The link reports a lost agent itself, and reconnecting causes another request.
                ports.fail(answer)
        if self._stale:
            self._reload_soon()
        self._retry_later()

    def _retry_later(self) -> None:
        ports = self._parts.store.part(PortsStore)
        if not self._visible and (ports.conflicts or ports.problem is not None):
            self._retry.start()

    def _on_timeout(self) -> None:
        # The next request is sent anyway: every reply is a complete list, so a late one does no harm.
        self._in_flight = False
        self._parts.store.part(PortsStore).fail(
            Problem(
                code=ProblemCode.AGENT_UNREACHABLE,
                summary=message(
                    "The machine's agent sent no port list within {seconds} s.",
                    seconds=ANSWER_DEADLINE_MS // 1000,
                ),
                hint=message("Check the agent's log: wherry logs agent"),
                retryable=True,
            )
        )
        self._retry_later()

    def _on_lost(self, _problem: Problem) -> None:
        self._in_flight = False
        self._deadline.stop()

    def _on_machine(self) -> None:
        store = self._parts.store
        if store.agent_link is not LinkState.UP:
            self._phase = None
            return
        before, self._phase = self._phase, store.phase
        port_problems = tuple(filter(is_of_ports, store.machine.problems)) if store.machine is not None else ()
        if not self._is_up:
            store.part(PortsStore).clear()
        elif self._phase is not before or port_problems != self._port_problems:
            self._reload_soon()
        self._port_problems = port_problems
