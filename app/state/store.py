"""The window's state, which all views read, and the signals for what the user requests. Does no I/O itself.

The wirings write replies of the agent and the engine here. Views read it and emit the user's requests through
`Intents`. A signal is emitted only if a value differs, so a view may repaint on every signal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.links.link_state import LinkState
from app.state.preferences import Preferences
from app.state.settings_store import SettingsStore
from backend.api import Container, ContainerAction, MachineStatus, Notice, Phase, Problem

Part = TypeVar("Part", bound=QObject)
STOPS: Final = (ContainerAction.STOP, ContainerAction.RESTART)
SLOW_STOP_S: Final = 10.0
"""Time after which a stop is shown as slow, with its duration and a way to kill the container."""


class Intents(QObject):
    """Signals for the user's requests. Views emit them, the wirings connect them."""

    start_machine = Signal()
    stop_machine = Signal()
    restart_machine = Signal()
    kill_machine = Signal()
    suspend_machine = Signal()
    act_on_problem = Signal(object)  # Action
    request_maintenance = Signal(object)  # an instance of one of maintenance_store.REQUESTS
    show_machine = Signal(str)  # a part of the Machine page: "overview", "checkpoints" or "checks"
    act_on_containers = Signal(tuple, object)  # ids, ContainerAction
    open_container = Signal(str, str)  # container id, name of a tab ("" for the first)
    show_container = Signal(str)  # container id: open it, unless it is open already
    do_with_container = Signal(str, str)  # name of an entry of the container actions, container id
    copy_as_run = Signal(tuple)  # container ids
    new_container = Signal(str)  # open the form, for an image ("" for none yet)
    edit_container = Signal(str)  # container id: open its settings in the form, to recreate it
    request_engine = Signal(object, object)  # job(EngineClient), done(result | Problem), as in EngineLink.run
    close_container = Signal()  # back to the list
    follow_logs = Signal(str, tuple)  # key of a log pane, ids of the containers whose logs it shows
    load_older_logs = Signal(str)  # key of a log pane: read its containers' logs again, from much further back
    open_url = Signal(str)
    refresh = Signal()
    run_checks = Signal()  # all diagnostics
    make_bundle = Signal(str)  # target path: create a support bundle there
    cancel_bundle = Signal()
    check_network = Signal(str)  # an image to test with, or "": open the network check
    run_network_check = Signal(str)  # an image to test with, or "": start the network check
    cancel_network_check = Signal()
    fix_checks = Signal(tuple)  # ids of checks: apply their automatic fixes
    watch_checkpoints = Signal(bool)  # whether the list of checkpoints is visible
    watch_ports = Signal(bool)  # whether the list of ports is visible
    watch_listing = Signal(str, bool)  # "images", "volumes" or "networks"; whether that list is visible
    show_window = Signal()
    show_page = Signal(str)  # name of a page of the main window
    search = Signal()  # open the palette
    show_help = Signal(str)  # name of a help topic, "" for the open page's topic
    show_setting = Signal(str)  # key of a setting to open on the Settings page
    request_agent = Signal(object)  # an instance of one of settings_store.REQUESTS
    quit = Signal()  # asks what to do with the machine, unless the preferences say
    quit_only = Signal()  # the machine keeps running
    suspend_and_quit = Signal()
    stop_and_quit = Signal()


class AppStore(QObject):
    """The state. Only the wirings call the `set_` methods, in the GUI thread."""

    machine_changed = Signal()  # machine status or the agent link's state
    engine_changed = Signal()  # engine link's state or its problem
    containers_changed = Signal()
    restart_counts_changed = Signal()
    pending_changed = Signal()
    problem_changed = Signal()
    noticed = Signal(object)  # Notice

    def __init__(self, parent: QObject | None = None, *, preferences: Preferences | None = None) -> None:
        super().__init__(parent)
        self.intents = Intents(self)
        self.preferences = preferences or Preferences(parent=self)
        self._parts: dict[type[QObject], QObject] = {}
        self._machine: MachineStatus | None = None
        self._agent_link = LinkState.CONNECTING
        self._agent_problem: Problem | None = None
        self._engine_link = LinkState.OFF
        self._engine_problem: Problem | None = None
        self._containers: tuple[Container, ...] | None = None
        self._by_id: dict[str, Container] = {}
        self._running: tuple[Container, ...] = ()
        self._restart_counts: dict[str, int] = {}
        self._pending: dict[str, ContainerAction] = {}
        self._pending_since: dict[str, float] = {}
        self._problem: Problem | None = None
        self._watch_stops = QTimer(self, interval=1000)
        self._watch_stops.timeout.connect(self._show_slow_stops)
        self.is_suspending = False
        """Whether the machine is stopping because this window requested a suspend."""

    def part(self, kind: type[Part]) -> Part:
        """The store of one feature, created on first use; always the same object for one `kind`.

        Stores are looked up by class, so that a feature can be added without a change to this module.
        """
        part = self._parts.get(kind)
        if not isinstance(part, kind):
            part = self._parts[kind] = kind(self)
        return part

    @property
    def machine(self) -> MachineStatus | None:
        """The agent's last snapshot of the machine; None before the first one."""
        return self._machine

    @property
    def agent_link(self) -> LinkState:
        """State of the connection to the agent."""
        return self._agent_link

    @property
    def agent_problem(self) -> Problem | None:
        """Why the agent cannot be reached; None if it can."""
        return self._agent_problem

    @property
    def engine_link(self) -> LinkState:
        """State of the connection to the Docker engine."""
        return self._engine_link

    @property
    def engine_problem(self) -> Problem | None:
        """Why the engine cannot be reached; None if it can."""
        return self._engine_problem

    @property
    def containers(self) -> tuple[Container, ...] | None:
        """The engine's last list of containers; None before the first one, and while the machine is down."""
        return self._containers

    @property
    def running(self) -> tuple[Container, ...]:
        """The containers of the last list that are running or paused."""
        return self._running

    @property
    def pending(self) -> Mapping[str, ContainerAction]:
        """Actions in progress, by container id."""
        return MappingProxyType(self._pending)

    @property
    def slow_stops(self) -> Mapping[str, float]:
        """Seconds since a stop or restart was requested, by container id, for those that take long."""
        now = time.monotonic()
        return {
            container_id: now - since
            for container_id, since in self._pending_since.items()
            if now - since >= SLOW_STOP_S and self._pending.get(container_id) in STOPS
        }

    def is_free(self, container_id: str, action: ContainerAction) -> bool:
        """Whether an action can be requested now: none is in progress, or it is a kill of what does not stop."""
        pending = self._pending.get(container_id)
        return pending is None or (action is ContainerAction.KILL and pending in STOPS)

    @property
    def problem(self) -> Problem | None:
        """Why the user's last request failed, until dismissed."""
        return self._problem

    @property
    def phase(self) -> Phase | None:
        """The machine's phase; None while the agent is not connected."""
        return self._machine.phase if self._machine and self._agent_link is LinkState.UP else None

    @property
    def machine_keeps_running(self) -> bool:
        """Whether a machine is running that will outlive the window."""
        return self._machine is not None and self._machine.phase.is_live

    def container(self, container_id: str) -> Container | None:
        """The container with this id in the last list, if any."""
        return self._by_id.get(container_id)

    @property
    def restart_counts(self) -> Mapping[str, int]:
        """How often the engine restarted each container by its restart policy, by container id, where known."""
        return MappingProxyType(self._restart_counts)

    def set_machine(self, status: MachineStatus) -> None:
        """Store the agent's newest snapshot."""
        if status != self._machine:
            self._machine = status
            if status.phase.is_settled and not status.phase.is_live:
                self.is_suspending = False
            self.machine_changed.emit()
            self.part(SettingsStore).note_phase(status.phase)

    def set_agent_link(self, state: LinkState, problem: Problem | None = None) -> None:
        """Store the state of the connection to the agent."""
        if (state, problem) != (self._agent_link, self._agent_problem):
            self._agent_link, self._agent_problem = state, problem
            self.machine_changed.emit()

    def set_engine_link(self, state: LinkState, problem: Problem | None = None) -> None:
        """Store the state of the connection to the engine. OFF also clears the containers: none can be acted on."""
        if (state, problem) != (self._engine_link, self._engine_problem):
            self._engine_link, self._engine_problem = state, problem
            if state is LinkState.OFF:
                self._set_containers(None)
            self.engine_changed.emit()

    def set_containers(self, containers: tuple[Container, ...]) -> None:
        """Store the engine's newest list."""
        self._set_containers(containers)

    def _set_containers(self, containers: tuple[Container, ...] | None) -> None:
        if containers != self._containers:
            self._containers = containers
            self._by_id = {container.id: container for container in containers or ()}
            self._running = tuple(container for container in containers or () if container.state.is_up)
            self.containers_changed.emit()

    def set_restart_counts(self, counts: dict[str, int]) -> None:
        """Replace all known restart counts."""
        if counts != self._restart_counts:
            self._restart_counts = counts
            self.restart_counts_changed.emit()

    def set_pending(self, container_id: str, action: ContainerAction | None) -> None:
        """Record an action in progress on a container, or with None its end."""
        if action is None:
            self._pending.pop(container_id, None)
            self._pending_since.pop(container_id, None)
        else:
            self._pending[container_id] = action
            self._pending_since[container_id] = time.monotonic()
        self._watch_stops.start() if any(one in STOPS for one in self._pending.values()) else self._watch_stops.stop()
        self.pending_changed.emit()

    def end_pending(self, container_id: str, action: ContainerAction) -> None:
        """Record the end of an action, unless another one has replaced it: a kill replaces a stop."""
        if self._pending.get(container_id) is action:
            self.set_pending(container_id, None)

    def _show_slow_stops(self) -> None:
        if self.slow_stops:
            self.pending_changed.emit()

    def set_problem(self, problem: Problem | None) -> None:
        """Set the problem of the user's last request; None dismisses it."""
        if problem != self._problem:
            self._problem = problem
            self.problem_changed.emit()

    def notice(self, notice: Notice) -> None:
        """Emit `noticed` with a message about a single event."""
        self.noticed.emit(notice)
