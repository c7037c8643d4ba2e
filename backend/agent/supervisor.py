"""The only mutable owner of the machine: feeds events to the reducer, runs its effects, publishes whole snapshots.

One task consumes the queue of events, so that no two transitions ever meet. Each effect is a task that ends in an
event; a cancelled one is awaited before the next begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from backend.agent import lifecycle
from backend.agent.boot import CandidateFailed, boot, explain_exit, wait_services
from backend.agent.guest import Guest, explain
from backend.agent.lifecycle import (
    Adopted,
    AdoptFailed,
    CancelWork,
    Connect,
    ConnectFailed,
    Effect,
    EngineLost,
    EngineReady,
    Event,
    Exited,
    GuestReached,
    Launch,
    LaunchFailed,
    Prepare,
    Prepared,
    PrepareFailed,
    RanWell,
    ShutDown,
    StartRequested,
    State,
)
from backend.agent.link import EngineLink
from backend.agent.prepare import Preparation, explain_os_error, prepare_within
from backend.agent.progress import Progress
from backend.agent.readiness import GUEST, PREPARE, Deadlines
from backend.agent.tasks import Tasks
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    MachineResources,
    MachineStatus,
    Notice,
    Phase,
    StopPolicy,
)
from backend.paths import MachineDir
from backend.ssh.keys import ensure_keys
from backend.stream import ByteStream
from backend.vm.guest import GuestProblem, ProblemSolved
from backend.vm.qemu import QemuDriver
from backend.vm.run import RunRecord

_log = logging.getLogger(__name__)

_GUEST_CONNECT_S: Final = 10.0
_ENDPOINT_RETRY_S: Final = 1.0
_RAN_WELL_S: Final = 120.0
_DIAL_S: Final = 300.0
_CLOCK_EVERY_S: Final = 10.0


class Supervisor:
    """One machine."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        *,
        publish: Callable[[MachineStatus], None],
        notify: Callable[[Notice], None],
        open_endpoint: Callable[[], Coroutine[Any, Any, None]],
        announce_endpoint: Callable[[], Coroutine[Any, Any, None]],
        deadlines: Deadlines | None = None,
    ) -> None:
        """Make a supervisor that owns nothing yet.

        Args:
            publish: called with each new snapshot.
            notify: called with things that happened once.
            open_endpoint: serves the docker endpoint, if it is not served yet. Raises WherryError.
            announce_endpoint: lets docker clients know of it; called when the engine answers. MUST NOT raise.
            deadlines: other ones than the ladder's own.
        """
        self._host = host
        self._dir = directory
        self._publish = publish
        self._notify = notify
        self._open_endpoint = open_endpoint
        self._announce_endpoint = announce_endpoint
        self._deadlines = deadlines or Deadlines()
        self._state = State()
        self._events: asyncio.Queue[tuple[Event, asyncio.Future[int] | None]] = asyncio.Queue()
        self._progress = Progress(self._push)
        self._driver = QemuDriver(host, directory)
        self._preparation: Preparation | None = None
        self._accelerator: AcceleratorStatus | None = None
        self._resources: MachineResources | None = None
        self._record: RunRecord | None = None
        self._guest: Guest | None = None
        self._link: EngineLink | None = None
        self._failed_before: tuple[str, ...] = ()
        self._tasks = Tasks(self._crashed)
        self._watcher: asyncio.Task[None] | None = None
        self._doom: Problem | None = None
        """Why we end the QEMU that runs, where nobody asked for it."""
        self._seq = 0
        self._last: MachineStatus | None = None
        self._requested_at = time.time()
        self._running_since: float | None = None
        self._boot_seconds: float | None = None

    # -- what others ask ------------------------------------------------------------------------------------------
    def post(self, event: Event) -> None:
        """Hand over a finding; it is taken in turn."""
        self._events.put_nowait((event, None))

    async def ask(self, event: Event) -> int:
        """Hand over a request, and return the seq of the first snapshot that heeds it."""
        taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._events.put_nowait((event, taken))
        return await taken

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._state.phase

    @property
    def is_live(self) -> bool:
        """Whether there is a machine, on its way up or down too."""
        return self._state.phase not in (Phase.STOPPED, Phase.FAILED)

    def status(self) -> MachineStatus:
        """The present snapshot."""
        return self._last if self._last is not None else self._snapshot()

    async def dial(self) -> ByteStream:
        """A stream to the engine, for the API front; waits while the machine is on its way up.

        Raises:
            WherryError: MACHINE_STOPPED or ENGINE_DOWN.
        """
        deadline = asyncio.get_running_loop().time() + _DIAL_S
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            if self._state.desired is Desired.STOPPED or self._state.phase in (Phase.STOPPED, Phase.FAILED):
                raise fail(
                    ProblemCode.MACHINE_STOPPED,
                    "The Wherry machine is not running.",
                    hint="Start it with `wherry start` or in the Wherry window.",
                    retryable=True,
                )
            if self._link is not None:
                try:
                    return await self._link.dial(timeout_s=min(left, 1.0))
                except WherryError as error:
                    if self._link is not None and self._link.is_ready:
                        raise
                    if self._state.phase is Phase.DEGRADED and left < _DIAL_S - 5:
                        raise (WherryError(self._state.problems[0]) if self._state.problems else error) from error
            else:
                await asyncio.sleep(0.05)
        raise fail(ProblemCode.ENGINE_DOWN, f"The engine did not answer within {_DIAL_S:g} s.", retryable=True)

    @property
    def link(self) -> EngineLink | None:
        """The way into the guest, while there is one."""
        return self._link

    # -- life -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Adopt what runs, then serve events until cancelled."""
        await self._adopt()
        while True:
            event, taken = await self._events.get()
            before = self._state
            self._state, effects = lifecycle.reduce(before, event)
            _log.info("%s: %s -> %s %s", event, before.phase.value, self._state.phase.value, list(effects))
            self._note(event, before)
            self._push()
            if taken is not None and not taken.done():
                taken.set_result(self.status().seq)
            for effect in effects:
                await self._perform(effect)

    async def detach(self) -> None:
        """Let go of everything without touching the machine: the agent ends, QEMU goes on."""
        await self._tasks.aclose()
        if self._link is not None:
            await self._link.aclose()
        if self._guest is not None:
            await self._guest.control.aclose()
        await self._driver.detach()

    def _note(self, event: Event, before: State) -> None:
        """What a transition means for everything that is not in the state."""
        if self._state.run != before.run and self._state.phase is Phase.PREPARING:
            self._failed_before = ()
            self._requested_at = time.time()
            self._boot_seconds = None
            self._progress.reset()
        match event:
            case EngineReady() if self._state.phase is Phase.RUNNING and before.phase is not Phase.RUNNING:
                self._running_since = self._running_since or time.time()
                if self._boot_seconds is None and self._progress.seconds is not None:
                    self._boot_seconds = round(self._progress.seconds, 3)
                self._tasks.spawn(self._tell_ran_well(self._state.run), "ran well")
            case Exited(problem=problem) if problem is not None and before.phase is not Phase.STOPPING:
                again = " It is being started again." if self._state.phase is Phase.PREPARING else ""
                self._notify(Notice(level="error", text=problem.summary + again))
        if self._state.phase in (Phase.STOPPED, Phase.FAILED):
            self._running_since = None
        if self._state.phase is Phase.FAILED and before.phase is not Phase.FAILED:
            self._progress.fail()
        if self._state.phase is Phase.STOPPED and before.phase is not Phase.STOPPED:
            self._progress.clear()

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case CancelWork():
                await self._tasks.cancel_work()
            case Prepare():
                self._tasks.begin(self._prepare(self._state.run), "prepare")
            case Launch(candidate):
                self._tasks.begin(self._launch(self._state.run, candidate), f"launch {candidate}")
            case Connect():
                self._tasks.begin(self._connect(self._state.run), "connect")
            case ShutDown(policy):
                self._tasks.shut_down(self._shut_down(self._state.run, policy))

    def _crashed(self, problem: Problem) -> None:
        """A defect of ours in an effect: the machine must not hang in its phase because of it."""
        self._tasks.spawn(self._give_up(self._state.run, problem), "give up")

    async def _give_up(self, run: int, problem: Problem) -> None:
        await self._end(problem)
        if not self._is_watched:
            self.post(LaunchFailed(run, problem, try_next=False))
            self.post(Exited(run, orderly=False, problem=problem))

    async def _end(self, problem: Problem) -> None:
        """End QEMU for this reason; who watches it reports that."""
        self._doom = problem
        await self._driver.kill()

    def _watch(self, run: int) -> None:
        self._doom = None
        self._watcher = self._tasks.spawn(self._watch_exit(run), "watch QEMU")

    @property
    def _is_watched(self) -> bool:
        """Whether the end of QEMU is going to be reported."""
        return self._watcher is not None and not self._watcher.done()

    async def _tell_ran_well(self, run: int) -> None:
        await asyncio.sleep(_RAN_WELL_S)
        self.post(RanWell(run))

    # -- effects --------------------------------------------------------------------------------------------------
    async def _adopt(self) -> None:
        try:
            record = await self._driver.adopt()
            if record is None:
                self._push()
                return
            _log.info("adopting the QEMU %s (pid %s)", record.uuid, self._driver.pid)
            self._link = self._new_link(await asyncio.to_thread(ensure_keys, self._dir.keys))
        except WherryError as error:
            if error.problem.code is ProblemCode.NOT_OURS:
                self.post(AdoptFailed(error.problem))
                return
            _log.warning("the running QEMU cannot be adopted: %s", error.problem.as_text())
            await self._driver.abandon()
            self.post(AdoptFailed(error.problem))
            self.post(StartRequested())  # it was wanted, and no longer runs: bring it back
            return
        self._take_record(record)
        self._running_since = record.requested_at
        self._state, effects = lifecycle.reduce(self._state, Adopted())
        self._watch(self._state.run)
        self._push()
        for effect in effects:
            await self._perform(effect)

    async def _prepare(self, run: int) -> None:
        self._progress.begin(PREPARE)
        try:
            deadline_s = self._deadlines.of(PREPARE, hardware=False)
            self._preparation = await prepare_within(deadline_s, self._host, self._dir)
            await self._open_endpoint()
        except WherryError as error:
            self.post(PrepareFailed(run, error.problem))
        except OSError as error:
            self.post(PrepareFailed(run, explain_os_error(error)))
        else:
            self._resources = self._preparation.resources
            self.post(Prepared(run, len(self._preparation.plan.candidates)))

    async def _launch(self, run: int, number: int) -> None:
        preparation = self._preparation
        assert preparation is not None
        candidate = preparation.plan.candidates[number]
        try:
            self._accelerator = await boot(
                self._host,
                self._dir,
                self._driver,
                preparation,
                candidate,
                progress=self._progress,
                deadlines=self._deadlines,
                requested_at=self._requested_at,
                earlier=self._failed_before,
            )
        except CandidateFailed as error:
            if error.reason:
                self._failed_before = (*self._failed_before, error.reason)
                self._notify(Notice(level="warning", text=f"{error.reason}. Trying the next way."))
            self.post(LaunchFailed(run, error.problem, error.try_next))
            return
        except OSError as error:
            await self._driver.kill()
            self.post(LaunchFailed(run, explain_os_error(error), try_next=False))
            return
        self._link = self._new_link(preparation.keys)
        self._watch(run)
        try:
            guest = await self._open_guest(run)
            guest_s = self._deadlines.of(GUEST, hardware=self._is_hardware)
            await wait_services(self._driver, guest, deadline_s=guest_s, progress=self._progress)
        except WherryError as error:
            await self._end(error.problem)
            return  # Exited tells
        self.post(GuestReached(run))

    async def _open_guest(self, run: int) -> Guest:
        """Open the control port and follow it. Raises WherryError."""
        try:
            control = await self._driver.connect_guest(timeout_s=_GUEST_CONNECT_S)
        except (TimeoutError, OSError) as error:
            raise fail(
                ProblemCode.BOOT_FAILED,
                "The guest's control port does not open.",
                command=f"connect {self._dir.control_socket}",
                hint="Stop the machine at once and start it again: wherry stop --kill",
                retryable=True,
            ) from error
        self._guest = guest = Guest(control)
        assert self._link is not None
        self._tasks.spawn(self._follow_guest(guest, self._link, run), f"guest events {run}")
        self._tasks.spawn(self._keep_clock(control, run), "clock")
        return guest

    async def _follow_guest(self, guest: Guest, link: EngineLink, run: int) -> None:
        """Act on what the guest says, for as long as it speaks."""
        async for event in guest.events():
            link.heed(event)
            if isinstance(event, GuestProblem):
                self._notify(Notice(level="error", text=explain(event).summary))
                for problem in guest.without_engine:
                    self.post(ConnectFailed(run, problem))
            if isinstance(event, GuestProblem | ProblemSolved):
                self._push()

    async def _keep_clock(self, control: Any, run: int) -> None:
        """The guest's clock stands still while the host sleeps; it is told the time every few seconds."""
        with contextlib.suppress(ConnectionError):
            while run == self._state.run:
                await control.send(f"time {time.time():.3f}")
                await asyncio.sleep(_CLOCK_EVERY_S)

    async def _connect(self, run: int) -> None:
        link = self._link
        assert link is not None
        try:
            if self._guest is None:  # adopted
                await self._open_guest(run)
        except WherryError as error:
            await self._end(error.problem)
            return  # Exited tells
        for problem in self._guest.without_engine if self._guest is not None else ():
            self.post(ConnectFailed(run, problem))
        await self._serve_endpoint(run)
        await link.establish(hardware=self._is_hardware, slow=lambda problem: self.post(ConnectFailed(run, problem)))
        await self._announce_endpoint()
        self.post(EngineReady(run))
        why = await link.until_lost()
        problem = Problem(
            code=ProblemCode.ENGINE_DOWN,
            summary=f"The Docker engine does not answer: {why}. Wherry is reconnecting.",
            hint="It is started again by itself. If that does not help: wherry restart",
            retryable=True,
        )
        self.post(EngineLost(run, problem))

    async def _serve_endpoint(self, run: int) -> None:
        """Prepare does it too; the endpoint of a machine that was adopted may be taken, which must not end it."""
        told = False
        while True:
            try:
                return await self._open_endpoint()
            except WherryError as error:
                if not told:
                    self.post(ConnectFailed(run, error.problem))
                told = True
            await asyncio.sleep(_ENDPOINT_RETRY_S)

    async def _watch_exit(self, run: int) -> None:
        exit_ = await self._driver.wait()
        orderly = self._guest is not None and self._guest.shut_down_in_order
        problem = None if orderly else self._doom or explain_exit(exit_)
        await self._release()
        self.post(Exited(run, orderly, problem))

    async def _shut_down(self, run: int, policy: StopPolicy) -> None:
        if self._driver.pid is None:
            await self._release()
            self.post(Exited(run, orderly=True, problem=None))
            return
        if policy is StopPolicy.POWER_DOWN and (guest := await self._listening_guest(run)) is not None:
            with contextlib.suppress(ConnectionError):
                await guest.control.send("poweroff")
                if await self._gone_within(self._deadlines.shutdown_s(hardware=self._is_hardware)):
                    return
            _log.warning("the guest did not shut down in time")
            self._notify(Notice(level="warning", text="The guest did not shut down in time and was ended."))
        await self._driver.kill()
        if not self._is_watched:  # it was stopped before its kernel showed life
            await self._release()
            self.post(Exited(run, orderly=True, problem=None))

    async def _listening_guest(self, run: int) -> Guest | None:
        """The guest, if there is one that can shut itself down. One that was just adopted is given time to say so."""
        if self._record is not None:
            with contextlib.suppress(WherryError, TimeoutError):
                async with asyncio.timeout(_GUEST_CONNECT_S):
                    await (self._guest or await self._open_guest(run)).any_stage()
        return self._guest if self._guest is not None and self._guest.stages else None

    async def _gone_within(self, seconds: float) -> bool:
        """Whether QEMU is gone within the time (`_watch_exit` tells the reducer)."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._driver.pid is not None:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _release(self) -> None:
        """Close what led to the guest that is gone."""
        link, self._link = self._link, None
        guest, self._guest = self._guest, None
        self._accelerator = None
        self._record = None
        if link is not None:
            await link.aclose()
        if guest is not None:
            await guest.control.aclose()

    def _new_link(self, keys: Any) -> EngineLink:
        return EngineLink(self._driver, keys, self._dir.keys / "known_hosts", self._progress, self._deadlines)

    def _take_record(self, record: RunRecord) -> None:
        self._record = record
        self._accelerator = record.accelerator
        self._resources = record.resources

    @property
    def _is_hardware(self) -> bool:
        return self._accelerator is not None and self._accelerator.hardware

    # -- snapshots ------------------------------------------------------------------------------------------------
    def _snapshot(self) -> MachineStatus:
        phase = self._state.phase
        live = phase not in (Phase.STOPPED, Phase.FAILED)
        ready = self._link is not None and self._link.is_ready
        image = self._preparation.image if self._preparation is not None else None
        return MachineStatus(
            seq=self._seq,
            phase=phase,
            desired=self._state.desired,
            steps=self._progress.steps(),
            accelerator=self._accelerator if live else None,
            endpoint=EngineEndpoint(url=self._host.docker_url(self._dir.docker_socket), ready=ready) if live else None,
            resources=self._resources if live else None,
            problems=tuple(dict.fromkeys((*self._state.problems, *(self._guest.problems if self._guest else ())))),
            pid=self._driver.pid,
            ssh_port=self._link.ssh_port if self._link is not None else None,
            started_at=self._running_since if live else None,
            boot_seconds=self._boot_seconds,
            image_version=self._record.image_version if self._record else image.version if image else None,
            engine_version=self._record.engine_version if self._record else image.engine_version if image else None,
        )

    def _push(self) -> None:
        fresh = self._snapshot()
        self._seq += 1
        self._last = fresh
        self._publish(fresh)
