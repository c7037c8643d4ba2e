"""The agent put together, and its life: who needs whom, in the order in which they are made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from functools import partial
from typing import Final

from backend.agent.boot.readiness import FREEZE, IDLE, ROUTES, THAW, Deadlines
from backend.agent.core.announcements import Announcements
from backend.agent.core.changes import Changes
from backend.agent.core.tasks import Tasks
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.disk_work import DiskWork
from backend.agent.operations.operations import Operations
from backend.agent.operations.updating import Updates
from backend.agent.services.endpoint import DockerEndpoint, EngineStreams, OnDemandRules
from backend.agent.services.files import ContainerFiles
from backend.agent.services.machine_control import MachineControl
from backend.agent.services.maintenance import HostUsageReader, Maintenance
from backend.agent.services.ports import PortsService
from backend.agent.services.settings import SettingsService
from backend.agent.services.stats_feed import StatsFeed
from backend.agent.watch.corporate_network_watch import CorporateNetworkWatch
from backend.agent.watch.idleness import Idleness
from backend.agent.watch.peaks import Peaks
from backend.agent.watch.route_watch import RouteSources, RouteWatch
from backend.control import messages
from backend.control.server import ControlServer
from backend.engine.front.proxy import ApiFront
from backend.errors import WherryError
from backend.host.base import Host, Listener
from backend.host.routes import Route
from backend.messages import message
from backend.net import subnets
from backend.net.dns.service import NameService
from backend.paths import MachineDir
from backend.settings import config

_BEGIN_S: Final = 10.0
"""A QEMU whose monitor is deaf takes about so long to be given up; clients wait 20 s for an agent."""
_CLOSE_S: Final = 5.0

_log = logging.getLogger("backend.agent")


class Agent:
    """Puts the parts together and lets them run."""

    def __init__(self, host: Host, directory: MachineDir, *, deadlines: Deadlines) -> None:
        self._host = host
        self._dir = directory
        self._idle_s = deadlines.seconds(IDLE)
        self._ended = asyncio.Event()
        self._control: Listener | None = None

        # The machine.
        self._changes = Changes()
        self._announcements = Announcements()
        notify = self._announcements.notify
        machine = RunningMachine(host, directory)
        peaks = Peaks(host, directory)
        self._names = names = NameService(
            host,
            directory,
            tell_guest=machine.tell_guest,
            gateway=lambda: machine.network.gateway,
            ipv6=lambda: machine.network.ipv6,
        )
        self._supervisor = supervisor = Supervisor(
            host,
            directory,
            machine,
            peaks=peaks,
            publish=self._announcements.publish,
            notify=notify,
            greeting=lambda: names.greeting,
            deadlines=deadlines,
            changes=self._changes,
        )
        # Long operations on it.
        self._operations = operations = Operations(directory.operation_journal, supervisor, notify=notify)
        self._checkpoints = checkpoints = Checkpoints(
            host,
            directory,
            supervisor,
            machine,
            operations,
            notify=notify,
            freeze_s=deadlines.seconds(FREEZE),
            thaw_s=deadlines.seconds(THAW),
        )
        self._updates = updates = Updates(
            host, directory, supervisor, machine, operations, checkpoints=checkpoints, notify=notify
        )
        disk_work = DiskWork(host, directory, supervisor, machine, operations, checkpoints=checkpoints)
        # What docker clients connect to. Here the circle closes: they start the machine, which opens the endpoint.
        self._ports = ports = PortsService(
            host,
            directory,
            machine,
            dial=partial(supervisor.dial, wakes=False),
            notify=notify,
            show=supervisor.show_ports,
        )
        streams = EngineStreams(supervisor, operations, ports)
        front = ApiFront(
            streams.dial,
            dial_quietly=streams.dial_quietly,
            hooks=ports.hooks(streams.dial_quietly),
            put_down=lambda: supervisor.put_down,
        )
        self._endpoint = DockerEndpoint(
            host, directory, front, ports, notify=notify, report_defect=self._announcements.report_defect
        )
        self._start_rules = OnDemandRules(directory, operations, checkpoints)
        supervisor.attach(self._endpoint, self._start_rules)
        # What looks after the machine.
        self._corporate_network = corporate_network = CorporateNetworkWatch(
            host, directory, is_live=lambda: supervisor.is_live, notify=notify
        )
        self._routes = RouteWatch(
            RouteSources(
                routes=partial(_routes, host, directory),
                daemon_options=partial(config.daemon_options, directory.daemon_json),
                subnet=lambda: config.load(directory.config).network.subnet,
                phase=lambda: supervisor.phase,
                record=lambda: machine.record,
                dial=streams.dial_quietly,
                show=supervisor.show_networks,
                notify=notify,
            ),
            every_s=deadlines.watch_s(ROUTES, hardware=True),
        )
        self._idleness = Idleness(
            supervisor, front.activity, load_config=partial(config.load, directory.config), notify=notify
        )
        usage = HostUsageReader(host, directory, machine, peaks)
        self._stats = stats = StatsFeed(machine.follow, usage.read, self._announcements.publish_stats)
        # What clients may ask.
        settings = SettingsService(
            host,
            directory,
            is_live=lambda: supervisor.is_live,
            execute=machine.execute,
            host_changes=lambda: corporate_network.changed,
            settings_changed=self._endpoint.settings_changed,
        )
        maintenance = Maintenance(supervisor, machine, usage.read, deadlines)
        control = MachineControl(
            supervisor,
            operations,
            checkpoints,
            updates,
            let_go_of_endpoint=self._endpoint.rest,
            end_agent=self._ended.set,
        )
        self._server = ControlServer(
            (
                *control.handlers(),
                *settings.handlers(),
                *checkpoints.handlers(),
                *operations.handlers(),
                *maintenance.handlers(),
                *operations.keep_apart(messages.RestartEngine.handled_by(maintenance.restart_engine)),
                *updates.handlers(),
                *disk_work.handlers(),
                *ports.handlers(),
                *ContainerFiles(streams.dial_quietly, machine.execute).handlers(),
            ),
            supervisor.status,
            stats=lambda: stats.newest,
            stats_wanted=stats.set_wanted,
            clients_changed=self._changes.notify,
        )
        # Who hears what.
        server = self._server
        self._announcements.listen(status=server.publish, notice=server.notify, stats=server.publish_stats)
        for listener in (updates.on_status, ports.on_status, stats.on_status):
            self._announcements.listen(status=listener)

    async def run(self) -> None:
        """Serve until asked to end, or idle."""
        self._end_by_signals()
        await self._names.start()
        supervising = asyncio.create_task(self._supervisor.run(), name="supervisor")
        supervising.add_done_callback(lambda _: self._changes.notify())
        ended = asyncio.create_task(self._ended.wait(), name="ended")
        beside = Tasks(self._announcements.report_defect, crashed_beside=self._announcements.report_defect)
        for name, work in (
            ("names", self._names.run()),
            ("idle agent", self._end_when_idle()),
            ("figures", self._stats.run()),
            ("idle machine", self._idleness.run()),
            ("checkpoints", self._checkpoints.run()),
            ("routes", self._routes.run()),
            ("proxies and certificates", self._corporate_network.run()),
            ("updates", self._updates.run()),
            ("ports", self._ports.run()),
            ("what was left", self._operations.run_recovery()),
        ):
            beside.spawn(work, name)
        try:
            # A client's first snapshot is to tell the truth, not that it is not known yet.
            with contextlib.suppress(WherryError):  # a QEMU that does not answer is waited for longer
                await self._changes.until(
                    lambda: self._supervisor.has_begun or supervising.done(),
                    message("The agent doesn't know yet whether the machine is running."),
                    timeout_s=_BEGIN_S,
                )
            self._control = await self._host.listen(self._dir.agent_socket, self._server.handle)
            self._changes.notify()
            with contextlib.suppress(WherryError):  # held by somebody else: the next start says so
                await self._endpoint.open()
            await asyncio.wait({supervising, ended}, return_when=asyncio.FIRST_COMPLETED)
            if supervising.done():
                supervising.result()
        finally:
            await self._operations.aclose()  # first: what the end of the rest does to one must not look like a failure
            supervising.cancel()
            ended.cancel()
            await beside.aclose()
            await asyncio.wait({supervising, ended}, timeout=_CLOSE_S)
            await self._checkpoints.aclose()
            await self._close()

    def _end_by_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                with contextlib.suppress(NotImplementedError):  # Windows has no handlers on its loop
                    loop.add_signal_handler(getattr(signal, name), self._ended.set)

    async def _close(self) -> None:
        if self._control is not None:
            await self._control.aclose()
        await self._endpoint.aclose()
        await self._supervisor.detach()
        await self._names.aclose()

    async def _end_when_idle(self) -> None:
        """An agent without a machine and without clients is of no use to anybody."""
        is_idle = False
        while not is_idle or not self._server.retire():
            await self._changes.until(
                lambda: not self._is_needed, message("The agent is still needed."), timeout_s=None
            )
            try:
                await self._changes.until(
                    lambda: self._is_needed, message("Nobody needs the agent."), timeout_s=self._idle_s
                )
            except WherryError:
                # Docker clients may come where they bring the machine up: there has to be somebody who hears them,
                # if it is not the keeper of the endpoint.
                is_idle = self._endpoint.is_kept or not await self._start_rules.may_start_on_demand()
        _log.info("idle; ending")
        self._ended.set()

    @property
    def _is_needed(self) -> bool:
        """Whether somebody is there, may still be on their way, or something is being done."""
        is_open = self._control is not None
        is_at_work = self._supervisor.is_live or self._operations.is_under_way
        return not is_open or self._server.clients > 0 or is_at_work


def _routes(host: Host, directory: MachineDir) -> tuple[Route, ...]:
    """This computer's routes, and those that the settings name. Raises WherryError."""
    return host.routes() + subnets.routes_in_settings(config.load(directory.config).network)
