"""The parts of `Host` that Linux and macOS share: private Unix sockets, and detached processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backend.host.base import BlockingStream, DetachedProcess, StreamHandler
from backend.host.session.place import EndpointPlace
from backend.host.systems import detached, unix_socket
from backend.host.systems.keepers import SessionEndpoint
from backend.host.systems.kept_socket import KeptListener
from backend.host.systems.session_managers import SessionManager
from backend.stream import ByteStream

_BACKLOG = 128
_FILE_LIMITS = (65_536, 10_240)
_LEAVE = b"\x1d"  # Ctrl-]
_WRITE_HIGH_WATER_BYTES = 1_048_576


class PosixHost:
    """Base class of LinuxHost and MacHost."""

    max_socket_path_bytes = unix_socket.MAX_PATH_BYTES

    def __init__(self, arch: str) -> None:
        self.arch = arch

    def short_run_base(self) -> Path:
        """A short private directory below /tmp, named for the user."""
        return Path("/tmp") / f"wherry-{os.getuid()}"  # noqa: S108 -- owner and mode are checked by listen

    def spawn_detached(
        self, argv: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> DetachedProcess:
        """See Host. It gets a new session, so that closing a terminal does not end it, and umask 077."""
        return detached.spawn(argv, output=output, environment=environment)

    def deepen_backlog(self, pid: int, descriptor: int, backlog: int) -> bool:  # noqa: ARG002 -- Host
        """See Host. Not supported here."""
        return False

    async def listen(self, address: Path, handler: StreamHandler) -> unix_socket.UnixListener:
        """See Host."""
        return await unix_socket.UnixListener.bind(address, handler)

    def session_managers(self) -> tuple[SessionManager, ...]:
        """Those that can keep an endpoint in the user's session, the one in use first."""
        raise NotImplementedError

    def session_endpoint(self, place: EndpointPlace) -> SessionEndpoint:
        """See Host."""
        return SessionEndpoint(place, *self.session_managers())

    async def listen_kept(
        self, place: EndpointPlace, handler: StreamHandler, *, wanted: Callable[[], bool]
    ) -> KeptListener:
        """See Host."""
        listener = KeptListener(self.session_endpoint(place), handler, wanted)
        await listener.open()
        return listener

    async def connect(self, address: Path) -> ByteStream:
        """See Host."""
        return await unix_socket.connect(address)

    def connect_blocking(self, address: Path, *, timeout_s: float) -> socket.socket:
        """See Host."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.connect(str(address))
        except BaseException:
            connection.close()
            raise
        return connection

    def bridge_terminal(self, connection: BlockingStream) -> None:
        """See Host."""
        import termios  # not on Windows, where this module must still be importable
        import tty

        assert isinstance(connection, socket.socket)
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        connection.settimeout(None)
        try:
            tty.setraw(terminal)
            connection.sendall(b"\r")  # have the guest print its prompt
            while True:
                readable, _, _ = select.select([terminal, connection], [], [])
                if terminal in readable:
                    typed = os.read(terminal, 1024)
                    if not typed or _LEAVE in typed:
                        return
                    connection.sendall(typed)
                if connection in readable:
                    printed = connection.recv(65_536)
                    if not printed:
                        return
                    os.write(sys.stdout.fileno(), printed)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            os.write(sys.stdout.fileno(), b"\r\n")

    def allocated_bytes(self, path: Path) -> int | None:
        """See Host."""
        try:
            return path.stat().st_blocks * 512
        except OSError:
            return None

    def raise_file_limit(self) -> None:
        """See Host. Raises the soft limit up to the hard one; macOS accepts at most 10,240 when that is unlimited."""
        import resource  # not on Windows, where this module must still be importable

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for allowed in _FILE_LIMITS:
            limit = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
            if soft != resource.RLIM_INFINITY and soft < limit:
                with contextlib.suppress(ValueError, OSError):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                    return

    def hosts_file(self) -> Path:
        """See Host."""
        return Path("/etc/hosts")

    def docker_url(self, address: Path) -> str:
        """unix:// and the path, in UTF-8 whatever the locale is: it goes into files that docker reads."""
        return "unix://" + os.fsencode(address).decode("utf-8", errors="surrogateescape")

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The platform's selector loop."""
        return asyncio.new_event_loop()
