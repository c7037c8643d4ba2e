"""The connection to the guest's engine: SSH through a port that QEMU forwards, then a Unix socket in the guest.

While the machine runs, one task connects, reports that the engine is ready, waits until the connection is lost, and
connects again. The API front opens streams to the engine with `dial`, which waits until the engine is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from backend.agent.boot.progress import Progress
from backend.agent.boot.readiness import ENGINE, SSH, Deadlines
from backend.engine.ask import answers_ping
from backend.errors import Action, Problem, ProblemCode, WherryError, fail
from backend.files import write_private
from backend.messages import message
from backend.ssh.keys import MachineKeys, known_hosts_line
from backend.ssh.session import FollowedCommand, Result, SshSession
from backend.stream import ByteStream
from backend.vm.driver import VmDriver
from backend.vm.guest import GuestEvent, ServiceChange

_log = logging.getLogger(__name__)

ENGINE_SOCKET: Final = "/run/docker.sock"
ENGINE_LOG: Final = "/data/log/dockerd.log"
ENGINE_SERVICE: Final = "dockerd"
_CONNECT_TIMEOUT_S: Final = 20.0
_RETRY_S: Final = 0.25
_ENGINE_RETRY_S: Final = 0.05
_PROBE_S: Final = 3600.0
_PING_S: Final = 30.0


class GuestLink:
    """SSH connection to the guest, and readiness of its engine. One object per run of the machine."""

    def __init__(
        self,
        driver: VmDriver,
        keys: MachineKeys,
        known_hosts: Path,
        progress: Progress,
        deadlines: Deadlines,
        *,
        guest_port: int,
        changed: Callable[[], None],
    ) -> None:
        """Not connected yet. `changed` is called when the engine becomes ready, or is lost."""
        self._changed = changed
        self._guest_port = guest_port
        self.ssh_port: int | None = None
        self._deadlines = deadlines
        self._driver = driver
        self._keys = keys
        self._known_hosts = known_hosts
        self._progress = progress
        self._session: SshSession | None = None
        self._is_ready = False
        self._lost = asyncio.Event()
        self._why_lost = "the connection ended"
        self._last_refusal: Problem | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the engine has answered and the connection has not been lost since."""
        return self._is_ready

    async def dial(self) -> ByteStream:
        """Open a stream to the engine. Raises WherryError: ENGINE_DOWN, SSH_FAILED."""
        session = self._session
        if session is None:
            raise fail(ProblemCode.ENGINE_DOWN, message("Lost the connection to the Docker engine."), retryable=True)
        return await session.open_unix(ENGINE_SOCKET, timeout_s=_CONNECT_TIMEOUT_S)

    async def establish(self, *, hardware: bool, slow: Callable[[Problem], None]) -> None:
        """Connect and wait until the engine answers, without a time limit.

        Args:
            hardware: whether the deadlines for a hardware accelerator apply.
            slow: called once for each step whose deadline passes; the wait continues.
        """
        self._is_ready = False
        if self._session is None or not self._session.is_alive:
            self._progress.begin(SSH)
            ssh_s = self._deadlines.of(SSH, hardware=hardware)
            await self._await_with_notice(self._open_session(), ssh_s, slow, self._ssh_slow)
        self._progress.begin(ENGINE)
        engine_s = self._deadlines.of(ENGINE, hardware=hardware)
        await self._await_with_notice(self._await_engine(), engine_s, slow, self._engine_slow)
        # A loss before this answer (of a dockerd that failed at first, say) is over.
        self._lost.clear()
        self._is_ready = True
        if self._session is None or not self._session.is_alive:
            self._mark_lost("the SSH connection broke")
        self._progress.finish()
        self._changed()

    async def until_lost(self) -> str:
        """Wait until the engine or the connection is lost, and return the reason."""
        await self._lost.wait()
        return self._why_lost

    async def probe(self, opened: Callable[[], None]) -> bool:
        """Ping the engine once. Returns whether it answers within an hour: how long is too long is up to the caller.

        Args:
            opened: called when the SSH channel to the engine is open. Opening may take as long as an hour, too.

        Raises:
            WherryError: there is no connection, or the channel cannot be opened.
            ConnectionError: the connection broke.
        """
        session = self._session
        if session is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        stream = await session.open_unix(ENGINE_SOCKET, timeout_s=_PROBE_S)
        opened()
        try:
            return await answers_ping(stream, timeout_s=_PROBE_S)
        finally:
            await stream.aclose()

    async def report_lost(self, why: str, *, drop: bool) -> None:
        """Mark the engine as lost, which makes the supervisor connect again.

        Args:
            why: the reason, for the user.
            drop: also close the SSH connection, so that a new one is opened.
        """
        self._mark_lost(why)
        if drop:
            session, self._session = self._session, None
            if session is not None:
                await session.aclose()

    def on_guest_event(self, event: GuestEvent) -> None:
        """Handle an event of the guest. When dockerd ends, the engine is marked as lost at once."""
        if isinstance(event, ServiceChange) and event.name == ENGINE_SERVICE and event.exit_code is not None:
            self._mark_lost(f"dockerd ended with code {event.exit_code}")

    async def run(self, command: str, *, timeout_s: float) -> str:
        """Run a command in the guest and return its standard output. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        result = await self._session.run(command, timeout_s=timeout_s)
        return result.untrusted_stdout.decode("utf-8", errors="replace")

    async def execute(self, command: str, *, stdin: bytes, timeout_s: float) -> Result:
        """Run a command in the guest with this standard input, and return its result. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        return await self._session.run(command, timeout_s=timeout_s, stdin=stdin)

    @contextlib.asynccontextmanager
    async def follow(self, command: str) -> AsyncIterator[FollowedCommand]:
        """Run a command in the guest for the duration of the block and read its output. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        async with self._session.follow(command) as running:
            yield running

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        self._mark_lost("the machine stops")
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()

    def _mark_lost(self, why: str) -> None:
        if not self._lost.is_set():
            self._why_lost = why
            self._is_ready = False
            self._lost.set()
            self._changed()

    async def _open_session(self) -> None:
        while True:
            try:
                port = await self._driver.monitor.forward_tcp(self._guest_port)
                await asyncio.to_thread(self._write_known_hosts, port)
                session = await SshSession.connect(
                    "127.0.0.1",
                    port,
                    username="root",
                    key_path=self._keys.client.private_path,
                    host_key_public=self._keys.host.public_line,
                    timeout_s=_CONNECT_TIMEOUT_S,
                )
            except WherryError as error:
                _log.info("no SSH yet: %s", error.problem.summary)
                self._last_refusal = error.problem
                await asyncio.sleep(_RETRY_S)
            else:
                break
        self.ssh_port = port
        before, self._session = self._session, session
        session.on_lost(lambda: self._mark_lost("the SSH connection broke"))
        if before is not None:
            await before.aclose()

    def _write_known_hosts(self, port: int) -> None:
        """Write known_hosts for OpenSSH (`wherry shell`)."""
        line = known_hosts_line(self._keys.host.public_line, port=port)
        try:
            write_private(self._known_hosts, line.encode() + b"\n")
        except OSError as error:  # a full disk must not end a machine that runs
            _log.warning("%s was not written: %s", self._known_hosts, error)

    async def _await_engine(self) -> None:
        while True:
            session = self._session
            if session is None or not session.is_alive:
                await self._open_session()
                continue
            try:
                stream = await session.open_unix(ENGINE_SOCKET, timeout_s=_CONNECT_TIMEOUT_S)
                try:
                    if await answers_ping(stream, timeout_s=_PING_S):
                        return
                finally:
                    await stream.aclose()
            except (WherryError, ConnectionError) as error:
                _log.debug("no engine yet: %s", error)
            await asyncio.sleep(_ENGINE_RETRY_S)

    async def _await_with_notice(
        self,
        work: Coroutine[Any, Any, None],
        deadline_s: float,
        slow: Callable[[Problem], None],
        problem: Callable[[float], Awaitable[Problem]],
    ) -> None:
        """Await `work` without a time limit; call `slow` once when the deadline passes."""
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=deadline_s)
            if not done:
                slow(await problem(deadline_s))
            await task
        finally:
            task.cancel()

    async def _ssh_slow(self, deadline_s: float) -> Problem:
        return Problem(
            code=ProblemCode.SSH_FAILED,
            summary=message(
                "The guest is running, but its SSH server didn't accept a connection within {seconds:g} s.",
                seconds=deadline_s,
            ),
            tail=(str(self._last_refusal.summary),) if self._last_refusal else (),
            hint=SSH.hint,
            retryable=True,
            action=Action.RESTART,
        )

    async def _engine_slow(self, deadline_s: float) -> Problem:
        command = f"tail -n 12 {ENGINE_LOG}"
        try:
            tail = tuple((await self.run(command, timeout_s=5)).splitlines())
        except WherryError as error:
            tail = (str(error.problem.summary),)
        return Problem(
            code=ProblemCode.ENGINE_DOWN,
            summary=message(
                "The machine is running, but its Docker engine didn't respond within {seconds:g} s.", seconds=deadline_s
            ),
            command=f"wherry shell {command}",
            tail=tail,
            hint=ENGINE.hint,
            retryable=True,
            action=Action.RESTART_ENGINE,
        )
