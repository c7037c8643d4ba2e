"""Stopping and starting the machine as a step of something longer: asked through the supervisor, and waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from backend.agent.core.changes import Value
from backend.agent.core.lifecycle import Event, StartRequested, StopRequested
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import Message, message
from backend.model import MachineStatus, Phase, StopPolicy

_log = logging.getLogger(__name__)

_STOP_S: Final = 900.0
"""More than an orderly stop takes before the supervisor itself ends QEMU."""
_KILL_S: Final = 30.0
_START_S: Final = 1200.0
_DEGRADED_S: Final = 240.0
"""How long the engine may fail to answer, once the guest runs."""


class Machine(Protocol):
    """What is needed of the supervisor."""

    def status(self) -> MachineStatus:
        """The present snapshot."""
        ...

    async def ask(self, event: Event) -> int:
        """Hand over a request; it has been heeded when this returns."""
        ...

    async def until(self, condition: Callable[[], Value], what: Message, *, timeout_s: float | None) -> Value:
        """See `Changes.until`."""
        ...


class Power:
    """Of one machine. Only the operation under way uses it: nobody else can ask for a start or stop meanwhile."""

    def __init__(self, machine: Machine, *, degraded_s: float = _DEGRADED_S) -> None:
        self._machine = machine
        self._degraded_s = degraded_s

    @property
    def is_wanted(self) -> bool:
        """Whether there is a machine that would have to be brought back after having been stopped."""
        return self._machine.status().phase.is_live

    async def stop(self, *, at_once: bool = False) -> None:
        """Bring it down in order, a suspended one too: that goes on first, so that its containers can end.

        Args:
            at_once: without waiting for containers. The saved state of a suspended machine is given up then.

        Raises:
            WherryError: it is not down, or the suspended machine could not go on; then its state is still saved.
        """
        policy = StopPolicy.KILL if at_once else StopPolicy.POWER_DOWN
        for _ in range(2):  # one that failed shows only when that is put away whether it is suspended
            suspended = self._machine.status().phase is Phase.SUSPENDED
            await self._machine.ask(StopRequested(policy, by_person=False))
            try:
                await self._until_down(_STOP_S + (_START_S if suspended else 0))
            except WherryError:
                _log.warning("the machine did not stop in order; it is ended")
                await self._machine.ask(StopRequested(StopPolicy.KILL, by_person=False))
                await self._until_down(_KILL_S)
            match self._phase:
                case Phase.FAILED:
                    raise _why(self._machine.status().problems, message("The machine couldn't be stopped cleanly."))
                case Phase.STOPPED:
                    return
        raise fail(
            ProblemCode.WRONG_PHASE,
            message("The machine is suspended and couldn't be stopped cleanly."),
            hint=message("Start it (wherry start), stop it, then try again."),
        )

    async def start(self) -> None:
        """Bring it up until the engine answers.

        Raises:
            WherryError: why it does not; the machine may be up without its engine then.
        """
        await self._machine.ask(StartRequested())
        clock = asyncio.get_running_loop().time
        deadline = clock() + _START_S
        while True:
            phase = await self._machine.until(
                self._decided, message("The machine didn't start."), timeout_s=deadline - clock()
            )
            if phase is Phase.RUNNING:
                return
            if phase is not Phase.DEGRADED:
                raise _why(self._machine.status().problems, message("The machine stopped while starting."))
            try:
                await self._machine.until(
                    lambda: self._phase is not Phase.DEGRADED or self._is_hopeless,
                    message("The Docker engine didn't respond."),
                    timeout_s=self._degraded_s,
                )
            except WherryError as error:
                raise _why(self._machine.status().problems, message("The Docker engine didn't respond.")) from error
            if self._phase is Phase.DEGRADED:
                raise _why(self._machine.status().problems, message("The Docker engine didn't respond."))

    async def bring_back(self, *, running: bool) -> None:
        """Have it be as it was before: `start` it, or see that it is down. Raises WherryError."""
        if running:
            await self.start()
        elif self._phase.is_live:
            await self.stop()

    @property
    def _phase(self) -> Phase:
        return self._machine.status().phase

    @property
    def _is_hopeless(self) -> bool:
        """Whether the engine is not going to answer, however long it is waited for."""
        return any(problem.code is ProblemCode.DISK_DAMAGED for problem in self._machine.status().problems)

    def _decided(self) -> Phase | None:
        """The phase, once it says whether the start came to something."""
        settled = (Phase.RUNNING, Phase.DEGRADED, Phase.FAILED, Phase.STOPPED, Phase.SUSPENDED)
        return self._phase if self._phase in settled else None

    async def _until_down(self, timeout_s: float) -> None:
        await self._machine.until(
            lambda: not self._phase.is_live, message("The machine didn't stop."), timeout_s=timeout_s
        )


def _why(problems: tuple[Problem, ...], otherwise: Message) -> WherryError:
    if problems:
        return WherryError(problems[0])
    return fail(
        ProblemCode.ENGINE_DOWN, otherwise, hint=message("Check the guest's console: wherry logs guest"), retryable=True
    )
