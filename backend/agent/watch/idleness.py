"""Suspends or stops the machine when it has been idle: no container runs and no docker command comes.

Off unless the settings have a number of minutes. It is an ordinary stop or suspend, so the next docker command starts
the machine again, as after a stop by the user.
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
from backend.messages import message
from backend.model import MachineStatus, Notice, Phase, StopPolicy
from backend.settings.config import Config
from backend.stream import ByteStream

_log = logging.getLogger(__name__)

_TICK_S: Final = 15.0
_ASK_S: Final = 30.0
_ANSWER_BYTES: Final = 4_194_304
_RUNNING: Final = "/containers/json?limit=1"
"""Without `all`: only running and paused containers."""


class IdleMachine(Protocol):
    """The part of the supervisor that `Idleness` uses."""

    def status(self) -> MachineStatus:
        """The current status."""
        ...

    async def ask(self, event: StopRequested) -> int:
        """Request a stop. Returns the number of a status that shows it."""
        ...

    async def dial(self, *, wakes: bool = True) -> ByteStream:
        """Open a stream to the engine; `wakes`: start the machine for it if needed. Raises WherryError."""
        ...


class Idleness:
    """Stops an idle machine while `run` runs."""

    def __init__(
        self,
        machine: IdleMachine,
        activity: Activity,
        *,
        load_config: Callable[[], Config],
        notify: Callable[[Notice], None],
        tick_s: float = _TICK_S,
        minute_s: float = 60.0,
    ) -> None:
        """
        Args:
            load_config: reads the settings; raises WherryError. Called in a thread.
            tick_s: interval of the checks in seconds.
            minute_s: length of a minute of the settings in seconds; shorter in tests.
        """
        self._machine = machine
        self._activity = activity
        self._load_config = load_config
        self._notify = notify
        self._tick_s = tick_s
        self._minute_s = minute_s

    async def run(self) -> None:
        """Check regularly until cancelled."""
        idle_since: float | None = None
        while True:
            await asyncio.sleep(self._tick_s)
            minutes, policy = await self._settings()
            # The phase is checked again, because the engine's answer takes time.
            if not (minutes and self._may_stop and await self._is_idle() and self._may_stop):
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            needed_s = minutes * self._minute_s
            if time.monotonic() - idle_since >= needed_s and self._activity.idle_s >= needed_s:
                idle_since = None
                self._notify(
                    Notice(
                        level="info",
                        text=message("Suspended after {minutes} idle minutes.", minutes=minutes)
                        if policy is StopPolicy.SUSPEND
                        else message("Stopped after {minutes} idle minutes.", minutes=minutes),
                    )
                )
                await self._machine.ask(StopRequested(policy, by_person=False))

    @property
    def _may_stop(self) -> bool:
        status = self._machine.status()
        return status.phase is Phase.RUNNING and status.operation is None

    async def _settings(self) -> tuple[int, StopPolicy]:
        try:
            section = (await asyncio.to_thread(self._load_config)).machine
        except WherryError:
            return 0, StopPolicy.SUSPEND  # invalid settings: no automatic stop
        policy = StopPolicy.SUSPEND if section.idle_action == "suspend" else StopPolicy.POWER_DOWN
        return section.idle_minutes, policy

    async def _is_idle(self) -> bool:
        """Whether no container runs. False if the engine does not answer."""
        try:
            # This request must not start a machine that is being stopped meanwhile.
            dial = partial(self._machine.dial, wakes=False)
            status, body = await ask(dial, "GET", _RUNNING, timeout_s=_ASK_S, limit_bytes=_ANSWER_BYTES)
            return status == 200 and not read_answer(body, f"GET {_RUNNING}").objects()
        except WherryError as error:
            _log.info("whether a container runs is not known: %s", error)
            return False
