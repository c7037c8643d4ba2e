"""The published ports: asked of the agent every two seconds while their page is shown, and when containers change.

A conflict is shown beside the page's name wherever the user is; while there is one, it is looked at now and then, for
the program that holds the port may end without any container knowing. So is a list that could not be had. A port that
fails later, of a container that has run for long, is told of by the machine's problems or by a notice.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer

from app.features.ports.store import PortsStore
from app.links.link_state import LinkState
from app.state.parts import Parts
from app.ui.ports import is_of_ports
from backend.api import Phase, Problem, ProblemCode, messages

EVERY_MS: Final = 2_000
CONFLICT_EVERY_MS: Final = 15_000
PAUSE_MS: Final = 250
"""The least time between two questions: a project that starts makes dozens of events."""
ANSWER_DEADLINE_MS: Final = 10_000


class PortsWiring(QObject):
    """Lives as long as the window."""

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._watched = False
        self._asking = False
        self._stale = False
        self._phase: Phase | None = None
        self._told: tuple[Problem, ...] = ()
        self._tick = QTimer(self, interval=EVERY_MS)
        self._tick.timeout.connect(self._ask_if_seen)
        self._look_again = QTimer(self, singleShot=True, interval=CONFLICT_EVERY_MS)
        self._look_again.timeout.connect(self._ask)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._ask)
        self._deadline = QTimer(self, singleShot=True, interval=ANSWER_DEADLINE_MS)
        self._deadline.timeout.connect(self._too_late)
        store, link = parts.store, parts.machine_link
        link.lost.connect(self._on_lost)
        link.noticed.connect(self._note)
        store.intents.watch_ports.connect(self._watch)
        store.intents.refresh.connect(self._note)
        store.containers_changed.connect(self._note)
        store.machine_changed.connect(self._on_machine)

    @property
    def _is_up(self) -> bool:
        store = self._parts.store
        return store.agent_link is LinkState.UP and store.phase in (Phase.RUNNING, Phase.DEGRADED)

    def _watch(self, wanted: bool) -> None:
        self._watched = wanted
        if wanted:
            self._tick.start()
            self._ask()
        else:
            self._tick.stop()
            self._look_again_later()

    def _note(self) -> None:
        """The ports are not what they were, most likely."""
        if not self._pause.isActive():
            self._pause.start()

    def _ask_if_seen(self) -> None:
        if not self._parts.window.isMinimized():
            self._ask()

    def _ask(self) -> None:
        if not self._is_up or not self._parts.machine_link.is_up:
            return
        if self._asking:
            self._stale = True
            return
        self._asking = True
        self._stale = False
        self._deadline.start()
        self._parts.machine_link.request(messages.ListPorts(), self._on_ports, self)

    def _on_ports(self, answer: messages.PortList | Problem) -> None:
        self._asking = False
        self._deadline.stop()
        if self._is_up:
            ports = self._parts.store.part(PortsStore)
            if not isinstance(answer, Problem):
                ports.take(answer)
            elif answer.code is not ProblemCode.AGENT_UNREACHABLE:
                # An agent that is lost is told of by itself, and asked again when it is back.
                ports.fail(answer)
        if self._stale:
            self._note()
        self._look_again_later()

    def _look_again_later(self) -> None:
        ports = self._parts.store.part(PortsStore)
        if not self._watched and (ports.conflicts or ports.problem is not None):
            self._look_again.start()

    def _too_late(self) -> None:
        # The next question goes out all the same: each answer is a whole list, whichever it belongs to.
        self._asking = False
        self._parts.store.part(PortsStore).fail(
            Problem(
                code=ProblemCode.AGENT_UNREACHABLE,
                summary=f"The machine's agent has not told of its ports for {ANSWER_DEADLINE_MS // 1000} seconds.",
                hint="See the agent's log: wherry logs agent",
                retryable=True,
            )
        )
        self._look_again_later()

    def _on_lost(self, _problem: Problem) -> None:
        self._asking = False
        self._deadline.stop()

    def _on_machine(self) -> None:
        store = self._parts.store
        if store.agent_link is not LinkState.UP:
            self._phase = None
            return
        before, self._phase = self._phase, store.phase
        told = tuple(filter(is_of_ports, store.machine.problems)) if store.machine is not None else ()
        if not self._is_up:
            store.part(PortsStore).clear()
        elif self._phase is not before or told != self._told:
            self._note()
        self._told = told
