"""Published ports in the agent: connects the parts of `backend.net.ports` with the machine and the clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from backend.addresses import PortState, PortStatus
from backend.agent.core import started_with
from backend.agent.core.tasks import Background
from backend.agent.machine.running import RunningMachine
from backend.control import messages
from backend.control.messages.request import Handler
from backend.engine.front.mounts import MountSources
from backend.errors import Problem, ProblemCode
from backend.host import network
from backend.host.base import Host
from backend.messages import sentences
from backend.model import MachineStatus, Notice, Phase
from backend.net.aliases import Aliases
from backend.net.front_hooks import NetworkHooks, Rewriter
from backend.net.ports.bindings import Published, Reader
from backend.net.ports.forwarder import Forwarder, Traffic
from backend.net.ports.gateways import Gateways
from backend.net.ports.host_network import GuestListener, HostNetworkFeed
from backend.net.ports.publisher import Publisher
from backend.paths import MachineDir
from backend.settings.config import Config
from backend.stream import Dial

_RESTORE_S: Final = 30.0
_SERVING_PHASES: Final = (Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED, Phase.STOPPING)


class PortsService:
    """Publishes the ports of containers on the host while `run` runs, and handles ListPorts."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        machine: RunningMachine,
        *,
        dial: Dial,
        notify: Callable[[Notice], None],
        show: Callable[[tuple[Problem, ...]], None],
    ) -> None:
        """Reads a small file.

        Args:
            host: this computer.
            directory: the machine's.
            machine: what of it runs.
            dial: opens a stream to the engine, without starting the machine for it; raises WherryError.
            notify: called with failures that no client is waiting for.
            show: called with the current problems of ports, when these have changed.
        """
        self._dir = directory
        self._show = show
        self._failing: tuple[Problem, ...] = ()
        self._mounts = MountSources(directory.docker_socket, host.docker_url(directory.docker_socket))
        self._aliases = Aliases(directory.published_addresses)
        self._forwarder = Forwarder(
            lambda: machine.monitor,
            guest_ssh_port=lambda: machine.guest_ssh_port,
            deepen=lambda descriptor, backlog: (
                (pid := machine.pid) is not None and host.deepen_backlog(pid, descriptor, backlog)
            ),
            low_ports_on_any=host.low_ports_on_wildcard_only,
        )
        self._host_networks = HostNetworkFeed(machine.follow, self._on_listeners)
        self._publisher = Publisher(
            dial,
            self._forwarder,
            reader=self._reader,
            notify=notify,
            show=self._show_failing,
            gateways=Gateways(
                lambda command, stdin, timeout_s: machine.execute(command, stdin=stdin, timeout_s=timeout_s)
            ),
            want_listeners=self._host_networks.set_wanted,
        )
        self._tasks = Background(lambda problem: notify(Notice(level="error", text=problem.summary)))
        self._serving = False

    def hooks(self, dial: Dial, rewriters: tuple[Rewriter, ...] = ()) -> NetworkHooks:
        """The hooks for the API front. `dial` opens a stream to the engine and may start the machine for it."""
        return NetworkHooks(self._publisher, self._aliases, dial, rewriters, mounts=self._mounts)

    def handlers(self) -> tuple[Handler, ...]:
        """The handlers for the control channel."""
        return (messages.ListPorts.handled_by(self.list_ports),)

    async def run(self) -> None:
        """Publish ports until cancelled."""
        self._tasks.spawn(self._host_networks.run(), "host networks")
        try:
            await self._publisher.run()
        finally:
            await self._tasks.aclose()

    async def restore(self) -> None:
        """Publish the ports of running containers. Called when the engine answers. Does not raise."""
        self._show_failing(self._failing)
        await self._publisher.restore(timeout_s=_RESTORE_S)

    async def restored(self) -> None:
        """Wait until the ports of running containers are published, up to 30 s."""
        await self._publisher.restored(timeout_s=_RESTORE_S)

    def on_status(self, status: MachineStatus) -> None:
        """Handle a new status: in other phases than these the ports are closed."""
        serves = status.phase in _SERVING_PHASES
        if self._serving and not serves:
            self._tasks.spawn(self._publisher.forget(), "forget ports")
        self._serving = serves
        self._host_networks.set_up(status.phase in (Phase.RUNNING, Phase.DEGRADED) and status.ssh_port is not None)

    async def list_ports(self, _request: messages.ListPorts) -> messages.PortList:
        """List the published ports, ordered by number. Raises WherryError."""
        traffic = await self._forwarder.traffic() if self._serving else {}
        opened = self._forwarder.opened
        rows = [
            _status(one, self._publisher.problem_of(one), traffic.get(one.forward), is_open=one.forward in opened)
            for one in self._publisher.published()
        ]
        rows.sort(key=lambda row: (row.port, row.protocol.value, ":" in row.address, row.address))
        return messages.PortList(ports=tuple(rows))

    def _on_listeners(self, listeners: frozenset[GuestListener]) -> None:
        self._tasks.spawn(self._publisher.hear(listeners), "ports of host networks")

    def _show_failing(self, problems: tuple[Problem, ...]) -> None:
        self._failing = problems
        self._show((*((self._aliases.problem,) if self._aliases.problem is not None else ()), *problems))

    def _reader(self) -> Reader:
        used = started_with.settings(self._dir) or Config()
        return Reader(used.network.publish == "all", self._aliases.host_address, network.has_ipv6_loopback())


def _status(one: Published, problem: Problem | None, traffic: Traffic | None, *, is_open: bool) -> PortStatus:
    state = PortState.OPEN if is_open else PortState.OPENING
    if problem is not None and not is_open:
        state = PortState.TAKEN if problem.code is ProblemCode.PORT_TAKEN else PortState.REFUSED
    return PortStatus(
        protocol=one.forward.protocol,
        address=one.forward.host_ip,
        port=one.forward.host_port,
        state=state,
        origin=one.origin,
        container_id=one.owner_id,
        container=one.owner_name,
        container_port=one.owner_port,
        connections=traffic.connections if traffic is not None else None,
        received_bytes=traffic.received_bytes if traffic is not None else None,
        sent_bytes=traffic.sent_bytes if traffic is not None else None,
        problem=sentences(problem.summary, problem.hint) if problem is not None and not is_open else None,
    )
