"""Monitors the running machine: QEMU, its CPUs, the guest, SSH, the engine, and free space on the host's disk.

Each gets one probe at a time, which stays open until it is answered. `watch_rules` decides by how long a probe has been
open. Nothing is saved: a new agent starts counting from zero.
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
from backend.agent.watch.guest_clock import Clock, GuestClock, HostClock, TimeJumps
from backend.agent.watch.watch_rules import Act, Diagnosis, Observation, SilenceLimits, WatchState, judge
from backend.errors import Problem, WherryError
from backend.host.process import is_stopped
from backend.messages import message, sentences
from backend.model import Notice, Phase
from backend.vm.qemu import QemuDriver

_log = logging.getLogger(__name__)

_TICK_S: Final = 1.0
_PROBE_TIMEOUT_S: Final = 3600.0
_ACT_S: Final = 10.0
_CONTINUE_EVERY_S: Final = 5.0
_UP: Final = (Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED)
_PAUSED: Final = ("paused", "io-error")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedMachine:
    """What the watchdog monitors, and the functions that it calls."""

    driver: QemuDriver
    phase: Callable[[], Phase]
    link: Callable[[], GuestLink | None]
    hardware: Callable[[], bool]
    changed: Callable[[], None]
    """Called when `Watchdog.problems` or `warnings` have changed."""
    notify: Callable[[Notice], None]
    data_disk: Callable[[], Path]
    record_usage: Callable[[], None]
    """Called regularly, in a thread, to measure the machine's use of memory and disk."""


class _Probe:
    """A request that is repeated every `every_s` seconds, at most one at a time."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = 0.0
        self._asking: asyncio.Task[Any] | None = None
        self.answer: Any = None
        self.has_answered = False
        """Since the last `poll`."""

    @property
    def is_open(self) -> bool:
        return self._asking is not None

    def poll(self, passed_s: float, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Store the answer if it has come, and start the next request when it is due. An exception is no answer."""
        self.has_answered = False
        self._due_s -= passed_s
        if self._asking is not None and self._asking.done():
            done, self._asking = self._asking, None
            if not done.cancelled() and (error := done.exception()) is None:
                self.answer = done.result()
                self.has_answered = True
            elif not done.cancelled() and not isinstance(error, WherryError | ConnectionError):
                _log.error("a probe failed", exc_info=error)
        if self._asking is None and self._due_s <= 0:
            self._due_s = self._every_s
            self._asking = asyncio.create_task(ask(), name="watchdog probe")

    async def aclose(self) -> None:
        """Cancel the open request."""
        self._due_s = 0.0
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait({asking}, timeout=2)


class Watchdog:
    """Call `watch` once for each run of the machine."""

    def __init__(self, machine: WatchedMachine, deadlines: Deadlines, clock: Clock | None = None) -> None:
        self._machine = machine
        self._deadlines = deadlines
        self._clock = clock or HostClock()
        self._diagnosis = Diagnosis()
        self._guest: Guest | None = None
        self._continue_after = 0.0
        self.guest_clock: GuestClock | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the machine cannot be used now; empty if it can."""
        return (self._diagnosis.problem,) if self._diagnosis.problem is not None else ()

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the user should know while the machine can be used."""
        return (self._diagnosis.warning,) if self._diagnosis.warning is not None else ()

    async def watch(self, guest: Guest) -> None:
        """Watch until the connection to the guest ends."""
        self._guest = guest
        self._diagnosis = Diagnosis()
        control = guest.control

        async def ask(command: str, timeout_s: float) -> str:
            return await control.ask(command, timeout_s=timeout_s)

        clock = self.guest_clock = GuestClock(ask, control.send, self._clock)
        tasks = Background(self._crashed)
        keeping = tasks.spawn(clock.run(), "the guest's clock")
        tasks.spawn(self._handle_events(clock), "QEMU's events")
        checking = tasks.spawn(self._check_regularly(clock), "the watchdog")
        try:
            # The clock's task ends with the control port.
            await asyncio.wait({keeping, checking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.aclose()
            if self._guest is guest:
                self._guest = None
                self._diagnosis = Diagnosis()

    def _crashed(self, problem: Problem) -> None:
        self._machine.notify(Notice(level="error", text=sentences(problem.summary, problem.hint)))

    async def _handle_events(self, clock: GuestClock) -> None:
        async for event in self._machine.driver.monitor.events():
            if event.name in ("STOP", "RESUME", "BLOCK_IO_ERROR", "GUEST_PANICKED", "WATCHDOG"):
                _log.info("QEMU: %s %s", event.name, event.data)
            if event.name == "RESUME":
                clock.wake()

    async def _check_regularly(self, clock: GuestClock) -> None:
        machine, watch_state = self._machine, WatchState()
        jumps = TimeJumps(self._clock)
        monitor, engine, free_space = _Probe(3.0), _Probe(15.0), _Probe(15.0)
        tick_s = min(_TICK_S, self._deadlines.watch_s(WATCH, hardware=True))
        was_paused = False
        opened: GuestLink | None = None
        before = self._clock.steady()

        def on_opened() -> None:
            nonlocal opened
            opened = machine.link()

        try:
            while True:
                await asyncio.sleep(tick_s)
                now = self._clock.steady()
                passed, before = now - before, now
                if jumps.check(every_s=tick_s):
                    clock.wake()
                if machine.phase() not in _UP:
                    watch_state = WatchState(host_free=watch_state.host_free, low=watch_state.low)
                    await engine.aclose()
                    self._report(Diagnosis(warning=self._diagnosis.warning))
                    continue
                pid = machine.driver.pid
                stopped = pid is not None and is_stopped(pid)
                monitor.poll(passed, self._ask_monitor)
                free_space.poll(passed, self._ask_free_space)
                state, no_space = monitor.answer or ("running", False)
                # A link that is not ready is being connected by the supervisor, and must not be used.
                link = machine.link()
                if link is not None and link.is_ready:
                    if not engine.is_open:
                        opened = None
                    engine.poll(passed, partial(link.probe, on_opened))
                else:
                    await engine.aclose()
                observation = Observation(
                    passed_s=passed,
                    stopped=stopped,
                    deaf=monitor.is_open and not monitor.has_answered,
                    state=state,
                    no_space=no_space,
                    guest_silent=clock.is_waiting,
                    ssh_silent=engine.is_open and opened is None,
                    engine_silent=engine.is_open and opened is not None,
                    engine_answers=engine.has_answered and bool(engine.answer),
                    host_free=free_space.answer if free_space.has_answered else None,
                )
                watch_state, diagnosis = judge(watch_state, observation, self._limits())
                is_paused = stopped or monitor.is_open or state in _PAUSED
                if was_paused and not is_paused:
                    clock.wake()
                was_paused = is_paused
                self._report(diagnosis)
                await self._act(diagnosis)
        finally:
            for probe in (monitor, engine, free_space):
                await probe.aclose()

    async def _ask_monitor(self) -> tuple[str, bool]:
        """QEMU's run state, and whether the reason is that the host's disk was full."""
        monitor = self._machine.driver.monitor
        state = await monitor.status(timeout_s=_PROBE_TIMEOUT_S)
        if state != "io-error":
            return state, False
        devices = await monitor.execute("query-block", timeout_s=_PROBE_TIMEOUT_S)
        return state, any(device.text("io-status") == "nospace" for device in devices.objects())

    async def _ask_free_space(self) -> int | None:
        """Free bytes on the data disk's file system; None if they cannot be determined."""

        def measure() -> int | None:
            self._machine.record_usage()
            try:
                return shutil.disk_usage(self._machine.data_disk().parent).free
            except OSError:
                return None  # missing or unreadable, which is reported elsewhere

        return await asyncio.to_thread(measure)

    def _limits(self) -> SilenceLimits:
        hardware = self._machine.hardware()
        return SilenceLimits(
            deaf_s=self._deadlines.watch_s(DEAF, hardware=hardware),
            hung_s=self._deadlines.watch_s(HUNG, hardware=hardware),
            silent_s=self._deadlines.watch_s(SILENT, hardware=hardware),
            revived_s=self._deadlines.watch_s(REVIVED, hardware=hardware),
        )

    def _report(self, diagnosis: Diagnosis) -> None:
        before, self._diagnosis = self._diagnosis, diagnosis
        if (before.problem, before.warning) == (diagnosis.problem, diagnosis.warning):
            return
        if diagnosis.problem is not None and diagnosis.problem != before.problem:
            _log.warning("%s", diagnosis.problem.as_text())
            self._machine.notify(Notice(level="error", text=diagnosis.problem.summary))
        elif diagnosis.problem is None and before.problem is not None:
            self._machine.notify(
                Notice(level="info", text=message("Solved: {summary}", summary=before.problem.summary))
            )
        if diagnosis.warning is not None and before.warning is None:
            self._machine.notify(Notice(level="warning", text=diagnosis.warning.summary))
        self._machine.changed()

    async def _act(self, diagnosis: Diagnosis) -> None:
        link = self._machine.link()
        if diagnosis.lost is not None and link is not None:
            await link.report_lost(diagnosis.lost, drop=Act.REVIVE_SSH in diagnosis.acts)
        for act in diagnosis.acts:
            try:
                if act is Act.CONTINUE:
                    await self._resume_if_due()
                else:
                    await self._restart_service(act)
            except WherryError as error:
                _log.warning("could not %s: %s", act.value, error.problem.summary)

    async def _resume_if_due(self) -> None:
        now = self._clock.steady()
        if now >= self._continue_after:
            self._continue_after = now + _CONTINUE_EVERY_S
            await self._machine.driver.monitor.execute("cont", timeout_s=_ACT_S)

    async def _restart_service(self, act: Act) -> None:
        is_engine = act is Act.REVIVE_ENGINE
        name = "dockerd" if is_engine else "sshd"
        told = (
            message("The Docker engine isn't responding. Restarting it…")
            if is_engine
            else message("The guest's SSH server isn't responding. Restarting it…")
        )
        self._machine.notify(Notice(level="warning", text=told))
        if self._guest is not None:
            await self._guest.control.ask(f"restart {name}", timeout_s=_ACT_S)

    async def resume_cpus(self) -> bool:
        """Resume CPUs that are paused. Returns whether they were. Raises WherryError."""
        monitor = self._machine.driver.monitor
        if self._machine.phase() not in _UP:
            return False
        state = await monitor.status(timeout_s=_ACT_S)
        if state not in _PAUSED:
            return False
        await monitor.execute("cont", timeout_s=_ACT_S)
        return True
