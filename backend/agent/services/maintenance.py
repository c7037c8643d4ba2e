"""Handles requests about the running machine: restart the engine, resume CPUs, reclaim memory and disk, usage."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from backend.agent.boot.link import GuestLink
from backend.agent.boot.readiness import ENGINE, Deadlines
from backend.agent.core.guest import Guest
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.services.stats_feed import HostFigures
from backend.agent.watch.peaks import Peaks
from backend.control import messages
from backend.control.messages.request import Handler
from backend.errors import Action, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.host.process import resident_bytes
from backend.messages import message
from backend.model import Phase
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path

_log = logging.getLogger(__name__)

_RESTART_S: Final = 40.0
"""dockerd stops its containers first; it is killed if that takes longer than 25 s."""
_RECLAIM_S: Final = 300.0
_STATUS_S: Final = 5.0
_SETTLE_S: Final = 20.0
"""The guest reports free memory in the background, every two seconds."""
_STEADY_S: Final = 3.0
_STEADY_BYTES: Final = 4 * 1024**2
_POLL_S: Final = 0.5


class Maintenance:
    """Handles requests. `figures` returns the host's memory and disk use of the machine; it is called in a thread."""

    def __init__(
        self,
        supervisor: Supervisor,
        machine: RunningMachine,
        figures: Callable[[], HostFigures],
        deadlines: Deadlines,
    ) -> None:
        self._supervisor = supervisor
        self._machine = machine
        self._figures = figures
        self._deadlines = deadlines

    def handlers(self) -> tuple[Handler, ...]:
        """The handlers for the control channel."""
        return (
            messages.Continue.handled_by(self.resume_cpus),
            messages.Reclaim.handled_by(self.reclaim),
            messages.GetUsage.handled_by(self.usage),
        )

    async def restart_engine(self, _request: messages.RestartEngine) -> messages.Accepted:
        """Restart dockerd and return when the engine answers. Raises WherryError (MACHINE_STOPPED, ENGINE_DOWN)."""
        guest, link = self._guest(), self._machine.link
        await guest.control.ask("restart dockerd", timeout_s=_RESTART_S)
        if link is not None:
            await self._wait_for_engine(link)
            await self._wait_for_status()
        return messages.Accepted(seq=self._supervisor.status().seq)

    async def _wait_for_status(self) -> None:
        """Wait until the status shows the engine as ready, up to 5 s."""
        with contextlib.suppress(WherryError):
            await self._supervisor.until(
                lambda: self._supervisor.phase is not Phase.DEGRADED,
                message("The status didn't show the Docker engine as ready."),
                timeout_s=_STATUS_S,
            )

    async def _wait_for_engine(self, link: GuestLink) -> None:
        status = self._supervisor.status()
        hardware = status.accelerator is not None and status.accelerator.hardware
        within_s = self._deadlines.of(ENGINE, hardware=hardware) + _RESTART_S
        try:
            await self._supervisor.until(
                lambda: not link.is_ready,
                message("The guest didn't report that dockerd stopped."),
                timeout_s=_RESTART_S,
            )
            await self._supervisor.until(
                lambda: link.is_ready, message("The Docker engine didn't respond."), timeout_s=within_s
            )
        except WherryError as error:
            raise fail(
                ProblemCode.ENGINE_DOWN,
                message("The Docker engine didn't respond after it was restarted."),
                command="restart dockerd",
                hint=message("Restart the machine. Check the engine's log: wherry logs engine"),
                retryable=True,
                action=Action.RESTART,
            ) from error

    async def resume_cpus(self, _request: messages.Continue) -> messages.Continued:
        """Resume paused CPUs. Raises WherryError."""
        continued = await self._supervisor.resume_cpus()
        return messages.Continued(continued=continued, seq=self._supervisor.status().seq)

    async def reclaim(self, _request: messages.Reclaim) -> messages.Reclaimed:
        """Return unused memory and disk space of the guest to the host. Raises WherryError."""
        guest = self._guest()
        before = await asyncio.to_thread(self._figures)
        await guest.control.ask("reclaim", timeout_s=_RECLAIM_S)
        after = await self._settled()
        _log.info("given back: memory %s -> %s, disk %s -> %s", before.memory, after.memory, before.disk, after.disk)
        return messages.Reclaimed(
            memory_before=before.memory, memory_after=after.memory, disk_before=before.disk, disk_after=after.disk
        )

    async def _settled(self) -> HostFigures:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SETTLE_S
        newest, since = await asyncio.to_thread(self._figures), loop.time()
        lowest = newest.memory or 0
        while loop.time() < deadline and loop.time() - since < _STEADY_S:
            await asyncio.sleep(_POLL_S)
            newest = await asyncio.to_thread(self._figures)
            if (newest.memory or 0) < lowest - _STEADY_BYTES:
                lowest, since = newest.memory or 0, loop.time()
        return newest

    async def usage(self, _request: messages.GetUsage) -> messages.HostUsage:
        """The machine's memory and disk use on the host, and what it has returned since its start."""
        figures = await asyncio.to_thread(self._figures)
        return messages.HostUsage(
            memory_given=figures.memory_given,
            memory_used=figures.memory,
            memory_returned=figures.memory_returned,
            disk_used=figures.disk,
            disk_returned=figures.disk_returned,
        )

    def _guest(self) -> Guest:
        guest = self._machine.guest
        if guest is None or not guest.stages:
            raise fail(
                ProblemCode.MACHINE_STOPPED,
                message("The Wherry machine is stopped."),
                hint=message("Start it in the Wherry window or with: wherry start"),
                retryable=True,
                action=Action.START,
            )
        return guest


class HostUsageReader:
    """Measures what the machine takes of this computer."""

    def __init__(self, host: Host, directory: MachineDir, machine: RunningMachine, peaks: Peaks) -> None:
        self._host = host
        self._dir = directory
        self._machine = machine
        self._peaks = peaks

    def read(self) -> HostFigures:
        """Measure now. May be called in any thread."""
        pid, record = self._machine.pid, self._machine.record
        disk = self._host.allocated_bytes(data_disk_path(self._dir))
        memory = resident_bytes(pid) if pid is not None else None
        return HostFigures(
            disk=disk,
            memory=memory,
            memory_given=record.resources.memory_mib * 1024**2 if record is not None else None,
            memory_returned=max(0, self._peaks.memory - memory) if memory is not None else None,
            disk_returned=max(0, self._peaks.disk - disk) if disk is not None else None,
        )
