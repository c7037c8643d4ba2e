"""The agent: one process per machine that owns it. Started by `launch.ensure_agent`, not by hand.

It ends by itself when the machine is stopped and nobody is connected; killing it at any moment loses nothing, because
QEMU goes on and the next agent adopts it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from backend import VERSION, host
from backend.agent.boot.readiness import FREEZE, IDLE, ROUTES, THAW, Deadlines
from backend.agent.core import unfinished_files
from backend.agent.core.changes import Changes
from backend.agent.core.lifecycle import RestartRequested, StartRequested, StopRequested
from backend.agent.core.tasks import Tasks, defect
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.disk_work import DiskWork
from backend.agent.operations.operations import Operations
from backend.agent.operations.updating import Updates
from backend.agent.services.files import ContainerFiles
from backend.agent.services.maintenance import Maintenance, host_figures
from backend.agent.services.ports import PortsService
from backend.agent.services.settings import SettingsService
from backend.agent.services.stats_feed import HostFigures, StatsFeed
from backend.agent.watch.corporate_network_watch import CorporateNetworkWatch
from backend.agent.watch.idleness import Idleness
from backend.agent.watch.route_watch import RouteSources, RouteWatch
from backend.control import messages
from backend.control.launch import EXIT_ALREADY_OWNED
from backend.control.server import ControlServer
from backend.engine import context
from backend.engine.front.proxy import ApiFront
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.host.base import Host, Listener
from backend.host.process import resident_bytes
from backend.messages import message, sentences
from backend.model import MachineStatus, Notice, Phase, StopPolicy
from backend.net import subnets
from backend.net.dns.service import NameService
from backend.paths import MachineDir
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.ssh.session import FollowedCommand, Result
from backend.stream import ByteStream

EXIT_FAILED: Final = 1
DEADLINES_VARIABLE: Final = "WHERRY_DEADLINES"
"""Other deadlines than the ladder's, as `Deadlines.parse` reads them; clients hand it on to the agent they start."""
_BEGIN_S: Final = 10.0
"""A QEMU whose monitor is deaf takes about so long to be given up; clients wait 20 s for an agent."""
_LOG_BYTES: Final = 1_048_576

_log = logging.getLogger("backend.agent")


class Agent:
    """Puts the parts together and lets them run."""

    def __init__(self, machine_host: Host, directory: MachineDir, *, deadlines: Deadlines) -> None:
        self._host = machine_host
        self._idle_s = deadlines.seconds(IDLE)
        self._dir = directory
        self._ended = asyncio.Event()
        self._changes = Changes()
        self._endpoint: Listener | None = None
        self._control: Listener | None = None
        self._names = NameService(
            machine_host,
            directory,
            tell_guest=self._tell_guest,
            gateway=lambda: self._supervisor.network.gateway,
            ipv6=lambda: self._supervisor.network.ipv6,
        )
        self._supervisor = Supervisor(
            machine_host,
            directory,
            publish=self._publish,
            notify=self._notify,
            open_endpoint=self._open_endpoint,
            announce_endpoint=self._engine_answers,
            may_start_on_demand=self._may_start_on_demand,
            is_held=lambda: self._operations.has_left,
            greeting=lambda: self._names.greeting,
            deadlines=deadlines,
            changes=self._changes,
        )
        self._corporate_network = CorporateNetworkWatch(
            machine_host, directory, is_live=lambda: self._supervisor.is_live, notify=self._notify
        )
        self._settings = SettingsService(
            machine_host,
            directory,
            is_live=lambda: self._supervisor.is_live,
            execute=self._execute,
            host_changes=lambda: self._corporate_network.changed,
        )
        self._operations = Operations(directory.operation_journal, self._supervisor, notify=self._notify)
        self._checkpoints = Checkpoints(
            machine_host,
            directory,
            self._supervisor,
            self._operations,
            notify=self._notify,
            freeze_s=deadlines.seconds(FREEZE),
            thaw_s=deadlines.seconds(THAW),
        )
        self._updates = Updates(
            machine_host, directory, self._supervisor, self._operations, self._checkpoints, notify=self._notify
        )
        self._disk_work = DiskWork(
            machine_host, directory, self._supervisor, self._operations, self._checkpoints, execute=self._execute
        )
        self._ports = PortsService(
            machine_host,
            directory,
            monitor=lambda: self._supervisor.monitor,
            qemu_pid=lambda: self._supervisor.status().pid,
            guest_ssh_port=lambda: self._supervisor.guest_ssh_port,
            dial=lambda: self._supervisor.dial(wakes=False),
            follow=self._follow,
            notify=self._notify,
            show=self._supervisor.show_ports,
        )
        maintenance = Maintenance(self._supervisor, self._host_figures, deadlines)
        self._server = ControlServer(
            (
                messages.Start.handled_by(self._start),
                messages.Stop.handled_by(self._stop),
                messages.Restart.handled_by(self._restart),
                messages.GetPhase.handled_by(self._get_phase),
                messages.ShutDownAgent.handled_by(self._shut_down),
                *self._settings.handlers(),
                *self._checkpoints.handlers(),
                *self._operations.handlers(),
                *maintenance.handlers(),
                *self._operations.keep_apart(messages.RestartEngine.handled_by(maintenance.restart_engine)),
                *self._updates.handlers(),
                *self._disk_work.handlers(),
                *self._ports.handlers(),
                *ContainerFiles(self._supervisor.dial, self._execute).handlers(),
            ),
            self._supervisor.status,
            stats=lambda: self._stats.newest,
            stats_wanted=self._want_stats,
            clients_changed=self._changes.notify,
        )
        self._stats = StatsFeed(self._follow, self._host_figures, self._server.publish_stats)
        self._front = ApiFront(self._dial, dial_quietly=self._dial_quietly, hooks=self._ports.hooks(self._dial))
        self._routes = RouteWatch(
            RouteSources(
                routes=lambda: (
                    machine_host.routes() + subnets.routes_in_settings(config.load(directory.config).network)
                ),
                daemon_options=lambda: config.daemon_options(directory.daemon_json),
                subnet=lambda: config.load(directory.config).network.subnet,
                phase=lambda: self._supervisor.phase,
                record=lambda: self._supervisor.record,
                dial=self._dial_quietly,
                show=self._supervisor.show_networks,
                notify=self._notify,
            ),
            every_s=deadlines.watch_s(ROUTES, hardware=True),
        )
        self._idleness = Idleness(
            self._supervisor,
            self._front.activity,
            load_config=lambda: config.load(directory.config),
            notify=self._notify,
        )

    async def run(self) -> None:
        """Serve until asked to end, or idle."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                with contextlib.suppress(NotImplementedError):  # Windows has no handlers on its loop
                    loop.add_signal_handler(getattr(signal, name), self._ended.set)
        await self._names.start()
        supervising = asyncio.create_task(self._supervisor.run(), name="supervisor")
        supervising.add_done_callback(lambda _: self._changes.notify())
        ended = asyncio.create_task(self._ended.wait(), name="ended")
        beside = Tasks(self._crashed, crashed_beside=self._crashed)
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
            with contextlib.suppress(WherryError):  # it waits until then for a QEMU that does not answer
                await self._changes.until(
                    lambda: self._supervisor.has_begun or supervising.done(),
                    message("The agent doesn't know yet whether the machine is running."),
                    timeout_s=_BEGIN_S,
                )
            self._control = await self._host.listen(self._dir.agent_socket, self._server.handle)
            self._changes.notify()
            with contextlib.suppress(WherryError):  # held by somebody else: the next start says so
                await self._open_endpoint()
            await asyncio.wait({supervising, ended}, return_when=asyncio.FIRST_COMPLETED)
            if supervising.done():
                supervising.result()
        finally:
            await self._operations.aclose()  # first: what the end of the rest does to one must not look like a failure
            supervising.cancel()
            ended.cancel()
            await beside.aclose()
            await asyncio.wait({supervising, ended}, timeout=5)
            await self._checkpoints.aclose()
            await self._close()

    async def _close(self) -> None:
        if self._control is not None:
            await self._control.aclose()
        if self._endpoint is not None:
            await self._endpoint.aclose()
        await self._front.aclose()
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
                # Docker clients may come where they bring the machine up: there has to be somebody who hears them.
                is_idle = not await self._may_start_on_demand()
        _log.info("idle; ending")
        self._ended.set()

    @property
    def _is_needed(self) -> bool:
        """Whether somebody is there, may still be on their way, or something is being done."""
        is_open = self._control is not None
        is_at_work = self._supervisor.is_live or self._operations.is_under_way
        return not is_open or self._server.clients > 0 or is_at_work

    def _publish(self, status: MachineStatus) -> None:
        self._server.publish(status)
        self._updates.heed(status)
        self._ports.on_status(status)
        self._stats.set_up(status.phase in (Phase.RUNNING, Phase.DEGRADED) and status.ssh_port is not None)

    def _want_stats(self, wanted: bool) -> None:
        self._stats.set_wanted(wanted)

    async def _execute(self, command: str, *, stdin: bytes, timeout_s: float) -> Result | None:
        """Run a command in the guest; None when no guest can be reached now. Raises WherryError when it breaks off."""
        link = self._supervisor.link
        if link is None or not link.is_ready:
            return None
        return await link.execute(command, stdin=stdin, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def _follow(self, command: str) -> AsyncIterator[FollowedCommand]:
        link = self._supervisor.link
        if link is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        async with link.follow(command) as running:
            yield running

    async def _tell_guest(self, line: str) -> None:
        guest = self._supervisor.guest
        if guest is not None:
            with contextlib.suppress(ConnectionError):  # the next connection begins with it
                await guest.control.send(line)

    def _host_figures(self) -> HostFigures:
        pid = self._supervisor.status().pid
        resources = self._supervisor.status().resources
        return host_figures(
            disk=self._host.allocated_bytes(data_disk_path(self._dir)),
            memory=resident_bytes(pid) if pid is not None else None,
            given_mib=resources.memory_mib if resources is not None else None,
            peaks=self._supervisor.peaks,
        )

    def _crashed(self, problem: Problem) -> None:
        """A part of the agent ended by a defect of ours: the rest goes on without it."""
        meanwhile = message("Until then, restart the agent: wherry restart --agent")
        self._notify(Notice(level="error", text=sentences(problem.summary, problem.hint, meanwhile)))

    def _notify(self, notice: Notice) -> None:
        _log.info("notice: %s", notice.text)
        self._server.notify(notice)

    async def _may_start_on_demand(self) -> bool:
        """Whether docker clients bring up the machine: where the settings want it, once it has been started before."""
        if self._operations.is_busy or not data_disk_path(self._dir).exists():
            return False
        try:
            await self._checkpoints.settled()
            return (await asyncio.to_thread(config.load, self._dir.config)).machine.start_on_demand
        except WherryError:
            return False  # a start says what is in its way

    async def _dial(self) -> ByteStream:
        """A stream to the engine for a docker client. Raises WherryError."""
        await self._operations.admit()
        stream = await self._supervisor.dial()
        await self._ports.restored()
        return stream

    async def _dial_quietly(self) -> ByteStream:
        """The same for a client that only listens: it brings up nothing. Raises WherryError."""
        await self._operations.admit()
        return await self._supervisor.dial(wakes=False)

    async def _open_endpoint(self) -> None:
        if self._endpoint is None:
            self._endpoint = await self._host.listen(self._dir.docker_socket, self._front.handle)

    async def _engine_answers(self) -> None:
        """Have everything in place that a client expects of an engine. Does not raise."""
        for work in (self._ports.restore, self._announce_endpoint):
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- told; a defect here must not end a machine that runs
                _log.exception("the engine answers, but %s failed", work.__name__)
                self._crashed(defect("what goes with the engine", error))

    async def _announce_endpoint(self) -> None:
        """Make the docker context, where the settings want it; what goes wrong is told, and fails nothing."""
        try:
            if not (await asyncio.to_thread(config.load, self._dir.config)).docker.context:
                return
            change = await asyncio.to_thread(context.install, self._host.docker_url(self._dir.docker_socket))
        except WherryError as error:
            self._notify(Notice(level="warning", text=sentences(error.problem.summary, error.problem.hint)))
            return
        if change.changed:
            self._notify(Notice(level="info", text=change.note))

    # -- requests -------------------------------------------------------------------------------------------------
    async def _start(self, _request: messages.Start) -> messages.Accepted:
        await self._operations.settle()
        self._operations.refuse_meanwhile()
        with contextlib.suppress(WherryError):  # a machine that cannot be asked is told of by its watchdog
            await self._supervisor.watchdog.resume_cpus()
        if not self._supervisor.is_live:
            await self._checkpoints.settled()
        if await self._updates.wants_update():
            await self._updates.update_in_background()
            return messages.Accepted(seq=self._supervisor.status().seq)
        return messages.Accepted(seq=await self._supervisor.ask(StartRequested()))

    async def _stop(self, request: messages.Stop) -> messages.Accepted:
        self._operations.refuse_under_way()
        return messages.Accepted(seq=await self._supervisor.ask(StopRequested(request.policy)))

    async def _restart(self, request: messages.Restart) -> messages.Accepted:
        policy = StopPolicy.KILL if request.kill else StopPolicy.POWER_DOWN
        await self._operations.settle()
        self._operations.refuse_meanwhile()
        return messages.Accepted(seq=await self._supervisor.ask(RestartRequested(policy)))

    async def _get_phase(self, _request: messages.GetPhase) -> messages.CurrentPhase:
        return messages.CurrentPhase(phase=self._supervisor.phase)

    async def _shut_down(self, _request: messages.ShutDownAgent) -> messages.Done:
        self._operations.refuse_under_way()
        asyncio.get_running_loop().call_later(0.05, self._ended.set)
        return messages.Done()


def main(arguments: list[str] | None = None) -> int:
    """Entry of the process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="wherry agent", description="Owns one machine. Started by wherry itself.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--deadlines", type=Deadlines.parse, default=os.environ.get(DEADLINES_VARIABLE, ""))
    options = parser.parse_args(arguments)
    machine_host = host.current()
    directory = MachineDir.locate(
        options.home,
        max_socket_path_bytes=machine_host.max_socket_path_bytes,
        short_run_base=machine_host.short_run_base(),
    )
    try:
        directory.create()
    except OSError as error:
        sys.stderr.write(f"{directory.home} cannot be used: {error.strerror}\n")
        return EXIT_FAILED
    lock = FileLock(directory.agent_lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return EXIT_ALREADY_OWNED
    try:
        _set_up_log(directory.agent_log)
        _log.info("agent %s starts for %s", VERSION, directory.home)
        unfinished_files.clear(directory, own_pid=os.getpid())
        machine_host.raise_file_limit()
        with asyncio.Runner(loop_factory=machine_host.new_event_loop) as runner:
            runner.run(Agent(machine_host, directory, deadlines=options.deadlines).run())
        _log.info("agent ends")
    except WherryError as error:
        sys.stderr.write(error.problem.as_text() + "\n")
        _log.error("%s", error.problem.as_text())
        return EXIT_FAILED
    finally:
        lock.release()
    return 0


def _set_up_log(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("paramiko").setLevel(logging.WARNING)
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)  # its failures are reported by who calls it


if __name__ == "__main__":
    sys.exit(main())
