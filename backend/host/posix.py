"""What Linux and macOS do alike: private Unix sockets, and detached processes in sessions of their own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.errors import ProblemCode, fail
from backend.host.base import BlockingStream, DetachedProcess, StreamHandler
from backend.stream import ByteStream

_BACKLOG = 128
_LEAVE = b"\x1d"  # Ctrl-]
_WRITE_HIGH_WATER_BYTES = 1_048_576
_detached: list[subprocess.Popen[bytes]] = []
"""Kept until they have ended and were reaped: Python warns of a child that is forgotten while it runs."""


class SocketStream:
    """A ByteStream over an asyncio stream pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """See ByteStream."""
        return await self._reader.read(max_bytes)

    async def write(self, data: bytes) -> None:
        """See ByteStream."""
        if self._writer.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the connection is closed")
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        """See ByteStream."""
        with contextlib.suppress(OSError, RuntimeError):
            if not self._writer.is_closing():
                self._writer.write_eof()

    async def aclose(self) -> None:
        """See ByteStream."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class UnixListener:
    """A Unix socket being served; see Listener."""

    def __init__(self, server: asyncio.Server, address: Path, inode: int, tasks: set[asyncio.Task[None]]) -> None:
        self._server = server
        self._address = address
        self._inode = inode
        self._tasks = tasks

    async def aclose(self) -> None:
        """See Listener. The name goes only if it is still ours: a successor may have bound it anew."""
        with contextlib.suppress(OSError):
            if self._address.lstat().st_ino == self._inode:
                self._address.unlink()
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=5)


class PosixHost:
    """The shared half of LinuxHost and MacHost."""

    max_socket_path_bytes = 103  # macOS: sun_path of 104 with its NUL; Linux has 108, one limit keeps homes portable

    def __init__(self, arch: str) -> None:
        self.arch = arch

    def short_run_base(self) -> Path:
        """A short private directory below /tmp, named for the user."""
        return Path("/tmp") / f"wherry-{os.getuid()}"  # noqa: S108 -- owner and mode are checked by listen

    def spawn_detached(
        self, argv: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> DetachedProcess:
        """See Host: a new session, so that no terminal and no parent takes it down; umask 077."""
        _detached[:] = [child for child in _detached if child.poll() is None]
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                close_fds=True,
                umask=0o077,
                env=None if environment is None else dict(environment),
            )
        finally:
            os.close(descriptor)
        _detached.append(process)
        return DetachedProcess(pid=process.pid, poll=process.poll, kill=process.kill)

    async def listen(self, address: Path, handler: StreamHandler) -> UnixListener:
        """See Host. Bound under a temporary name, made private, then renamed: nobody can connect in between."""
        _check_private_parent(address)
        _clear_stale(address)
        temporary = address.with_name(f".{address.name[:4]}{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(temporary))
            temporary.chmod(0o600)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            temporary.rename(address)
        except OSError as error:
            listener.close()
            temporary.unlink(missing_ok=True)
            raise fail(
                ProblemCode.ENDPOINT_TAKEN,
                f"The socket {address} could not be made: {error.strerror}.",
                hint="Check that its directory exists, is yours and has room.",
            ) from error
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            writer.transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
            stream = SocketStream(reader, writer)
            try:
                await handler(stream)
            except ConnectionError:
                pass  # the peer left
            except asyncio.CancelledError:
                writer.transport.abort()  # we leave: a peer that reads nothing must not hold us up
            finally:
                await stream.aclose()

        server = await asyncio.start_unix_server(serve, sock=listener, limit=524_288)
        return UnixListener(server, address, address.lstat().st_ino, tasks)

    async def connect(self, address: Path) -> ByteStream:
        """See Host."""
        reader, writer = await asyncio.open_unix_connection(str(address), limit=524_288)
        return SocketStream(reader, writer)

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

    def docker_url(self, address: Path) -> str:
        """unix:// and the path."""
        return f"unix://{address}"

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The platform's selector loop."""
        return asyncio.new_event_loop()


def _check_private_parent(address: Path) -> None:
    """Refuse a directory that another user could have prepared for us below /tmp."""
    place, above = address.parent.lstat(), address.parent.parent.lstat()
    others_place = stat.S_ISLNK(place.st_mode) or place.st_uid != os.getuid() or place.st_mode & 0o022
    # Whoever owns the directory above can put another one in the place of ours.
    others_above = above.st_uid not in (os.getuid(), 0) or above.st_mode & (0o002 | stat.S_ISVTX) == 0o002
    if others_place or others_above:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            f"The directory {address.parent} is not private to you, so no socket is put there.",
            command=f"ls -ld {address.parent} {address.parent.parent}",
            hint="Remove it, or make it yours alone with chmod 700, and try again.",
        )


def _clear_stale(address: Path) -> None:
    """Remove a socket that nobody serves any more; refuse everything else that has the name."""
    try:
        information = address.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(information.st_mode):
        raise fail(
            ProblemCode.ENDPOINT_TAKEN,
            f"{address} exists and is not a socket.",
            command=f"ls -l {address}",
            hint="Move it away and try again.",
        )
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(1)
    try:
        probe.connect(str(address))
    except (ConnectionRefusedError, FileNotFoundError):
        address.unlink(missing_ok=True)
    except OSError as error:
        raise _taken(address) from error
    else:
        raise _taken(address)
    finally:
        probe.close()


def _taken(address: Path) -> Exception:
    return fail(
        ProblemCode.ENDPOINT_TAKEN,
        f"Another program already serves {address}.",
        hint="Stop that program, or start Wherry with another --home.",
    )
