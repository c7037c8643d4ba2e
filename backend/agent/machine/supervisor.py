"""The only mutable owner of the machine: feeds events to the reducer, runs its effects, publishes whole snapshots.

One task consumes the queue of events, so that no two transitions ever meet. Each effect is a task that ends in an
event; a cancelled one is awaited before the next begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from backend.agent.boot.link import GuestLink
from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import Deadlines
from backend.agent.core import desired_state, lifecycle
from backend.agent.core.changes import Changes, Value
from backend.agent.core.desired_state import DesiredState
from backend.agent.core.lifecycle import (
    Adopted,
    CancelWork,
    Connect,
    Discard,
    Effect,
    EngineReady,
    Event,
    Exited,
    FoundSuspended,
    Launch,
    Prepare,
    RanWell,
    ShutDown,
    StartRequested,
    State,
    StopRequested,
)
from backend.agent.machine.attempt import Endpoint, Found, Hooks
from backend.agent.machine.effects import Effects
from backend.agent.machine.running import RunningMachine
from backend.agent.watch.peaks import Peaks
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.messages import Message, message, sentences
from backend.model import (
    Desired,
    EngineEndpoint,
    MachineNetworks,
    MachineStatus,
    Notice,
    OperationStatus,
    Phase,
    PutDown,
    StopPolicy,
)
from backend.paths import MachineDir
from backend.stream import ByteStream
from backend.vm.run import RunRecord
from backend.vm.spec import GuestImage

_log = logging.getLogger(__name__)

_RAN_WELL_S: Final = 120.0
_DIAL_S: Final = 300.0
_WITH_QEMU: Final = (Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED)
_DEGRADED_S: Final = 5.0
"""How long a client waits for an engine that is known to be gone, and might soon be found again."""


class StartRules(Protocol):
    """Says when the machine is started without a request of the user's."""

    @property
    def is_held(self) -> bool:
        """Whether something has to be put in order before a machine that was running is started again."""
        ...

    async def may_start_on_demand(self) -> bool:
        """Whether a docker client may start a machine that does not run."""
        ...


class Supervisor:
    """One machine."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        machine: RunningMachine,
        *,
        peaks: Peaks,
        publish: Callable[[MachineStatus], None],
        notify: Callable[[Notice], None],
        greeting: Callable[[], str] = lambda: "",
        deadlines: Deadlines | None = None,
        changes: Changes | None = None,
    ) -> None:
        """Make a supervisor that owns nothing yet.

        Args:
            host: this computer.
            directory: the machine's.
            machine: what of it runs.
            peaks: the most that it has taken of this computer.
            publish: called with each new snapshot.
            notify: called with things that happened once.
            greeting: a line for each guest that is reached, on its control port; "" for none.
            deadlines: other ones than the ladder's own.
            changes: notified whenever something of the machine may be different.
        """
        self._changes = changes or Changes()
        self._machine = machine
        self._docker_url = host.docker_url(directory.docker_socket)
        self._publish = publish
        self._notify = notify
        self._state = State()
        self._events: asyncio.Queue[tuple[Event, asyncio.Future[int] | None]] = asyncio.Queue()
        self._progress = Progress(self._push)
        hooks = Hooks(
            post=self.post,
            run=lambda: self._state.run,
            phase=lambda: self._state.phase,
            changed=self._push,
            notify=notify,
            greeting=greeting,
        )
        self._effects = Effects(
            host,
            directory,
            machine,
            hooks,
            peaks=peaks,
            progress=self._progress,
            deadlines=deadlines or Deadlines(),
        )
        self._seq = 0
        self._last: MachineStatus | None = None
        self._running_since: float | None = None
        self._boot_seconds: float | None = None
        self._desired_file = directory.desired
        self._saved_desired_state: DesiredState | None = None
        self.put_down: PutDown | None = None
        """How the machine was stopped or suspended; None while it is to run, and before its first start."""
        self._operation: OperationStatus | None = None
        self._offer: str | None = None
        self._networks: MachineNetworks | None = None
        self._network_problem: Problem | None = None
        self._port_problems: tuple[Problem, ...] = ()

    def attach(self, endpoint: Endpoint, start_rules: StartRules) -> None:
        """Say what the machine is served by; before `run`. They in their turn need the supervisor to be made."""
        self._start_rules = start_rules
        self._effects.attach(endpoint)

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
        return self._state.phase.is_live

    async def until(self, condition: Callable[[], Value], what: Message, *, timeout_s: float | None) -> Value:
        """Wait for something that is true of the machine; see `Changes.until`."""
        return await self._changes.until(condition, what, timeout_s=timeout_s)

    def status(self) -> MachineStatus:
        """The present snapshot."""
        return self._last if self._last is not None else self._snapshot()

    async def dial(self, *, wakes: bool = True) -> ByteStream:
        """A stream to the engine, for the API front; waits while the machine is on its way up.

        Args:
            wakes: whether a machine that is stopped or suspended may be started for it.

        Raises:
            WherryError: MACHINE_STOPPED or ENGINE_DOWN.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            if self._is_down:
                if wakes and await self._may_wake():
                    continue
                raise self._why_down()
            if (link := self._ready_link()) is not None:
                try:
                    return await link.dial()
                except WherryError:
                    if self._ready_link() is link:  # else it was lost just now
                        raise
            waited = clock() - began
            if waited >= _DIAL_S or (waited >= _DEGRADED_S and self._state.phase is Phase.DEGRADED):
                raise self._why_no_answer()
            await self._wait_for_engine(_DIAL_S - waited if waited >= _DEGRADED_S else _DEGRADED_S - waited)

    @property
    def _is_down(self) -> bool:
        """Whether there is no machine that is going to have an engine."""
        return self._state.desired is Desired.STOPPED or not self._state.phase.is_live

    def _ready_link(self) -> GuestLink | None:
        """The way to the engine, while it answers."""
        link = self._machine.link
        return link if link is not None and link.is_ready else None

    async def _wait_for_engine(self, timeout_s: float) -> None:
        """Return when a client can be answered in one way or the other, or after the time."""
        is_patient = self._state.phase is Phase.DEGRADED

        def is_decided() -> bool:
            is_worse = not is_patient and self._state.phase is Phase.DEGRADED
            return self._is_down or self._ready_link() is not None or is_worse

        with contextlib.suppress(WherryError):  # whoever asked sees how it is
            await self._changes.until(is_decided, message("The Docker engine didn't respond."), timeout_s=timeout_s)

    def _why_down(self) -> WherryError:
        if self._state.phase is Phase.FAILED and self._state.problems:
            return WherryError(self._state.problems[0])
        return fail(
            ProblemCode.MACHINE_STOPPED,
            message("The Wherry machine is stopped."),
            hint=message("Start it in the Wherry window or with: wherry start"),
            retryable=True,
        )

    def _why_no_answer(self) -> WherryError:
        if self._state.phase is Phase.DEGRADED and self._state.problems:
            return WherryError(self._state.problems[0])
        return fail(
            ProblemCode.ENGINE_DOWN,
            message("The Docker engine didn't respond within {seconds:g} s.", seconds=_DIAL_S),
            hint=message("Check what it is waiting for: wherry status"),
            retryable=True,
        )

    async def _may_wake(self) -> bool:
        """Start the machine for a docker client, if it may be. False: it may not.

        Not while it is being stopped: the first client whose connection breaks would undo the user's stop. A suspend
        is waited for, being short, and gone on from.
        """
        phase = self._state.phase
        if phase is Phase.FAILED or not await self._start_rules.may_start_on_demand():
            return False
        if self._state.phase is Phase.STOPPING:
            if self._state.policy is not StopPolicy.SUSPEND:
                return False
            await self._changes.until(
                lambda: self._state.phase is not Phase.STOPPING,
                message("The machine didn't suspend."),
                timeout_s=_DIAL_S,
            )
            return True
        if self._state.desired is Desired.STOPPED:
            self._notify(Notice(level="info", text=message("Started automatically by a docker command.")))
        await self.ask(StartRequested())
        return True

    @property
    def has_begun(self) -> bool:
        """True once adoption has been attempted."""
        return self._last is not None

    def show_operation(self, operation: OperationStatus | None) -> None:
        """Something long is being done with the machine, or no longer; everybody is told."""
        self._operation = operation
        self._push()

    async def resume_cpus(self) -> bool:
        """Let the machine's processors go on, if they stand still but could run. Returns whether they did stand still.

        Raises:
            WherryError: QEMU does not answer.
        """
        return await self._effects.watchdog.resume_cpus()

    def show_offer(self, version: str | None) -> None:
        """There is a newer guest image, or no longer."""
        if version != self._offer:
            self._offer = version
            self._push()

    def show_networks(self, networks: MachineNetworks | None, problem: Problem | None) -> None:
        """The ranges that the machine uses were found out, and what is wrong with them."""
        self._networks, self._network_problem = networks, problem
        self._push()

    def show_ports(self, problems: tuple[Problem, ...]) -> None:
        """Containers lack ports that they publish, or others than before."""
        self._port_problems = problems
        self._push()

    def show_disk(self, size_gib: int) -> RunRecord | None:
        """The running machine's disk was made larger. Returns its record, to be kept for the next agent."""
        record = self._machine.set_disk_size(size_gib)
        self._push()
        return record

    # -- life -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Adopt what runs, then serve events until cancelled."""
        await self._adopt()
        while True:
            event, taken = await self._events.get()
            before = self._state
            self._state, effects = lifecycle.reduce(before, event)
            if self._state.phase is Phase.STOPPED and before.phase is Phase.FAILED and self._effects.has_saved_state:
                # It could not go on from there, and still can once the cause is gone.
                self._state, _ = lifecycle.reduce(self._state, FoundSuspended())
            _log.info("%s: %s -> %s %s", event, before.phase.value, self._state.phase.value, list(effects))
            self._note_put_down(event, before)
            await self._remember_wish()
            self._note(event, before)
            self._push()
            if taken is not None and not taken.done():
                taken.set_result(self.status().seq)
            for effect in effects:
                await self._perform(effect)

    async def detach(self) -> None:
        """Let go of everything without touching the machine: the agent ends, QEMU goes on."""
        await self._effects.detach()

    def _note_put_down(self, event: Event, before: State) -> None:
        """Remember when the machine was asked to be down, and by whom; forget it when it is to run."""
        if self._state.desired is Desired.RUNNING:
            self.put_down = None
            return
        match event:
            case StopRequested(by_person=by_person) if by_person or (
                before.desired is Desired.RUNNING and self.put_down is None
            ):
                self.put_down = PutDown(at=time.time(), by_person=by_person)
            case Exited() if before.desired is Desired.RUNNING:  # `poweroff` in the guest
                self.put_down = PutDown(at=time.time(), by_person=True)

    def _note(self, event: Event, before: State) -> None:
        """What a transition means for everything that is not in the state."""
        if self._state.run != before.run and self._state.phase is Phase.PREPARING:
            self._effects.begin_start()
            self._boot_seconds = None
            self._progress.reset()
        match event:
            case EngineReady() if self._state.phase is Phase.RUNNING and before.phase is not Phase.RUNNING:
                self._running_since = self._running_since or time.time()
                if self._boot_seconds is None and self._progress.seconds is not None:
                    self._boot_seconds = round(self._progress.seconds, 3)
                self._effects.tasks.spawn(self._tell_ran_well(self._state.run), "ran well")
            case Exited(problem=problem) if problem is not None and before.phase is not Phase.STOPPING:
                again = message("Starting it again…") if self._state.phase is Phase.PREPARING else None
                self._notify(Notice(level="error", text=sentences(problem.summary, again)))
        if not self._state.phase.is_live:
            self._running_since = None
        if self._state.phase is Phase.FAILED and before.phase is not Phase.FAILED:
            self._progress.fail()
        if self._state.phase in (Phase.STOPPED, Phase.SUSPENDED) and before.phase is not self._state.phase:
            self._progress.clear()

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case CancelWork():
                await self._effects.tasks.cancel_work()
            case Prepare():
                self._effects.tasks.begin(self._effects.prepare(self._state.run), "prepare")
            case Launch(candidate):
                self._effects.tasks.begin(self._effects.launch(self._state.run, candidate), f"launch {candidate}")
            case Connect():
                self._effects.tasks.begin(self._effects.connect(self._state.run), "connect")
            case ShutDown(policy):
                self._effects.tasks.shut_down(self._effects.shut_down(self._state.run, policy))
            case Discard():
                await self._effects.discard()

    async def _tell_ran_well(self, run: int) -> None:
        await asyncio.sleep(_RAN_WELL_S)
        self.post(RanWell(run))

    # -- effects --------------------------------------------------------------------------------------------------
    async def _adopt(self) -> None:
        self._saved_desired_state = await asyncio.to_thread(desired_state.load, self._desired_file)
        if self._saved_desired_state is not None:
            self.put_down = self._saved_desired_state.put_down
        found = await self._effects.adopt()
        if found is not Found.ADOPTED:
            if self._effects.has_saved_state:
                self._state, _ = lifecycle.reduce(self._state, FoundSuspended())
            wanted = (
                self._saved_desired_state.desired is Desired.RUNNING
                if self._saved_desired_state is not None
                else found is Found.LOST
            )
            if wanted and found is not Found.STRANGER and not self._start_rules.is_held:
                _log.warning("the machine was wanted and does not run; it is started")
                self.post(StartRequested())  # its snapshot is the first: no client is to see a machine that rests
            else:
                self._push()
            return
        assert self._machine.record is not None
        self._running_since = self._machine.record.requested_at
        self._state, effects = lifecycle.reduce(self._state, Adopted())
        self._effects.watch(self._state.run)
        self._push()
        for effect in effects:
            await self._perform(effect)
        if self._saved_desired_state is not None and self._saved_desired_state.desired is Desired.STOPPED:
            _log.warning("the machine was to be stopped, which an earlier agent did not finish")
            self.put_down = self._saved_desired_state.put_down
            self.post(StopRequested(self._saved_desired_state.policy, by_person=False))

    async def _remember_wish(self) -> None:
        desired = Desired.STOPPED if self._state.phase is Phase.FAILED else self._state.desired
        fresh = DesiredState(desired=desired, policy=self._state.policy, put_down=self.put_down)
        if fresh == self._saved_desired_state:
            return
        self._saved_desired_state = fresh
        try:
            await asyncio.to_thread(desired_state.save, self._desired_file, fresh)
        except OSError as error:  # a full disk: the machine goes on; only an agent that is killed now forgets it
            _log.warning("%s was not written: %s", self._desired_file, error)

    # -- snapshots ------------------------------------------------------------------------------------------------
    def _snapshot(self) -> MachineStatus:
        live, now, preparation = self._state.phase.is_live, self._machine.now, self._effects.start.preparation
        record = now.record if now is not None else None
        given = record if record is not None else preparation
        versions = record if record is not None else preparation.image if preparation is not None else None
        return MachineStatus(
            seq=self._seq,
            phase=self._state.phase,
            desired=self._state.desired,
            steps=self._progress.steps(),
            accelerator=record.accelerator if live and record is not None else None,
            endpoint=EngineEndpoint(url=self._docker_url, ready=self._ready_link() is not None) if live else None,
            resources=given.resources if live and given is not None else None,
            problems=self._problems(),
            pid=self._machine.pid,
            ssh_port=now.link.ssh_port if now is not None else None,
            started_at=self._running_since if live else None,
            boot_seconds=self._boot_seconds,
            image_version=_image_version(versions),
            engine_version=versions.engine_version if versions is not None else None,
            operation=self._operation,
            networks=self._networks if live else None,
            image_offer=self._offer,
        )

    def _problems(self) -> tuple[Problem, ...]:
        """What the user should know, the most important first, each once."""
        guest, watchdog, live = self._machine.guest, self._effects.watchdog, self._state.phase.is_live
        found = (
            *watchdog.problems,
            *self._state.problems,
            *(guest.problems if guest is not None else ()),
            *watchdog.warnings,
            *((self._network_problem,) if self._network_problem is not None and live else ()),
            *(self._port_problems if live else ()),
        )
        return tuple(dict.fromkeys(found))

    def _push(self) -> None:
        fresh = self._snapshot()
        # A QEMU that has just ended is reported by an event, which is on its way: until then what was shown stays, and
        # nobody sees a machine that runs without a process.
        is_ending = self._state.phase in _WITH_QEMU and fresh.pid is None
        if fresh != self._last and not is_ending:
            self._seq += 1
            self._last = fresh
            self._publish(fresh)
        self._changes.notify()  # what is waited for need not be in the snapshot


def _image_version(versions: RunRecord | GuestImage | None) -> str | None:
    match versions:
        case RunRecord():
            return versions.image_version
        case GuestImage():
            return versions.version
    return None
