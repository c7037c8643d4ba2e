"""Detects routes of this computer that overlap with the networks of the running machine. A VPN may add one.

The routes are read regularly, on a thread, and when the computer wakes up. The engine's networks are requested when the
routes have changed, while there is a problem, and every few minutes. The problem is removed when its cause is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from backend.agent.core import inventory
from backend.agent.watch.guest_clock import Clock, HostClock, TimeJumps
from backend.errors import Problem, WherryError
from backend.host.routes import Route
from backend.messages import message
from backend.model import MachineNetworks, Notice, Phase
from backend.net import clash, subnets
from backend.net.clash import DockerNetwork
from backend.stream import ByteStream
from backend.vm.run import RunRecord

_log = logging.getLogger(__name__)

_PARTS: Final = 6
"""Between two checks it is determined this many times whether the computer slept."""
_ENGINE_EVERY: Final = 10
"""Number of checks after which the engine's networks are requested although the routes have not changed."""
_UP: Final = (Phase.RUNNING, Phase.DEGRADED)
_BRIDGE_OPTIONS: Final = ("bip", "default-address-pools", "bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSources:
    """The inputs of `RouteWatch`, and the functions that it calls with the result."""

    routes: Callable[[], tuple[Route, ...]]
    """Reads this computer's routes. Called in a thread; raises WherryError."""
    daemon_options: Callable[[], dict[str, object]]
    """Reads the user's daemon.json. Called in a thread; raises WherryError."""
    subnet: Callable[[], str]
    """Reads the setting `network.subnet`. Called in a thread; raises WherryError."""
    phase: Callable[[], Phase]
    record: Callable[[], RunRecord | None]
    """Of the running QEMU; None if none runs."""
    dial: Callable[[], Awaitable[ByteStream]]
    """Opens a stream to the engine, without starting the machine for it. Raises WherryError."""
    show: Callable[[MachineNetworks | None, Problem | None], None]
    """Called with the networks in use, and the problem with them, when either has changed."""
    notify: Callable[[Notice], None]


class RouteWatch:
    """Checks the routes while `run` runs."""

    def __init__(self, sources: RouteSources, *, every_s: float, clock: Clock | None = None) -> None:
        self._sources = sources
        self._every_s = every_s
        self._clock = clock or HostClock()
        self._routes: tuple[Route, ...] | None = None
        self._networks: tuple[DockerNetwork, ...] = ()
        self._run = ""
        self._checks = 0
        self._shown: tuple[MachineNetworks | None, Problem | None] = (None, None)

    async def run(self) -> None:
        """Check regularly until cancelled."""
        part_s = self._every_s / _PARTS
        jumps = TimeJumps(self._clock)
        remaining = 0
        was_up = False
        while True:
            is_up = self._sources.phase() in _UP
            if is_up and (remaining <= 0 or not was_up):
                await self._check()
                remaining = _PARTS
            elif not is_up:
                self._clear()
            was_up = is_up
            await asyncio.sleep(part_s)
            remaining = 0 if jumps.check(every_s=part_s) else remaining - 1

    def _clear(self) -> None:
        self._routes, self._networks = None, ()
        self._show(None, None)

    async def _check(self) -> None:
        record = self._sources.record()
        if record is None:
            return
        try:
            routes = await asyncio.to_thread(self._sources.routes)
        except WherryError as error:  # the start has reported it
            _log.info("the routes are not known: %s", error.problem.summary)
            return
        changed = routes != self._routes or record.uuid != self._run
        self._checks += 1
        if changed or self._shown[1] is not None or self._checks % _ENGINE_EVERY == 0:
            try:
                self._networks = clash.read_networks(await inventory.get(self._sources.dial, "/networks"))
            except WherryError as error:  # requested again by the next check
                _log.info("the engine's networks are not known: %s", error.problem.summary)
                return
        self._routes, self._run = routes, record.uuid
        await self._find_overlaps(routes, record)

    async def _find_overlaps(self, routes: tuple[Route, ...], record: RunRecord) -> None:
        try:
            options = await asyncio.to_thread(self._sources.daemon_options)
            subnet = await asyncio.to_thread(self._sources.subnet)
        except WherryError:
            options, subnet = {}, ""  # errors in the settings are reported where they are read
        net = record.user_network.net
        overlaps = subnets.clashes(
            routes,
            user_network=net,
            user_network_fixed=bool(subnet.strip()),
            docker=[(network.name, text) for network in self._networks for text in network.ranges],
        )
        problem = clash.problem_of(
            overlaps,
            self._networks,
            subnet_is_set=bool(subnet.strip()),
            bridge_is_set=any(option in options for option in _BRIDGE_OPTIONS),
        )
        bridge = next((network for network in self._networks if network.name == clash.BRIDGE), None)
        self._show(MachineNetworks(user=str(net), bridge=bridge.ranges if bridge is not None else ()), problem)

    def _show(self, networks: MachineNetworks | None, problem: Problem | None) -> None:
        before, self._shown = self._shown, (networks, problem)
        if before == self._shown:
            return
        self._sources.show(networks, problem)
        if problem is not None and before[1] is None:
            _log.warning("%s", problem.as_text())
            self._sources.notify(Notice(level="warning", text=problem.summary))
        elif problem is None and before[1] is not None and networks is not None:
            self._sources.notify(Notice(level="info", text=message("Solved: {summary}", summary=before[1].summary)))
