"""Fixtures: coroutines with a deadline, an API front with a scripted engine, and OpenSSH servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from backend.engine.front.hooks import FrontHooks
from backend.engine.front.proxy import ApiFront
from backend.host.systems import unix_socket
from backend.ssh.keys import MachineKeys, ensure_keys
from backend.stream import ByteStream

T = TypeVar("T")
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DEADLINE_S = 60.0
CLEANUP_S = 5.0
"""Time for a cancelled coroutine to clean up, after each cancellation."""
GUEST_SSHD_CONFIG = Path(__file__).parents[2] / "vmimage/overlay/etc/ssh/sshd_config"
GUEST_LIMITS = ("MaxSessions", "MaxStartups", "PerSourceMaxStartups")
"""Settings that limit connections and sessions, and exist in every version of OpenSSH."""


class Run(Protocol):
    """Runs a coroutine and returns its result."""

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T: ...


@pytest.fixture
def run() -> Run:
    """Run a coroutine on a new event loop with a deadline; fails if tasks are left."""

    def run_it(coroutine: Coroutine[Any, Any, T]) -> T:
        async def main() -> T:
            test = asyncio.ensure_future(coroutine)
            await asyncio.wait([test], timeout=DEADLINE_S)
            if not test.done():
                where = test.get_stack()[-1]
                await cancel(test)
                pytest.fail(
                    f"not over within {DEADLINE_S:g} s: it waited at {where.f_code.co_filename}:{where.f_lineno}"
                )
            # The handlers of a connection's end may still have to run: wait for them, then check.
            if left := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(left, timeout=5)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left or test.exception() is not None, left
            return test.result()

        return asyncio.run(main())

    return run_it


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task until it has ended: its cleanup may wait for ever, too, and a cancellation ends only one wait."""
    for _ in range(5):
        task.cancel()
        await asyncio.wait([task], timeout=CLEANUP_S)
        if task.done():
            return


def guest_limits() -> list[str]:
    """The lines of the guest's sshd_config with GUEST_LIMITS."""
    lines = [line for line in GUEST_SSHD_CONFIG.read_text().splitlines() if line.startswith(GUEST_LIMITS)]
    assert len(lines) == len(GUEST_LIMITS), lines
    return lines


def session_processes(pid: int) -> list[int]:
    """Process ids of an SSH server's children that serve connections, at every level.

    Since OpenSSH 9.8 a connection has two: a privileged monitor, and its child, which handles the traffic.
    """
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    processes: list[int] = []
    for child in children:
        with contextlib.suppress(OSError):  # it has just ended
            if Path(f"/proc/{child}/comm").read_text().startswith("sshd"):
                processes += [child, *session_processes(child)]
    return processes


@dataclass
class Engine:
    """An engine that runs a script of the test for each connection."""

    path: Path
    scripts: list[Script]
    """One per connection, in order; the last one also serves all further connections."""
    connections: int = 0
    failures: list[BaseException] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run the script of the next connection."""
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:  # noqa: BLE001 -- a failed assertion in the script: raised by the fixture
            self.failures.append(error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@dataclass
class Stage:
    """An API front between clients and a scripted engine."""

    front: ApiFront
    engine: Engine
    path: Path

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as a docker client does."""
        return await asyncio.open_unix_connection(str(self.path))

    async def ask(self, request: bytes) -> bytes:
        """Send a request on a new connection and return everything received until it is closed."""
        reader, writer = await self.client()
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class MakeStage(Protocol):
    """Type of the fixture `stage`: starts a front with an engine that runs these scripts."""

    def __call__(
        self, *scripts: Script, hooks: FrontHooks | None = None, dial: Callable[[], Awaitable[ByteStream]] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Stage]: ...


@pytest.fixture
def stage(tmp_path: Path) -> MakeStage:
    """A front on a Unix socket with a scripted engine."""

    @contextlib.asynccontextmanager
    async def make(
        *scripts: Script, hooks: FrontHooks | None = None, dial: Callable[[], Awaitable[ByteStream]] | None = None
    ) -> AsyncIterator[Stage]:
        engine = Engine(path=tmp_path / "engine.sock", scripts=list(scripts))
        server = await asyncio.start_unix_server(engine.serve, str(engine.path))
        front = ApiFront(dial or (lambda: unix_socket.connect(engine.path)), hooks=hooks)
        listener = await unix_socket.UnixListener.bind(tmp_path / "front.sock", front.handle)
        try:
            yield Stage(front=front, engine=engine, path=tmp_path / "front.sock")
        finally:
            await listener.aclose()
            await front.aclose()
            server.close()
            await server.wait_closed()
        for failure in engine.failures:
            raise failure
        assert front.connection_count == 0

    return make


@dataclass
class Sshd:
    """An OpenSSH server on loopback."""

    port: int
    keys: MachineKeys
    user: str
    process: subprocess.Popen[bytes]
    log: Path

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send a signal to the processes that serve connections, not to the listener."""
        for pid in session_processes(self.process.pid):
            with contextlib.suppress(ProcessLookupError):  # ended meanwhile
                os.kill(pid, number)


class StartSshd(Protocol):
    """Type of the fixture `start_sshd`: starts a server with these lines of sshd_config."""

    def __call__(self, *options: str) -> Sshd: ...


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[StartSshd]:
    """Start OpenSSH servers with the guest's limits. They are ended after the test."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert program, "these tests need OpenSSH's server: install the package openssh-server"
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> Sshd:
        directory = tmp_path / f"sshd{len(started)}"
        keys = ensure_keys(directory)
        (directory / "authorized_keys").write_text(keys.client.public_line + "\n")
        with socket.socket() as probe:  # sshd cannot be asked which port it got: take the chance of a race
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        lines = [
            f"ListenAddress 127.0.0.1:{port}",
            f"HostKey {keys.host.private_path}",
            f"AuthorizedKeysFile {directory}/authorized_keys",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            *guest_limits(),
            *options,
        ]
        config = directory / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        log = directory / "log"
        process = subprocess.Popen(
            [program, "-D", "-f", str(config), "-E", str(log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, f"sshd ended: {log.read_text()}"
            assert time.monotonic() < deadline, "sshd did not listen within 20 s"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        return Sshd(port=port, keys=keys, user=getpass.getuser(), process=process, log=log)

    yield start
    for process in started:
        process.terminate()
        process.wait(10)
