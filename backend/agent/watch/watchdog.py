"""Looks after the running machine: do QEMU, its processors, guest, SSH and engine go on, and is there room.

Each is asked with one question at a time, which stays open until it is answered: how long it has been open is what
`watch_rules` judges. Nothing here is on disk; an agent that is killed begins to count anew.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from backend.agent.boot.link import GuestLink
from backend.agent.boot.readiness import DEAF, HUNG, REVIVED, SILENT, WATCH, Deadlines
from backend.agent.core.guest import Guest
from backend.agent.core.tasks import Background
from backend.agent.watch.guest_clock import Clock, GuestClock, HostClock, Jumps
from backend.agent.watch.watch_rules import Act, Diagnosis, Memory, Seen, SilenceLimits, judge
from backend.errors import Problem, WherryError
from backend.host.process import is_stopped
from backend.model import Notice, Phase
from backend.vm.qemu import QemuDriver

_log = logging.getLogger(__name__)

_TICK_S: Final = 1.0
_QUESTION_S: Final = 3600.0
_ACT_S: Final = 10.0
_CONTINUE_EVERY_S: Final = 5.0
_UP: Final = (Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED)
_STANDING: Final = ("paused", "io-error")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedMachine:
    """What the watchdog looks at, and whom it tells."""

    driver: QemuDriver
    phase: Callable[[], Phase]
    link: Callable[[], GuestLink | None]
    hardware: Callable[[], bool]
    changed: Callable[[], None]
    """`problems` are different."""
    notify: Callable[[Notice], None]
    data_disk: Callable[[], Path]
    look: Callable[[], None]
    """Called now and then, on a thread, to note what the machine takes of the host."""


class _Question:
    """One question at a time."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._left_s = 0.0
        self._asking: asyncio.Task[Any] | None = None
        self.answer: Any = None
        self.has_answered = False
        """Since the last `go_on`."""

    @property
    def is_open(self) -> bool:
        return self._asking is not None

    def go_on(self, passed_s: float, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Take the answer, if there is one, and ask again when it is time. What `ask` raises is no answer."""
        self.has_answered = False
        self._left_s -= passed_s
        if self._asking is not None and self._asking.done():
            done, self._asking = self._asking, None
            if not done.cancelled() and (error := done.exception()) is None:
                self.answer = done.result()
                self.has_answered = True
            elif not done.cancelled() and not isinstance(error, WherryError | ConnectionError):
                _log.error("a question failed", exc_info=error)
        if self._asking is None and self._left_s <= 0:
            self._left_s = self._every_s
            self._asking = asyncio.create_task(ask(), name="watchdog's question")

    async def aclose(self) -> None:
        """Take it back."""
        self._left_s = 0.0
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait({asking}, timeout=2)


class Watchdog:
    """Of one machine; `watch` is run once for each of its runs."""

    def __init__(self, surroundings: WatchedMachine, deadlines: Deadlines, clock: Clock | None = None) -> None:
        self._around = surroundings
        self._deadlines = deadlines
        self._clock = clock or HostClock()
        self._verdict = Diagnosis()
        self._guest: Guest | None = None
        self._continue_after = 0.0
        self.guest_clock: GuestClock | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the machine cannot be used."""
        return (self._verdict.problem,) if self._verdict.problem is not None else ()

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the user should know while it can be used."""
        return (self._verdict.warning,) if self._verdict.warning is not None else ()

    async def watch(self, guest: Guest) -> None:
        """Until the guest is gone, or cancelled."""
        self._guest = guest
        self._verdict = Diagnosis()
        control = guest.control

        async def ask(command: str, timeout_s: float) -> str:
            return await control.ask(command, timeout_s=timeout_s)

        clock = self.guest_clock = GuestClock(ask, control.send, self._clock)
        tasks = Background(self._crashed)
        keeping = tasks.spawn(clock.run(), "the guest's clock")
        tasks.spawn(self._hear(clock), "QEMU's events")
        looking = tasks.spawn(self._look(clock), "the watchdog")
        try:
            # The clock ends with the control port.
            await asyncio.wait({keeping, looking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.aclose()
            if self._guest is guest:
                self._guest = None
                self._verdict = Diagnosis()

    def _crashed(self, problem: Problem) -> None:
        self._around.notify(Notice(level="error", text=f"{problem.summary} {problem.hint}"))

    async def _hear(self, clock: GuestClock) -> None:
        async for event in self._around.driver.monitor.events():
            if event.name in ("STOP", "RESUME", "BLOCK_IO_ERROR", "GUEST_PANICKED", "WATCHDOG"):
                _log.info("QEMU: %s %s", event.name, event.data)
            if event.name == "RESUME":
                clock.wake()

    async def _look(self, clock: GuestClock) -> None:
        around, memory = self._around, Memory()
        jumps = Jumps(self._clock)
        monitor, engine, room = _Question(3.0), _Question(15.0), _Question(15.0)
        tick_s = min(_TICK_S, self._deadlines.watch_s(WATCH, hardware=True))
        stood_still = False
        opened: GuestLink | None = None
        before = self._clock.steady()

        def note_opened() -> None:
            nonlocal opened
            opened = around.link()

        try:
            while True:
                await asyncio.sleep(tick_s)
                now = self._clock.steady()
                passed, before = now - before, now
                if jumps.look(every_s=tick_s):
                    clock.wake()
                if around.phase() not in _UP:
                    memory = Memory(host_free=memory.host_free, low=memory.low)
                    await engine.aclose()
                    self._tell(Diagnosis(warning=self._verdict.warning))
                    continue
                pid = around.driver.pid
                stopped = pid is not None and is_stopped(pid)
                monitor.go_on(passed, self._ask_monitor)
                room.go_on(passed, self._ask_room)
                state, no_space = monitor.answer or ("running", False)
                # Others look after a link that is not ready; it must not be asked through.
                link = around.link()
                if link is not None and link.is_ready:
                    if not engine.is_open:
                        opened = None
                    engine.go_on(passed, partial(link.probe, note_opened))
                else:
                    await engine.aclose()
                seen = Seen(
                    passed_s=passed,
                    stopped=stopped,
                    deaf=monitor.is_open and not monitor.has_answered,
                    state=state,
                    no_space=no_space,
                    guest_silent=clock.is_waiting,
                    ssh_silent=engine.is_open and opened is None,
                    engine_silent=engine.is_open and opened is not None,
                    engine_answers=engine.has_answered and bool(engine.answer),
                    host_free=room.answer if room.has_answered else None,
                )
                memory, verdict = judge(memory, seen, self._limits())
                stands_still = stopped or monitor.is_open or state in _STANDING
                if stood_still and not stands_still:
                    clock.wake()
                stood_still = stands_still
                self._tell(verdict)
                await self._act(verdict)
        finally:
            for question in (monitor, engine, room):
                await question.aclose()

    async def _ask_monitor(self) -> tuple[str, bool]:
        """QEMU's word for its state, and whether that is because the host's disk was full."""
        monitor = self._around.driver.monitor
        state = await monitor.status(timeout_s=_QUESTION_S)
        if state != "io-error":
            return state, False
        devices = await monitor.execute("query-block", timeout_s=_QUESTION_S)
        return state, any(device.text("io-status") == "nospace" for device in devices.objects())

    async def _ask_room(self) -> int | None:
        """Bytes that are free where the data disk is."""

        def look() -> int | None:
            self._around.look()
            try:
                return shutil.disk_usage(self._around.data_disk().parent).free
            except OSError:
                return None  # gone, or not ours to see: other errors tell that better

        return await asyncio.to_thread(look)

    def _limits(self) -> SilenceLimits:
        hardware = self._around.hardware()
        return SilenceLimits(
            deaf_s=self._deadlines.watch_s(DEAF, hardware=hardware),
            hung_s=self._deadlines.watch_s(HUNG, hardware=hardware),
            silent_s=self._deadlines.watch_s(SILENT, hardware=hardware),
            revived_s=self._deadlines.watch_s(REVIVED, hardware=hardware),
        )

    def _tell(self, verdict: Diagnosis) -> None:
        before, self._verdict = self._verdict, verdict
        if (before.problem, before.warning) == (verdict.problem, verdict.warning):
            return
        if verdict.problem is not None and verdict.problem != before.problem:
            _log.warning("%s", verdict.problem.as_text())
            self._around.notify(Notice(level="error", text=verdict.problem.summary))
        elif verdict.problem is None and before.problem is not None:
            self._around.notify(Notice(level="info", text=f"This is over: {before.problem.summary}"))
        if verdict.warning is not None and before.warning is None:
            self._around.notify(Notice(level="warning", text=verdict.warning.summary))
        self._around.changed()

    async def _act(self, verdict: Diagnosis) -> None:
        link = self._around.link()
        if verdict.lost is not None and link is not None:
            await link.report_lost(verdict.lost, drop=Act.REVIVE_SSH in verdict.acts)
        for act in verdict.acts:
            try:
                if act is Act.CONTINUE:
                    await self._continue_now_and_then()
                else:
                    await self._revive(act)
            except WherryError as error:
                _log.warning("could not %s: %s", act.value, error.problem.summary)

    async def _continue_now_and_then(self) -> None:
        now = self._clock.steady()
        if now >= self._continue_after:
            self._continue_after = now + _CONTINUE_EVERY_S
            await self._around.driver.monitor.execute("cont", timeout_s=_ACT_S)

    async def _revive(self, act: Act) -> None:
        name, title = ("dockerd", "Docker engine") if act is Act.REVIVE_ENGINE else ("sshd", "guest's SSH server")
        self._around.notify(Notice(level="warning", text=f"The {title} does not answer; it is being restarted."))
        if self._guest is not None:
            await self._guest.control.ask(f"restart {name}", timeout_s=_ACT_S)

    async def go_on(self) -> bool:
        """Let the processors go on, if they stand still but could run. Raises WherryError. Returns whether they did."""
        monitor = self._around.driver.monitor
        if self._around.phase() not in _UP:
            return False
        state = await monitor.status(timeout_s=_ACT_S)
        if state not in _STANDING:
            return False
        await monitor.execute("cont", timeout_s=_ACT_S)
        return True
