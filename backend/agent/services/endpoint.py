"""What docker clients connect to: the endpoint, the stream to the engine behind it, and when they start the machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from backend.agent.core.tasks import defect
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.operations import Operations
from backend.agent.services.ports import PortsService
from backend.control.session import KEEP_ENDPOINT, endpoint_place, endpoint_stays, is_wanted
from backend.engine import context
from backend.engine.front.proxy import ApiFront
from backend.errors import Problem, WherryError
from backend.host.base import Host, KeptListener
from backend.messages import message, sentences
from backend.model import Notice
from backend.paths import MachineDir
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.stream import ByteStream

_log = logging.getLogger(__name__)


class EngineStreams:
    """Opens streams to the engine for docker clients: they wait for an operation under way, and for their ports."""

    def __init__(self, supervisor: Supervisor, operations: Operations, ports: PortsService) -> None:
        self._supervisor = supervisor
        self._operations = operations
        self._ports = ports

    async def dial(self) -> ByteStream:
        """Open a stream; may start the machine for it. Raises WherryError."""
        await self._operations.admit()
        stream = await self._supervisor.dial()
        await self._ports.restored()
        return stream

    async def dial_quietly(self) -> ByteStream:
        """Open a stream for a request that must not start the machine. Raises WherryError."""
        await self._operations.admit()
        stream = await self._supervisor.dial(wakes=False)
        await self._ports.restored()
        return stream


class OnDemandRules:
    """Says when the machine is started without a request of the user's."""

    def __init__(self, directory: MachineDir, operations: Operations, checkpoints: Checkpoints) -> None:
        self._dir = directory
        self._operations = operations
        self._checkpoints = checkpoints

    @property
    def is_held(self) -> bool:
        """Whether something has to be put in order before a machine that was running is started again."""
        return self._operations.has_left

    async def may_start_on_demand(self) -> bool:
        """Whether docker clients start the machine: where the settings allow it, once it has been started before."""
        if self._operations.is_busy or not data_disk_path(self._dir).exists():
            return False
        try:
            await self._checkpoints.settled()
            return (await asyncio.to_thread(config.load, self._dir.config)).machine.start_on_demand
        except WherryError:
            return False  # a start says what is in its way


class DockerEndpoint:
    """The socket or pipe that docker clients connect to."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        front: ApiFront,
        ports: PortsService,
        *,
        notify: Callable[[Notice], None],
        report_defect: Callable[[Problem], None],
    ) -> None:
        self._host = host
        self._dir = directory
        self._front = front
        self._ports = ports
        self._notify = notify
        self._report_defect = report_defect
        self._listener: KeptListener | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Listen, if not listening yet. Raises WherryError (ENDPOINT_TAKEN, PATH_UNUSABLE)."""
        async with self._opening:  # the agent's start and the machine's may come together
            if self._listener is None:
                self._listener = await self._host.listen_kept(
                    endpoint_place(self._dir), self._front.handle, wanted=partial(is_wanted, self._dir)
                )
        await self._keep()

    @property
    def is_kept(self) -> bool:
        """Whether a docker client that comes when this agent has ended starts the next one."""
        return self._listener is not None and self._listener.is_kept

    async def rest(self) -> None:
        """End with this agent: docker clients start none, until the next login or start. Raises WherryError."""
        await self._let_go(remove=False)

    async def settings_changed(self, keys: Collection[str]) -> None:
        """Follow a change of the settings with these keys. Raises WherryError."""
        if KEEP_ENDPOINT not in keys or self._listener is None:
            return
        if (await asyncio.to_thread(config.load, self._dir.config)).docker.keep_endpoint:
            await self._keep()
        else:
            await self._let_go(remove=True)

    async def engine_answers(self) -> None:
        """Prepare what a client expects of an engine: its ports, docker context and endpoint. Does not raise."""
        for work in (self._ports.restore, self._install_context, self._keep):
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- told; a defect here must not end a machine that runs
                _log.exception("the engine answers, but %s failed", work.__name__)
                self._report_defect(defect("what goes with the engine", error))

    async def aclose(self) -> None:
        """Stop listening and disconnect all clients."""
        if self._listener is not None:
            await self._listener.aclose()
        await self._front.aclose()

    async def _keep(self) -> None:
        """Leave the endpoint to the session, where the settings want it; what goes wrong is told, and fails nothing."""
        if self._listener is None or not await asyncio.to_thread(is_wanted, self._dir):
            return
        try:
            await self._listener.keep()
        except (WherryError, OSError) as error:
            _log.warning("the session does not keep the docker endpoint: %s", error)
            text = message("While Wherry's agent isn't running, docker commands aren't answered: {error}.", error=error)
            self._notify(Notice(level="warning", text=text))

    async def _let_go(self, *, remove: bool) -> None:
        if self._listener is None:
            return
        try:
            await self._listener.let_go(remove=remove)
        except OSError as error:
            raise endpoint_stays(error) from error

    async def _install_context(self) -> None:
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
