"""The way to the guest's engine: SSH through a forward that QEMU chose, then the engine's first answer; kept for ever.

While the machine runs this is one task: connect, tell, watch, and when the way is lost connect again. The front asks
`dial` for a stream to the engine, which waits for the way to be there.
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
    """One per run of the machine."""

    def __init__(
        self,
        driver: VmDriver,
        keys: MachineKeys,
        known_hosts: Path,
        progress: Progress,
        deadlines: Deadlines,
        *,
        guest_port: int,
    ) -> None:
        """Make one that is not connected; the guest's SSH server listens on `guest_port`."""
        self._guest_port = guest_port
        self.ssh_port: int | None = None
        self._deadlines = deadlines
        self._driver = driver
        self._keys = keys
        self._known_hosts = known_hosts
        self._progress = progress
        self._session: SshSession | None = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._why_lost = "the connection ended"
        self._last_refusal: Problem | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the engine answered last time, and nothing has been heard to the contrary."""
        return self._ready.is_set()

    async def dial(self, *, timeout_s: float) -> ByteStream:
        """A stream to the engine; waits for it to be ready.

        Raises:
            WherryError: ENGINE_DOWN when it does not answer in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise fail(
                ProblemCode.ENGINE_DOWN,
                f"The engine did not answer within {timeout_s:g} s.",
                hint="See `wherry status` for what it waits for.",
                retryable=True,
            ) from error
        session = self._session
        if session is None:
            raise fail(ProblemCode.ENGINE_DOWN, "The way to the engine was just lost.", retryable=True)
        return await session.open_unix(ENGINE_SOCKET, timeout_s=_CONNECT_TIMEOUT_S)

    async def establish(self, *, hardware: bool, slow: Callable[[Problem], None]) -> None:
        """Connect and wait for the engine's answer, for as long as it takes.

        Args:
            hardware: which deadlines apply.
            slow: called once for each rung whose deadline passes; the wait goes on.
        """
        self._ready.clear()
        if self._session is None or not self._session.is_alive:
            self._progress.begin(SSH)
            ssh_s = self._deadlines.of(SSH, hardware=hardware)
            await self._await_with_notice(self._open_session(), ssh_s, slow, self._ssh_slow)
        self._progress.begin(ENGINE)
        engine_s = self._deadlines.of(ENGINE, hardware=hardware)
        await self._await_with_notice(self._await_engine(), engine_s, slow, self._engine_slow)
        # What was lost before this answer (a dockerd that failed at first, say) is found again.
        self._lost.clear()
        self._ready.set()
        if self._session is None or not self._session.is_alive:
            self._mark_lost("the SSH connection broke")
        self._progress.finish()

    async def until_lost(self) -> str:
        """Return, with the reason, once the engine or the way to it is gone."""
        await self._lost.wait()
        self._ready.clear()
        return self._why_lost

    async def probe(self, opened: Callable[[], None]) -> bool:
        """Ask the engine once; tells whether it answers in half a minute. Waits for SSH however long that takes.

        Args:
            opened: called once SSH has opened the way to the engine.

        Raises:
            WherryError: the way is closed.
            ConnectionError: it broke.
        """
        session = self._session
        if session is None:
            raise fail(ProblemCode.SSH_FAILED, "There is no connection to the guest.", retryable=True)
        stream = await session.open_unix(ENGINE_SOCKET, timeout_s=_PROBE_S)
        opened()
        try:
            return await answers_ping(stream, timeout_s=_PING_S)
        finally:
            await stream.aclose()

    async def lose(self, why: str, *, drop: bool) -> None:
        """It is known that the way leads nowhere now: it is found again as soon as it can be.

        Args:
            drop: the connection itself is at fault, so that another one is needed.
        """
        self._mark_lost(why)
        if drop:
            session, self._session = self._session, None
            if session is not None:
                await session.aclose()

    def heed(self, event: GuestEvent) -> None:
        """Take note of what the guest says: an engine that ends is a loss at once, before anybody asks it in vain."""
        if isinstance(event, ServiceChange) and event.name == ENGINE_SERVICE and event.exit_code is not None:
            self._mark_lost(f"dockerd ended with code {event.exit_code}")

    async def run(self, command: str, *, timeout_s: float) -> str:
        """Run a command in the guest and return what it printed. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, "There is no connection to the guest.", retryable=True)
        result = await self._session.run(command, timeout_s=timeout_s)
        return result.untrusted_stdout.decode("utf-8", errors="replace")

    async def execute(self, command: str, *, stdin: bytes, timeout_s: float) -> Result:
        """Run a command in the guest with this input, and tell how it ended. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, "There is no connection to the guest.", retryable=True)
        return await self._session.run(command, timeout_s=timeout_s, stdin=stdin)

    @contextlib.asynccontextmanager
    async def follow(self, command: str) -> AsyncIterator[FollowedCommand]:
        """Begin a command in the guest and read what it prints, while the block lasts. Raises WherryError."""
        if self._session is None:
            raise fail(ProblemCode.SSH_FAILED, "There is no connection to the guest.", retryable=True)
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
            self._ready.clear()
            self._lost.set()

    async def _open_session(self) -> None:
        while True:
            try:
                port = await self._driver.monitor.forward_tcp(self._guest_port)
                await asyncio.to_thread(self._note_host_key, port)
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

    def _note_host_key(self, port: int) -> None:
        """For OpenSSH's own tools (`wherry shell`)."""
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
        """Await `work` to its end, however long; tell once when the deadline passes."""
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
            summary=f"The guest runs, but its SSH server did not let Wherry in within {deadline_s:g} s.",
            tail=(self._last_refusal.summary,) if self._last_refusal else (),
            hint=SSH.hint,
            retryable=True,
            action=Action.RESTART,
        )

    async def _engine_slow(self, deadline_s: float) -> Problem:
        command = f"tail -n 12 {ENGINE_LOG}"
        try:
            tail = tuple((await self.run(command, timeout_s=5)).splitlines())
        except WherryError as error:
            tail = (error.problem.summary,)
        return Problem(
            code=ProblemCode.ENGINE_DOWN,
            summary=f"The machine runs, but its Docker engine did not answer within {deadline_s:g} s.",
            command=f"wherry shell {command}",
            tail=tail,
            hint=ENGINE.hint,
            retryable=True,
            action=Action.RESTART_ENGINE,
        )
