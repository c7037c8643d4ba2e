"""What the reducer's effects do: prepare, launch, connect, shut down. Each is a task that ends in an event.

Here is everything of the machine that is not its state: QEMU's driver, the guest's control port, the way to the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

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
    Event,
    Exited,
    GuestReached,
    LaunchFailed,
    Prepared,
    PrepareFailed,
)
from backend.agent.core.tasks import Tasks
from backend.agent.watch.peaks import Peaks
from backend.agent.watch.watchdog import Watchdog, WatchedMachine
from backend.errors import Action, Problem, ProblemCode, WherryError, fail
from backend.files import explain_os_error
from backend.host.base import Host
from backend.messages import Message, message, sentences
from backend.model import AcceleratorStatus, MachineResources, Notice, Phase, StopPolicy
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from backend.ssh.keys import MachineKeys, ensure_keys
from backend.vm import suspended
from backend.vm.guest import GuestProblem, OutOfMemory, ProblemSolved
from backend.vm.qemu import QemuDriver
from backend.vm.run import RunRecord
from backend.vm.spec import SSH_PORT
from backend.vm.suspended import Suspended

_log = logging.getLogger(__name__)

_GUEST_CONNECT_S: Final = 10.0
_ENDPOINT_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the effects tell, and whom they ask."""

    post: Callable[[Event], None]
    """Takes an event for the reducer."""
    run: Callable[[], int]
    """The number of the present run."""
    phase: Callable[[], Phase]
    """The present phase."""
    changed: Callable[[], None]
    """Something that the snapshot shows is different."""
    notify: Callable[[Notice], None]
    open_endpoint: Callable[[], Coroutine[Any, Any, None]]
    """Serves the docker endpoint, if it is not served yet. Raises WherryError."""
    announce_endpoint: Callable[[], Coroutine[Any, Any, None]]
    """Lets docker clients know of it; called when the engine answers. MUST NOT raise."""
    greeting: Callable[[], str]
    """What a guest is told as soon as its control port is open; "" for nothing."""


class Found(Enum):
    """What a new agent finds of the machine."""

    NOTHING = "no QEMU runs"
    ADOPTED = "QEMU runs and is ours"
    LOST = "QEMU ran, could not be taken over and was ended"
    STRANGER = "something else answers, and was left alone"


class Effects:
    """Of one machine. Only the supervisor begins them."""

    def __init__(
        self, host: Host, directory: MachineDir, hooks: Hooks, *, progress: Progress, deadlines: Deadlines
    ) -> None:
        self._host = host
        self._dir = directory
        self._post = hooks.post
        self._run = hooks.run
        self._changed = hooks.changed
        self._notify = hooks.notify
        self._open_endpoint = hooks.open_endpoint
        self._announce_endpoint = hooks.announce_endpoint
        self._greeting = hooks.greeting
        self._progress = progress
        self._deadlines = deadlines
        self.driver = QemuDriver(host, directory)
        self.preparation: Preparation | None = None
        self.accelerator: AcceleratorStatus | None = None
        self.resources: MachineResources | None = None
        self.record: RunRecord | None = None
        self._is_adopted = False
        self.guest: Guest | None = None
        self.link: GuestLink | None = None
        self.failed_before: tuple[Message, ...] = ()
        self.peaks = Peaks(host, directory)
        self.watchdog = Watchdog(
            WatchedMachine(
                driver=self.driver,
                phase=hooks.phase,
                link=lambda: self.link,
                hardware=lambda: self._is_hardware,
                changed=hooks.changed,
                notify=hooks.notify,
                data_disk=lambda: data_disk_path(directory),
                record_usage=lambda: self.peaks.update(
                    self.record.uuid if self.record is not None else None, self.driver.pid
                ),
            ),
            deadlines,
        )
        self.tasks = Tasks(self._crashed, crashed_beside=self._crashed_beside)
        self.requested_at = time.time()
        self._watcher: asyncio.Task[None] | None = None
        self._doom: Problem | None = None
        """Why we end the QEMU that runs, where nobody asked for it."""
        self._saved = False
        """Whether the QEMU that runs was suspended, and is only to be ended."""

    async def adopt(self) -> Found:
        """Take over the QEMU that an earlier agent started, if there is one."""
        try:
            record = await self.driver.adopt(timeout_s=self._deadlines.seconds(ADOPT))
            if record is None:
                return Found.NOTHING
            _log.info("adopting the QEMU %s (pid %s)", record.uuid, self.driver.pid)
            if not await suspending.settle(self._dir, self.driver):
                await self.driver.kill()
                try:
                    await asyncio.to_thread(suspended.touch, self._dir)
                except OSError as error:  # at worst the saved state is taken for older than the disk, and given up
                    _log.warning("the saved state was not renewed: %s", error)
                return Found.NOTHING
            self.link = self._new_link(await asyncio.to_thread(ensure_keys, self._dir.keys), record.ssh_port)
        except WherryError as error:
            if error.problem.code is ProblemCode.NOT_OURS:
                self._post(AdoptFailed(error.problem))
                return Found.STRANGER
            _log.warning("the running QEMU cannot be adopted: %s", error.problem.as_text())
            await self.driver.abandon()
            if not self.has_saved_state:  # else nothing is: the state is read again
                self._notify(
                    Notice(
                        level="error", text=message("The machine was lost. {summary}", summary=error.problem.summary)
                    )
                )
            return Found.LOST
        self.record = record
        self._is_adopted = True
        self.accelerator = record.accelerator
        self.resources = record.resources
        return Found.ADOPTED

    async def detach(self) -> None:
        """Let go of everything without touching the machine."""
        await self.tasks.aclose()
        if self.link is not None:
            await self.link.aclose()
        if self.guest is not None:
            await self.guest.control.aclose()
        await self.driver.detach()

    def _crashed(self, problem: Problem) -> None:
        """A defect of ours in an effect: the machine must not hang in its phase because of it."""
        self.tasks.spawn(self._give_up(self._run(), problem), "give up")

    def _crashed_beside(self, problem: Problem) -> None:
        self._notify(Notice(level="error", text=sentences(problem.summary, problem.hint)))

    async def _give_up(self, run: int, problem: Problem) -> None:
        await self.end(problem)
        if not self._is_watched:
            self._post(LaunchFailed(run, problem, try_next=False))
            self._post(Exited(run, orderly=False, problem=problem))

    async def end(self, problem: Problem) -> None:
        """End QEMU for this reason; who watches it reports that."""
        self._doom = problem
        await self.driver.kill()

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
        self._doom = None
        self._saved = False
        self._watcher = self.tasks.spawn(self._watch_exit(run), "watch QEMU")

    @property
    def _is_watched(self) -> bool:
        """Whether the end of QEMU is going to be reported."""
        return self._watcher is not None and not self._watcher.done()

    async def prepare(self, run: int) -> None:
        self._progress.begin(PREPARE)
        try:
            deadline_s = self._deadlines.of(PREPARE, hardware=False)
            self.preparation = await prepare_within(deadline_s, self._host, self._dir)
            await self._open_endpoint()
        except WherryError as error:
            self._post(PrepareFailed(run, error.problem))
        except OSError as error:
            self._post(PrepareFailed(run, explain_os_error(error)))
        else:
            self.resources = self.preparation.resources
            if self.preparation.given_up is not None:
                told = suspending.misfit_problem(self.preparation.given_up)
                self._notify(Notice(level="warning", text=sentences(told.summary, told.hint)))
            if (unknown := self.preparation.routes_unknown) is not None:
                self._notify(Notice(level="warning", text=sentences(unknown.summary, unknown.hint)))
            for text in self.preparation.notes:
                self._notify(Notice(level="warning", text=text))
            self._post(Prepared(run, len(self.preparation.plan.candidates)))

    async def launch(self, run: int, number: int) -> None:
        preparation = self.preparation
        assert preparation is not None
        if preparation.suspended is not None and await self._resume(preparation, preparation.suspended):
            await self._reach_guest(run, preparation.keys)
            return
        candidate = preparation.plan.candidates[number]
        try:
            self.record = await boot(
                self._host,
                self._dir,
                self.driver,
                preparation,
                candidate,
                progress=self._progress,
                deadlines=self._deadlines,
                requested_at=self.requested_at,
                earlier=self.failed_before,
            )
        except CandidateFailed as error:
            if error.reason:
                self.failed_before = (*self.failed_before, error.reason)
                self._notify(
                    Notice(level="warning", text=message("{reason} Trying another accelerator…", reason=error.reason))
                )
            self._post(LaunchFailed(run, error.problem, error.try_next))
            return
        except OSError as error:
            await self.driver.kill()
            self._post(LaunchFailed(run, explain_os_error(error), try_next=False))
            return
        self.accelerator = self.record.accelerator
        await self._reach_guest(run, preparation.keys)

    async def _resume(self, preparation: Preparation, found: Suspended) -> bool:
        """Whether the machine goes on from its saved state. If not, that is given up, and it is to be booted."""
        self.preparation = replace(preparation, suspended=None)  # whatever happens: it is good once
        try:
            self.record = await suspending.resume(
                self._dir,
                self.driver,
                found,
                preparation,
                progress=self._progress,
                deadlines=self._deadlines,
                requested_at=self.requested_at,
            )
        except (WherryError, OSError) as error:
            _log.warning("the machine does not go on from its saved state: %s", error)
            await asyncio.shield(self.driver.kill())
            await self.discard()
            problem = error.problem if isinstance(error, WherryError) else explain_os_error(error)
            told = suspending.misfit_problem(problem.summary)
            self._notify(Notice(level="warning", text=sentences(told.summary, told.hint)))
            self._progress.set_steps(LADDER)
            return False
        self.accelerator = self.record.accelerator
        self.resources = self.record.resources
        return True

    async def _reach_guest(self, run: int, keys: MachineKeys) -> None:
        """QEMU runs: open the ways into the guest and wait until its services are there."""
        self.link = self._new_link(keys, self.guest_ssh_port)
        self.watch(run)
        try:
            guest = await self._open_guest(run)
            guest_s = self._deadlines.of(GUEST, hardware=self._is_hardware)
            await wait_services(self.driver, guest, deadline_s=guest_s, progress=self._progress)
        except WherryError as error:
            await self.end(error.problem)
            return  # Exited tells
        self._post(GuestReached(run))

    async def _open_guest(self, run: int) -> Guest:
        """Open the control port and follow it. Raises WherryError."""
        try:
            control = await self.driver.connect_guest(timeout_s=_GUEST_CONNECT_S)
            if greeting := self._greeting():
                await control.send(greeting)
        except (TimeoutError, OSError) as error:
            raise fail(
                ProblemCode.BOOT_FAILED,
                message("The guest's control port doesn't respond."),
                command=f"connect {self._dir.control_socket}",
                hint=message("Force the machine to stop and start it again: wherry stop --kill"),
                retryable=True,
            ) from error
        self.guest = guest = Guest(control)
        assert self.link is not None
        self.tasks.spawn(self._follow_guest(guest, self.link, run), f"guest events {run}")
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
                self._changed()

    async def connect(self, run: int) -> None:
        link = self.link
        assert link is not None
        try:
            if self.guest is None:  # adopted
                await self._open_guest(run)
        except WherryError as error:
            await self.end(error.problem)
            return  # Exited tells
        for problem in self.guest.without_engine if self.guest is not None else ():
            self._post(ConnectFailed(run, problem))
        await self._serve_endpoint(run)
        await link.establish(hardware=self._is_hardware, slow=lambda problem: self._post(ConnectFailed(run, problem)))
        await self._announce_endpoint()
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
                return await self._open_endpoint()
            except WherryError as error:
                if not told:
                    self._post(ConnectFailed(run, error.problem))
                told = True
            await asyncio.sleep(_ENDPOINT_RETRY_S)

    async def _watch_exit(self, run: int) -> None:
        exit_ = await self.driver.wait()
        orderly = self.guest is not None and self.guest.shut_down_in_order
        problem = None if orderly or self._saved else self._doom or explain_exit(exit_)
        try:
            await self._release()
        finally:  # whatever becomes of the ways that led there, it is gone
            self._post(Exited(run, orderly or self._saved, problem, suspended=self._saved))

    async def shut_down(self, run: int, policy: StopPolicy) -> None:
        if self.driver.pid is None:
            await self._release()
            self._post(Exited(run, orderly=True, problem=None))
            return
        if policy is StopPolicy.SUSPEND and await self._suspend(run):
            await self.driver.kill()
            return
        if policy is not StopPolicy.KILL and (guest := await self._listening_guest(run)) is not None:
            with contextlib.suppress(ConnectionError):
                await guest.control.send("poweroff")
                if await self._gone_within(self._deadlines.shutdown_s(hardware=self._is_hardware)):
                    return
            if run != self._run():
                return
            _log.warning("the guest did not shut down in time")
            self._notify(Notice(level="warning", text=message("The guest didn't shut down in time and was stopped.")))
        await self.driver.kill()
        if not self._is_watched and run == self._run():  # it was stopped before its kernel showed life
            await self._release()
            self._post(Exited(run, orderly=True, problem=None))

    async def _suspend(self, run: int) -> bool:
        """Whether the machine's state is saved and QEMU only waits to be ended."""
        record = self.record
        try:
            if record is None or await self._listening_guest(run) is None:
                raise fail(ProblemCode.SUSPEND_FAILED, message("The machine hasn't started yet."))
            await suspending.suspend(
                self._host, self._dir, self.driver, record, link=self.link, deadlines=self._deadlines
            )
        except WherryError as error:
            _log.warning("not suspended: %s", error.problem.as_text())
            instead = message("The machine is shut down instead of suspended.")
            told = sentences(instead, error.problem.summary, error.problem.hint)
            self._notify(Notice(level="warning", text=told))
            return False
        self._saved = True
        return True

    async def _listening_guest(self, run: int) -> Guest | None:
        """The guest, if there is one that can shut itself down. One that was just adopted is given time to say so."""
        if self._is_adopted:
            with contextlib.suppress(WherryError, TimeoutError):
                async with asyncio.timeout(_GUEST_CONNECT_S):
                    await (self.guest or await self._open_guest(run)).any_stage()
        return self.guest if self.guest is not None and self.guest.stages else None

    async def _gone_within(self, seconds: float) -> bool:
        """Whether the QEMU that runs now is gone within the time; who watches it tells the reducer."""
        if self._watcher is None:
            return self.driver.pid is None
        done, _ = await asyncio.wait({self._watcher}, timeout=seconds)
        return bool(done)

    async def _release(self) -> None:
        """Close what led to the guest that is gone."""
        link, self.link = self.link, None
        guest, self.guest = self.guest, None
        self.accelerator = None
        self.record = None
        self._is_adopted = False
        if link is not None:
            await link.aclose()
        if guest is not None:
            await guest.control.aclose()

    def _new_link(self, keys: MachineKeys, guest_port: int) -> GuestLink:
        return GuestLink(
            self.driver,
            keys,
            self._dir.keys / "known_hosts",
            self._progress,
            self._deadlines,
            guest_port=guest_port,
            changed=self._changed,
        )

    @property
    def guest_ssh_port(self) -> int:
        """Where the SSH server listens in the guest that runs."""
        return self.record.ssh_port if self.record is not None else SSH_PORT

    @property
    def _is_hardware(self) -> bool:
        return self.accelerator is not None and self.accelerator.hardware
