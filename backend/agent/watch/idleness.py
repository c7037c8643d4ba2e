"""Puts the machine away when nobody has needed it for a while: no container runs, no docker command came.

Off unless the settings say after how many minutes. What puts it away is an ordinary stop or suspend, so that the next
docker command brings it back, as after one by hand.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from backend.agent.core.lifecycle import StopRequested
from backend.engine.ask import ask
from backend.engine.engine_json import read_answer
from backend.engine.front.activity import Activity
from backend.errors import WherryError
from backend.model import MachineStatus, Notice, Phase, StopPolicy
from backend.settings.config import Config
from backend.stream import ByteStream

_log = logging.getLogger(__name__)

_TICK_S: Final = 15.0
_ASK_S: Final = 30.0
_ANSWER_BYTES: Final = 4_194_304
_RUNNING: Final = "/containers/json?limit=1"
"""Without `all`, so only of those that run or are paused."""


class Machine(Protocol):
    """What is needed of the supervisor."""

    def status(self) -> MachineStatus:
        """The present snapshot."""
        ...

    async def ask(self, event: StopRequested) -> int:
        """Hand over a request."""
        ...

    async def dial(self, *, wakes: bool = True) -> ByteStream:
        """A stream to the engine; `wakes`: of a machine that has to be started for it, too. Raises WherryError."""
        ...


class Idleness:
    """One per agent."""

    def __init__(
        self,
        machine: Machine,
        activity: Activity,
        *,
        load_config: Callable[[], Config],
        notify: Callable[[Notice], None],
        tick_s: float = _TICK_S,
        minute_s: float = 60.0,
    ) -> None:
        """Make it.

        Args:
            load_config: reads the settings; raises WherryError. Run in a thread.
            tick_s: how often it is looked, in seconds.
            minute_s: seconds in a minute of the settings; shorter in tests.
        """
        self._machine = machine
        self._activity = activity
        self._load_config = load_config
        self._notify = notify
        self._tick_s = tick_s
        self._minute_s = minute_s

    async def run(self) -> None:
        """Look again and again until cancelled."""
        idle_since: float | None = None
        while True:
            await asyncio.sleep(self._tick_s)
            minutes, policy = await self._wanted()
            # The engine's answer takes its time, in which somebody may have begun something.
            if not (minutes and self._may_rest and await self._is_idle() and self._may_rest):
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            needed_s = minutes * self._minute_s
            if time.monotonic() - idle_since >= needed_s and self._activity.idle_s >= needed_s:
                idle_since = None
                what = "suspended" if policy is StopPolicy.SUSPEND else "stopped"
                self._notify(
                    Notice(
                        level="info",
                        text=f"The machine is {what}: no container has run for {minutes} minutes. "
                        "The next docker command brings it back.",
                    )
                )
                await self._machine.ask(StopRequested(policy))

    @property
    def _may_rest(self) -> bool:
        status = self._machine.status()
        return status.phase is Phase.RUNNING and status.operation is None

    async def _wanted(self) -> tuple[int, StopPolicy]:
        try:
            section = (await asyncio.to_thread(self._load_config)).machine
        except WherryError:
            return 0, StopPolicy.SUSPEND  # broken settings: nothing is done by itself
        policy = StopPolicy.SUSPEND if section.idle_action == "suspend" else StopPolicy.POWER_DOWN
        return section.idle_minutes, policy

    async def _is_idle(self) -> bool:
        """Whether no container runs. One whose engine does not say counts as busy."""
        try:
            # A machine that is put away by somebody else meanwhile is not to be brought back by this question.
            dial = partial(self._machine.dial, wakes=False)
            status, body = await ask(dial, "GET", _RUNNING, timeout_s=_ASK_S, limit_bytes=_ANSWER_BYTES)
            return status == 200 and not read_answer(body, f"GET {_RUNNING}").objects()
        except WherryError as error:
            _log.info("whether a container runs is not known: %s", error)
            return False
