"""A supervisor by itself: without an endpoint for docker clients, and nothing starts its machine but the test."""

from __future__ import annotations

from collections.abc import Callable

from backend.agent.boot.readiness import Deadlines
from backend.agent.machine.running import RunningMachine
from backend.agent.machine.supervisor import Supervisor
from backend.agent.watch.peaks import Peaks
from backend.host.base import Host
from backend.model import MachineStatus, Notice
from backend.paths import MachineDir


class NoEndpoint:
    """Nobody connects to it."""

    async def open(self) -> None:
        """Nothing listens."""

    async def engine_answers(self) -> None:
        """Nothing is prepared."""


class NoStarts:
    """Nothing is started by itself."""

    is_held = False

    async def may_start_on_demand(self) -> bool:
        """Never."""
        return False


def supervisor_of(
    host: Host,
    directory: MachineDir,
    *,
    publish: Callable[[MachineStatus], None],
    notify: Callable[[Notice], None],
    deadlines: Deadlines | None = None,
) -> Supervisor:
    """Make one; see `Supervisor` for what it is given."""
    made = Supervisor(
        host,
        directory,
        RunningMachine(host, directory),
        peaks=Peaks(host, directory),
        publish=publish,
        notify=notify,
        deadlines=deadlines,
    )
    made.attach(NoEndpoint(), NoStarts())
    return made
