"""Requests that start and stop: the machine, and the agent itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from backend.agent.core.lifecycle import RestartRequested, StartRequested, StopRequested
from backend.agent.machine.supervisor import Supervisor
from backend.agent.operations.checkpoints import Checkpoints
from backend.agent.operations.operations import Operations
from backend.agent.operations.updating import Updates
from backend.control import messages
from backend.control.messages.request import Handler
from backend.errors import WherryError
from backend.model import StopPolicy

_REPLY_S: Final = 0.05
"""So that the reply is sent before the agent ends."""


class MachineControl:
    """One per agent."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        checkpoints: Checkpoints,
        updates: Updates,
        *,
        let_go_of_endpoint: Callable[[], Awaitable[None]],
        end_agent: Callable[[], None],
    ) -> None:
        self._supervisor = supervisor
        self._operations = operations
        self._checkpoints = checkpoints
        self._updates = updates
        self._let_go_of_endpoint = let_go_of_endpoint
        self._end_agent = end_agent

    def handlers(self) -> tuple[Handler, ...]:
        """The handlers for the control channel."""
        return (
            messages.Start.handled_by(self.start),
            messages.Stop.handled_by(self.stop),
            messages.Restart.handled_by(self.restart),
            messages.GetPhase.handled_by(self.get_phase),
            messages.ShutDownAgent.handled_by(self.shut_down_agent),
        )

    async def start(self, _request: messages.Start) -> messages.Accepted:
        """Start the machine, or let it continue. Raises WherryError: BUSY, or what could not be put in order."""
        await self._operations.settle()
        self._operations.refuse_meanwhile()
        with contextlib.suppress(WherryError):  # a machine that cannot be asked is told of by its watchdog
            await self._supervisor.resume_cpus()
        if not self._supervisor.is_live:
            await self._checkpoints.settled()
        if await self._updates.wants_update():
            await self._updates.update_in_background()
            return messages.Accepted(seq=self._supervisor.status().seq)
        return messages.Accepted(seq=await self._supervisor.ask(StartRequested()))

    async def stop(self, request: messages.Stop) -> messages.Accepted:
        """Stop or suspend the machine. Raises WherryError: BUSY."""
        self._operations.refuse_under_way()
        return messages.Accepted(seq=await self._supervisor.ask(StopRequested(request.policy)))

    async def restart(self, request: messages.Restart) -> messages.Accepted:
        """Stop the machine and start it again. Raises WherryError: BUSY, or what could not be put in order."""
        policy = StopPolicy.KILL if request.kill else StopPolicy.POWER_DOWN
        await self._operations.settle()
        self._operations.refuse_meanwhile()
        return messages.Accepted(seq=await self._supervisor.ask(RestartRequested(policy)))

    async def get_phase(self, _request: messages.GetPhase) -> messages.CurrentPhase:
        """Return the machine's phase."""
        return messages.CurrentPhase(phase=self._supervisor.phase)

    async def shut_down_agent(self, request: messages.ShutDownAgent) -> messages.Done:
        """End the agent; the machine goes on. Raises WherryError: BUSY, or that docker still starts an agent."""
        self._operations.refuse_under_way()
        if request.for_good:
            await self._let_go_of_endpoint()
        asyncio.get_running_loop().call_later(_REPLY_S, self._end_agent)
        return messages.Done()
