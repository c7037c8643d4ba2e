"""What the reducer's effects do: prepare, launch, connect, shut down. Each is a task that ends in an event.

What a QEMU that runs has is a value of its phase (`running.py`); here are the start under way and who reports its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import Final

from backend.agent.boot import suspending
from backend.agent.boot.boot import CandidateFailed, boot, explain_exit, wait_services
from backend.agent.boot.link import GuestLink
from backend.agent.boot.prepare import Preparation, prepare_within
from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import ADOPT, GUEST, LADDER, PREPARE, Deadlines
from backend.agent.core.guest import Guest, explain, explain_oom, is_warning
from backend.agent.core.lifecycle import (
    AdoptFailed,
    ConnectFailed,
    EngineLost,
    EngineReady,
    Exited,
    GuestReached,
    LaunchFailed,
    Prepared,
    PrepareFailed,
)
from backend.agent.core.tasks import Tasks
from backend.agent.machine.attempt import Ending, Endpoint, Found, Hooks, StartAttempt, killed, waits_for
from backend.agent.machine.running import Connected, Launched, RunningMachine
from backend.agent.watch.peaks import Peaks
from backend.agent.watch.watchdog import Watchdog, WatchedMachine
from backend.errors import Action, Problem, ProblemCode, WherryError, fail
from backend.files import explain_os_error
from backend.host.base import Host
from backend.messages import message, sentences
from backend.model import Notice, StopPolicy
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from backend.ssh.keys import MachineKeys, ensure_keys
from backend.vm import suspended
from backend.vm.guest import GuestProblem, OutOfMemory, ProblemSolved
from backend.vm.run import RunRecord
from backend.vm.suspended import Suspended

_log = logging.getLogger(__name__)

_GUEST_CONNECT_S: Final = 10.0
_ENDPOINT_RETRY_S: Final = 1.0
_LOOK_S: Final = 0.5
_TELL_S: Final = 5.0
"""A stop that takes longer says what it waits for."""
_TELL_AGAIN_S: Final = 20.0


class Effects:
    """Of one machine. Only the supervisor begins them."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        machine: RunningMachine,
        hooks: Hooks,
        *,
        peaks: Peaks,
        progress: Progress,
        deadlines: Deadlines,
    ) -> None:
        self._host = host
        self._dir = directory
        self._machine = machine
        self._driver = machine.driver
        self._hooks = hooks
        self._post = hooks.post
        self._notify = hooks.notify
        self._progress = progress
        self._deadlines = deadlines
        self.watchdog = Watchdog(
            WatchedMachine(
                driver=machine.driver,
                phase=hooks.phase,
                link=lambda: machine.link,
                hardware=lambda: machine.is_hardware,
                changed=hooks.changed,
                notify=hooks.notify,
                data_disk=lambda: data_disk_path(directory),
                record_usage=lambda: peaks.update(
                    machine.record.uuid if machine.record is not None else None, machine.pid
                ),
            ),
            deadlines,
        )
        self.tasks = Tasks(self._crashed, crashed_beside=self._crashed_beside)
        self.start = StartAttempt(requested_at=time.time())
        self._ending = Ending()
        self._watcher: asyncio.Task[None] | None = None
        """Reports the end of the QEMU that runs, or has reported that of the last one; None before the first."""

    def attach(self, endpoint: Endpoint) -> None:
        """Say what docker clients connect to; before anything is begun."""
        self._endpoint = endpoint

    def begin_start(self) -> None:
        """A start was asked for."""
        self.start = StartAttempt(requested_at=time.time(), preparation=self.start.preparation)

    async def adopt(self) -> Found:
        """Take over the QEMU that an earlier agent started, if there is one."""
        try:
            record = await self._driver.adopt(timeout_s=self._deadlines.seconds(ADOPT))
            if record is None:
                return Found.NOTHING
            _log.info("adopting the QEMU %s (pid %s)", record.uuid, self._driver.pid)
            if not await suspending.settle(self._dir, self._driver):
                await self._driver.kill()
                try:
                    await asyncio.to_thread(suspended.touch, self._dir)
                except OSError as error:  # at worst the saved state is taken for older than the disk, and given up
                    _log.warning("the saved state was not renewed: %s", error)
                return Found.NOTHING
            keys = await asyncio.to_thread(ensure_keys, self._dir.keys)
        except WherryError as error:
            if error.problem.code is ProblemCode.NOT_OURS:
                self._post(AdoptFailed(error.problem))
                return Found.STRANGER
            _log.warning("the running QEMU cannot be adopted: %s", error.problem.as_text())
            await self._driver.abandon()
            if not self.has_saved_state:  # else nothing is: the state is read again
                self._notify(
                    Notice(
                        level="error", text=message("The machine was lost. {summary}", summary=error.problem.summary)
                    )
                )
            return Found.LOST
        self._machine.now = Launched(record=record, link=self._new_link(keys, record), is_adopted=True)
        return Found.ADOPTED

    async def detach(self) -> None:
        """Let go of everything without touching the machine."""
        await self.tasks.aclose()
        await self._close(self._machine.now)
        await self._driver.detach()

    def _crashed(self, problem: Problem) -> None:
        """A defect of ours in an effect: the machine must not hang in its phase because of it."""
        self.tasks.spawn(self._give_up(self._hooks.run(), problem), "give up")

    def _crashed_beside(self, problem: Problem) -> None:
        self._notify(Notice(level="error", text=sentences(problem.summary, problem.hint)))

    async def _give_up(self, run: int, problem: Problem) -> None:
        await self.end(problem)
        if not self._is_watched:
            self._post(LaunchFailed(run, problem, try_next=False))
            self._post(Exited(run, orderly=False, problem=problem))

    async def end(self, problem: Problem) -> None:
        """End QEMU for this reason; who watches it reports that."""
        self._ending.problem = problem
        await self._driver.kill()

    @property
    def has_saved_state(self) -> bool:
        """Whether there is a state to go on from. Reads a small file."""
        return suspended.load(self._dir) is not None

    async def discard(self) -> None:
        """Give the saved state up; see lifecycle.Discard."""
        try:
            await asyncio.to_thread(suspended.discard, self._dir)
        except OSError as error:
            self._notify(Notice(level="error", text=explain_os_error(error).summary))

    def watch(self, run: int) -> None:
        """Report the end of the QEMU that runs, when it comes."""
        self._ending = Ending()
        self._watcher = self.tasks.spawn(self._watch_exit(run), "watch QEMU")

    @property
    def _is_watched(self) -> bool:
        """Whether the end of QEMU is going to be reported."""
        return self._watcher is not None and not self._watcher.done()

    async def prepare(self, run: int) -> None:
        self._progress.begin(PREPARE)
        try:
            deadline_s = self._deadlines.of(PREPARE, hardware=False)
            preparation = await prepare_within(deadline_s, self._host, self._dir)
            self.start = replace(self.start, preparation=preparation)
            await self._endpoint.open()
        except WherryError as error:
            self._post(PrepareFailed(run, error.problem))
        except OSError as error:
            self._post(PrepareFailed(run, explain_os_error(error)))
        else:
            if preparation.given_up is not None:
                told = suspending.misfit_problem(preparation.given_up)
                self._notify(Notice(level="warning", text=sentences(told.summary, told.hint)))
            if (unknown := preparation.routes_unknown) is not None:
                self._notify(Notice(level="warning", text=sentences(unknown.summary, unknown.hint)))
            for text in preparation.notes:
                self._notify(Notice(level="warning", text=text))
            self._post(Prepared(run, len(preparation.plan.candidates)))

    async def launch(self, run: int, number: int) -> None:
        preparation = self.start.preparation
        assert preparation is not None
        if preparation.suspended is not None:
            resumed = await self._resume(preparation, preparation.suspended)
            if resumed is not None:
                await self._reach_guest(run, resumed, preparation.keys)
                return
        candidate = preparation.plan.candidates[number]
        try:
            record = await boot(
                self._host,
                self._dir,
                self._driver,
                preparation,
                candidate,
                progress=self._progress,
                deadlines=self._deadlines,
                requested_at=self.start.requested_at,
                earlier=self.start.failed_before,
            )
        except CandidateFailed as error:
            if error.reason:
                self.start = replace(self.start, failed_before=(*self.start.failed_before, error.reason))
                self._notify(
                    Notice(level="warning", text=message("{reason} Trying another accelerator…", reason=error.reason))
                )
            self._post(LaunchFailed(run, error.problem, error.try_next))
            return
        except OSError as error:
            await self._driver.kill()
            self._post(LaunchFailed(run, explain_os_error(error), try_next=False))
            return
        await self._reach_guest(run, record, preparation.keys)

    async def _resume(self, preparation: Preparation, found: Suspended) -> RunRecord | None:
        """Let the machine go on from its saved state. None: that was given up, and the machine is to be booted."""
        # Whatever happens: the state is good once.
        self.start = replace(self.start, preparation=replace(preparation, suspended=None))
        try:
            return await suspending.resume(
                self._dir,
                self._driver,
                found,
                preparation,
                progress=self._progress,
                deadlines=self._deadlines,
                requested_at=self.start.requested_at,
            )
        except (WherryError, OSError) as error:
            _log.warning("the machine does not go on from its saved state: %s", error)
            await asyncio.shield(self._driver.kill())
            await self.discard()
            problem = error.problem if isinstance(error, WherryError) else explain_os_error(error)
            told = suspending.misfit_problem(problem.summary)
            self._notify(Notice(level="warning", text=sentences(told.summary, told.hint)))
            self._progress.set_steps(LADDER)
            return None

    async def _reach_guest(self, run: int, record: RunRecord, keys: MachineKeys) -> None:
        """QEMU runs: open the ways into the guest and wait until its services are there."""
        launched = self._machine.now = Launched(record=record, link=self._new_link(keys, record))
        self.watch(run)
        try:
            guest = await self._open_guest(run, launched)
            guest_s = self._deadlines.of(GUEST, hardware=self._machine.is_hardware)
            await wait_services(self._driver, guest, deadline_s=guest_s, progress=self._progress)
        except WherryError as error:
            await self.end(error.problem)
            return  # Exited tells
        self._post(GuestReached(run))

    async def _open_guest(self, run: int, launched: Launched) -> Guest:
        """Open the control port and follow it. Raises WherryError."""
        try:
            control = await self._driver.connect_guest(timeout_s=_GUEST_CONNECT_S)
            if greeting := self._hooks.greeting():
                await control.send(greeting)
        except (TimeoutError, OSError) as error:
            raise fail(
                ProblemCode.BOOT_FAILED,
                message("The guest's control port doesn't respond."),
                command=f"connect {self._dir.control_socket}",
                hint=message("Force the machine to stop and start it again: wherry stop --kill"),
                retryable=True,
            ) from error
        guest = Guest(control)
        self._machine.now = launched.connected(guest)
        self.tasks.spawn(self._follow_guest(guest, launched.link, run), f"guest events {run}")
        self.tasks.spawn(self.watchdog.watch(guest), f"watchdog {run}")
        return guest

    async def _follow_guest(self, guest: Guest, link: GuestLink, run: int) -> None:
        """Act on what the guest says, for as long as it speaks."""
        async for event in guest.events():
            link.on_guest_event(event)
            if isinstance(event, GuestProblem):
                self._notify(Notice(level="warning" if is_warning(event) else "error", text=explain(event).summary))
                for problem in guest.without_engine:
                    self._post(ConnectFailed(run, problem))
            if isinstance(event, OutOfMemory):
                self._notify(explain_oom(event))
            if isinstance(event, GuestProblem | ProblemSolved):
                self._hooks.changed()

    async def connect(self, run: int) -> None:
        now = self._machine.now
        assert now is not None, "only a guest that was reached is connected to"
        link = now.link
        try:
            guest = now.guest if isinstance(now, Connected) else await self._open_guest(run, now)  # else: adopted
        except WherryError as error:
            await self.end(error.problem)
            return  # Exited tells
        for problem in guest.without_engine:
            self._post(ConnectFailed(run, problem))
        await self._serve_endpoint(run)
        await link.establish(
            hardware=now.record.accelerator.hardware, slow=lambda problem: self._post(ConnectFailed(run, problem))
        )
        await self._endpoint.engine_answers()
        self._post(EngineReady(run))
        why = await link.until_lost()
        problem = Problem(
            code=ProblemCode.ENGINE_DOWN,
            summary=message("The Docker engine isn't responding. Reconnecting…"),
            tail=(why,),
            hint=message("It restarts automatically. If that doesn't help: wherry restart"),
            retryable=True,
            action=Action.RESTART,
        )
        self._post(EngineLost(run, problem))

    async def _serve_endpoint(self, run: int) -> None:
        """Prepare does it too; the endpoint of a machine that was adopted may be taken, which must not end it."""
        told = False
        while True:
            try:
                return await self._endpoint.open()
            except WherryError as error:
                if not told:
                    self._post(ConnectFailed(run, error.problem))
                told = True
            await asyncio.sleep(_ENDPOINT_RETRY_S)

    async def _watch_exit(self, run: int) -> None:
        exit_ = await self._driver.wait()
        guest, ending = self._machine.guest, self._ending
        orderly = (guest is not None and guest.shut_down_in_order) or ending.is_saved
        problem = None if orderly else ending.problem or explain_exit(exit_)
        if guest is not None and guest.shut_down_in_order and (left := guest.stopping) is not None and left.containers:
            self._notify(Notice(level="warning", text=killed(left)))
        await self._release(Exited(run, orderly, problem, suspended=ending.is_saved))

    async def shut_down(self, run: int, policy: StopPolicy) -> None:
        if self._driver.pid is None:
            await self._release(Exited(run, orderly=True, problem=None))
            return
        if policy is StopPolicy.SUSPEND and await self._suspend(run):
            await self._driver.kill()
            return
        if policy is not StopPolicy.KILL and (guest := await self._listening_guest(run)) is not None:
            with contextlib.suppress(ConnectionError):
                await guest.control.send("poweroff")
                if await self._gone_in_order(guest):
                    return
            if run != self._hooks.run():
                return
            _log.warning("the guest did not shut down in time")
            self._notify(Notice(level="warning", text=message("The guest didn't shut down in time and was stopped.")))
        await self._driver.kill()
        if not self._is_watched and run == self._hooks.run():  # it was stopped before its kernel showed life
            await self._release(Exited(run, orderly=True, problem=None))

    async def _suspend(self, run: int) -> bool:
        """Whether the machine's state is saved and QEMU only waits to be ended."""
        now = self._machine.now
        try:
            if now is None or await self._listening_guest(run) is None:
                raise fail(ProblemCode.SUSPEND_FAILED, message("The machine hasn't started yet."))
            await suspending.suspend(
                self._host, self._dir, self._driver, now.record, link=now.link, deadlines=self._deadlines
            )
        except WherryError as error:
            _log.warning("not suspended: %s", error.problem.as_text())
            instead = message("The machine is shut down instead of suspended.")
            told = sentences(instead, error.problem.summary, error.problem.hint)
            self._notify(Notice(level="warning", text=told))
            return False
        self._ending.is_saved = True
        return True

    async def _listening_guest(self, run: int) -> Guest | None:
        """The guest, if there is one that can shut itself down. One that was just adopted is given time to say so."""
        now = self._machine.now
        if now is not None and now.is_adopted:
            with contextlib.suppress(WherryError, TimeoutError):
                async with asyncio.timeout(_GUEST_CONNECT_S):
                    guest = now.guest if isinstance(now, Connected) else await self._open_guest(run, now)
                    await guest.any_stage()
        found = self._machine.guest
        return found if found is not None and found.stages else None

    async def _gone_in_order(self, guest: Guest) -> bool:
        """Whether QEMU is gone before the guest has said nothing for too long of what it still waits for."""
        clock = asyncio.get_running_loop().time
        limit_s = self._deadlines.shutdown_s(hardware=self._machine.is_hardware)
        said, deadline, tell_at = guest.stopping, clock() + limit_s, clock() + _TELL_S
        while not await self._gone_within(min(_LOOK_S, limit_s)):
            now = clock()
            if guest.stopping is not said and guest.stopping is not None:
                said = guest.stopping
                deadline = now + said.seconds + limit_s
            if now >= deadline:
                return False
            if now >= tell_at and said is not None and said.containers:
                tell_at = now + _TELL_AGAIN_S
                self._notify(Notice(level="info", text=waits_for(said)))
        return True

    async def _gone_within(self, seconds: float) -> bool:
        """Whether the QEMU that runs now is gone within the time; who watches it tells the reducer."""
        if self._watcher is None:
            return self._driver.pid is None
        done, _ = await asyncio.wait({self._watcher}, timeout=seconds)
        return bool(done)

    async def _release(self, event: Exited) -> None:
        """Tell that the guest is gone, then close what led to it.

        In this order, because closing takes a moment: nobody is to see a machine that runs without a QEMU meanwhile.
        """
        now, self._machine.now = self._machine.now, None
        self._post(event)
        await self._close(now)

    @staticmethod
    async def _close(now: Launched | None) -> None:
        if now is not None:
            await now.link.aclose()
        if isinstance(now, Connected):
            await now.guest.control.aclose()

    def _new_link(self, keys: MachineKeys, record: RunRecord) -> GuestLink:
        return GuestLink(
            self._driver,
            keys,
            self._dir.keys / "known_hosts",
            self._progress,
            self._deadlines,
            guest_port=record.ssh_port,
            changed=self._hooks.changed,
        )
