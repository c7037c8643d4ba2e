"""What the window knows: the one thing that views read. It asks nobody and opens nothing.

The links write here (through the composition root), views read here and say what the user wants through `Intents`. A
value is replaced whole and announced only if it differs, so a view may repaint on every signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from PySide6.QtCore import QObject, Signal

from app.links.link_state import LinkState
from app.state.preferences import Preferences
from app.state.settings_store import SettingsStore
from backend.api import Container, ContainerAction, MachineStatus, Notice, Phase, Problem

Part = TypeVar("Part", bound=QObject)


class Intents(QObject):
    """What the user asks for. Views emit, the composition root connects."""

    start_machine = Signal()
    stop_machine = Signal()
    restart_machine = Signal()
    kill_machine = Signal()
    suspend_machine = Signal()
    act_on_problem = Signal(object)  # Action
    ask_maintenance = Signal(object)  # one of maintenance_store.REQUESTS
    show_machine = Signal(str)  # a part of the Machine page: "overview", "checkpoints" or "checks"
    act_on_containers = Signal(tuple, object)  # ids, ContainerAction
    open_container = Signal(str, str)  # container id, name of a tab ("" for the first)
    copy_as_run = Signal(tuple)  # container ids
    new_container = Signal(str)  # open the form, for an image ("" for none yet)
    edit_container = Signal(str)  # container id: open the form filled in, to make it anew
    ask_engine = Signal(object, object)  # job(EngineClient), done(its answer | Problem), as EngineLink.run
    close_container = Signal()  # back to the list
    follow_logs = Signal(str, tuple)  # key of a pane, ids of the containers whose log it is to show
    open_url = Signal(str)
    refresh = Signal()
    run_checks = Signal()  # of everything that the machine needs
    make_bundle = Signal(str)  # path of a file: gather what a report of a defect needs
    cancel_bundle = Signal()
    check_network = Signal(str)  # an image that cannot be pulled, "" for none: open the check of the network
    run_network_check = Signal(str)  # the same image: begin
    cancel_network_check = Signal()
    fix_checks = Signal(tuple)  # ids of checks: mend what they found
    watch_checkpoints = Signal(bool)  # whether somebody looks at the list of them
    watch_ports = Signal(bool)  # whether somebody looks at the published ports
    watch_listing = Signal(str, bool)  # "images", "volumes" or "networks": whether somebody looks at it
    show_window = Signal()
    show_page = Signal(str)  # name of a page of the main window
    search = Signal()  # open the palette
    show_help = Signal(str)  # name of a topic of the manual, "" for the one about the open page
    show_setting = Signal(str)  # key of a setting: open its page there
    ask_agent = Signal(object)  # one of settings_store.REQUESTS
    quit = Signal()  # asks what becomes of the machine, unless that was settled
    quit_only = Signal()  # whatever the machine does, it goes on
    suspend_and_quit = Signal()
    stop_and_quit = Signal()


class AppStore(QObject):
    """The state. Only the composition root calls the `set_` methods, in the GUI thread."""

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
        self._problem: Problem | None = None
        self.is_suspending = False
        """Whether the machine is on its way down because this window asked for its suspension."""

    def part(self, kind: type[Part]) -> Part:
        """The store of one feature, made when it is first asked for; always the same for one `kind`.

        The features' stores are found by their class, so that this module knows none of them and a feature can be
        added without a change here.
        """
        found = self._parts.get(kind)
        if not isinstance(found, kind):
            found = self._parts[kind] = kind(self)
        return found

    @property
    def machine(self) -> MachineStatus | None:
        """The last snapshot; None until the agent has answered once."""
        return self._machine

    @property
    def agent_link(self) -> LinkState:
        """The control channel."""
        return self._agent_link

    @property
    def agent_problem(self) -> Problem | None:
        """Why the agent cannot be reached, if it cannot."""
        return self._agent_problem

    @property
    def engine_link(self) -> LinkState:
        """The connection to dockerd."""
        return self._engine_link

    @property
    def engine_problem(self) -> Problem | None:
        """Why the engine cannot be reached, if it cannot."""
        return self._engine_problem

    @property
    def containers(self) -> tuple[Container, ...] | None:
        """As the engine last listed them; None while it has not, or when its machine is down."""
        return self._containers

    @property
    def running(self) -> tuple[Container, ...]:
        """The containers that are up."""
        return self._running

    @property
    def pending(self) -> Mapping[str, ContainerAction]:
        """By container id, what was asked of it and is not answered yet."""
        return MappingProxyType(self._pending)

    @property
    def problem(self) -> Problem | None:
        """What went wrong with the user's last request, until it is dismissed."""
        return self._problem

    @property
    def phase(self) -> Phase | None:
        """The machine's phase, None while unknown."""
        return self._machine.phase if self._machine and self._agent_link is LinkState.UP else None

    @property
    def machine_keeps_running(self) -> bool:
        """Whether there is a machine that outlives the window."""
        return self._machine is not None and self._machine.phase.is_live

    def container(self, container_id: str) -> Container | None:
        """One container of the last list."""
        return self._by_id.get(container_id)

    @property
    def restart_counts(self) -> Mapping[str, int]:
        """By container id, how often the engine started it again by its restart policy, where that is known."""
        return MappingProxyType(self._restart_counts)

    def set_machine(self, status: MachineStatus) -> None:
        """The agent's newest snapshot."""
        if status != self._machine:
            self._machine = status
            if status.phase.is_settled and not status.phase.is_live:
                self.is_suspending = False
            self.machine_changed.emit()
            self.part(SettingsStore).note_phase(status.phase)

    def set_agent_link(self, state: LinkState, problem: Problem | None = None) -> None:
        """How the control channel stands."""
        if (state, problem) != (self._agent_link, self._agent_problem):
            self._agent_link, self._agent_problem = state, problem
            self.machine_changed.emit()

    def set_engine_link(self, state: LinkState, problem: Problem | None = None) -> None:
        """How the connection to the engine stands. OFF forgets the containers: a stopped machine has none to act on."""
        if (state, problem) != (self._engine_link, self._engine_problem):
            self._engine_link, self._engine_problem = state, problem
            if state is LinkState.OFF:
                self._set_containers(None)
            self.engine_changed.emit()

    def set_containers(self, containers: tuple[Container, ...]) -> None:
        """The engine's newest list."""
        self._set_containers(containers)

    def _set_containers(self, containers: tuple[Container, ...] | None) -> None:
        if containers != self._containers:
            self._containers = containers
            self._by_id = {container.id: container for container in containers or ()}
            self._running = tuple(container for container in containers or () if container.state.is_up)
            self.containers_changed.emit()

    def set_restart_counts(self, counts: dict[str, int]) -> None:
        """All that are known now."""
        if counts != self._restart_counts:
            self._restart_counts = counts
            self.restart_counts_changed.emit()

    def set_pending(self, container_id: str, action: ContainerAction | None) -> None:
        """Note what was asked of a container, or with None that it was answered."""
        if action is None:
            self._pending.pop(container_id, None)
        else:
            self._pending[container_id] = action
        self.pending_changed.emit()

    def set_problem(self, problem: Problem | None) -> None:
        """Show what went wrong with a request; None dismisses it."""
        if problem != self._problem:
            self._problem = problem
            self.problem_changed.emit()

    def notice(self, notice: Notice) -> None:
        """A thing that happened once."""
        self.noticed.emit(notice)
