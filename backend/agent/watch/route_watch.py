"""While the machine runs: does a route of this computer lead into a range that the machine uses? A VPN may bring one.

The routes are read now and then, on a thread, and at once after a wake. The engine is asked for its networks when the
routes have changed, while there is something to tell, and every few minutes. What is found goes away with its cause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from backend.agent.core import inventory
from backend.agent.watch.guest_clock import Clock, HostClock, Jumps
from backend.errors import Problem, WherryError
from backend.host.routes import Route
from backend.model import MachineNetworks, Notice, Phase
from backend.net import clash, subnets
from backend.net.clash import DockerNetwork
from backend.stream import ByteStream
from backend.vm.run import RunRecord

_log = logging.getLogger(__name__)

_PARTS: Final = 6
"""In each pause between looks it is seen so often whether the computer slept."""
_ASK_EVERY: Final = 10
"""Looks, after which the engine is asked although nothing has changed."""
_UP: Final = (Phase.RUNNING, Phase.DEGRADED)
_BRIDGE_OPTIONS: Final = ("bip", "default-address-pools", "bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSources:
    """What is looked at, and whom it tells."""

    routes: Callable[[], tuple[Route, ...]]
    """Of this computer. Run on a thread; raises WherryError."""
    daemon_options: Callable[[], dict[str, object]]
    """The user's daemon.json. Run on a thread; raises WherryError."""
    subnet: Callable[[], str]
    """The setting `network.subnet`. Run on a thread; raises WherryError."""
    phase: Callable[[], Phase]
    record: Callable[[], RunRecord | None]
    """Of the QEMU that runs."""
    dial: Callable[[], Awaitable[ByteStream]]
    """A stream to the engine that brings up nothing. Raises WherryError."""
    show: Callable[[MachineNetworks | None, Problem | None], None]
    """Called with what is in use, and what is wrong with it, when either changes."""
    notify: Callable[[Notice], None]


class RouteWatch:
    """One per agent."""

    def __init__(self, watched: RouteSources, *, every_s: float, clock: Clock | None = None) -> None:
        self._watched = watched
        self._every_s = every_s
        self._clock = clock or HostClock()
        self._routes: tuple[Route, ...] | None = None
        self._networks: tuple[DockerNetwork, ...] = ()
        self._run = ""
        self._looks = 0
        self._shown: tuple[MachineNetworks | None, Problem | None] = (None, None)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        part_s = self._every_s / _PARTS
        jumps = Jumps(self._clock)
        left = 0
        was_up = False
        while True:
            is_up = self._watched.phase() in _UP
            if is_up and (left <= 0 or not was_up):
                await self._look()
                left = _PARTS
            elif not is_up:
                self._forget()
            was_up = is_up
            await asyncio.sleep(part_s)
            left = 0 if jumps.look(every_s=part_s) else left - 1

    def _forget(self) -> None:
        self._routes, self._networks = None, ()
        self._show(None, None)

    async def _look(self) -> None:
        record = self._watched.record()
        if record is None:
            return
        try:
            routes = await asyncio.to_thread(self._watched.routes)
        except WherryError as error:  # the start has told it
            _log.info("the routes are not known: %s", error.problem.summary)
            return
        changed = routes != self._routes or record.uuid != self._run
        self._looks += 1
        if changed or self._shown[1] is not None or self._looks % _ASK_EVERY == 0:
            try:
                self._networks = clash.read_networks(await inventory.get(self._watched.dial, "/networks"))
            except WherryError as error:  # asked again at the next look
                _log.info("the engine's networks are not known: %s", error.problem.summary)
                return
        self._routes, self._run = routes, record.uuid
        await self._judge(routes, record)

    async def _judge(self, routes: tuple[Route, ...], record: RunRecord) -> None:
        try:
            options = await asyncio.to_thread(self._watched.daemon_options)
            subnet = await asyncio.to_thread(self._watched.subnet)
        except WherryError:
            options, subnet = {}, ""  # whoever reads the settings tells what is wrong with them
        net = record.user_network.net
        found = subnets.clashes(
            routes,
            user_network=net,
            user_network_fixed=bool(subnet.strip()),
            docker=[(network.name, text) for network in self._networks for text in network.ranges],
        )
        problem = clash.problem_of(
            found,
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
        self._watched.show(networks, problem)
        if problem is not None and before[1] is None:
            _log.warning("%s", problem.as_text())
            self._watched.notify(Notice(level="warning", text=problem.summary))
        elif problem is None and before[1] is not None and networks is not None:
            self._watched.notify(Notice(level="info", text=f"This is over: {before[1].summary}"))
