"""Private Unix sockets: safe binding, and connections that distinguish a half-closed peer from a closed one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import select
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from backend.errors import ProblemCode, WherryError, fail
from backend.host.base import StreamHandler
from backend.host.process import ProcessIdentity
from backend.messages import Message, message

_BUFFER_BYTES = 256 * 1024
_PROBE_S = 2.0
_FLUSH_S = 2.0
_BACKLOG = 128
_CLOSE_S = 5.0
_PEER = struct.Struct("=iII")
"""Linux's struct ucred: process, user, group (unix(7))."""
_log = logging.getLogger(__name__)
_ACCEPT_ITERATIONS = 4
MAX_PATH_BYTES = 103
"""The limit of macOS (104 with the NUL). Linux allows 108; one limit keeps homes portable."""


# One receive buffer for all connections: data is copied out before the loop reads anything else. asyncio's default
# allocates 256 KiB for each read, which is half of a small request's processor time.
_READ_BUFFER = memoryview(bytearray(_BUFFER_BYTES))


class UnixStream(asyncio.BufferedProtocol):
    """A ByteStream over one connection; also PresenceAware. All of them MUST belong to the same event loop."""

    def __init__(self, on_connected: Callable[[UnixStream], object]) -> None:
        self._on_connected = on_connected
        self._transport: asyncio.Transport | None = None
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._ended = False
        self._lost: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._closed = asyncio.Event()

    # --- ByteStream ------------------------------------------------------------------------------------------------

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """See ByteStream.read."""
        while not self._pieces:
            if self._lost is not None:
                raise ConnectionResetError("the peer's connection broke") from self._lost
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._pieces.popleft()
        if len(data) > max_bytes:
            self._pieces.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._buffered -= len(data)
        if self._read_paused and self._buffered < _BUFFER_BYTES // 2 and self._transport is not None:
            self._read_paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """See ByteStream.write."""
        if self._transport is None or self._lost is not None or self._transport.is_closing():
            raise BrokenPipeError("the peer's connection is closed")
        self._transport.write(data)
        while self._write_paused:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
            if self._lost is not None:
                raise BrokenPipeError("the peer's connection is closed") from self._lost

    async def write_eof(self) -> None:
        """See ByteStream.write_eof."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # gone already
                self._transport.write_eof()

    async def aclose(self) -> None:
        """See ByteStream.aclose. The peer gets two seconds to read what was written."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() == 0:
            transport.abort()
        else:
            transport.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    await self._closed.wait()
            transport.abort()
        await self._closed.wait()

    def abort(self) -> None:
        """Drop the connection and unsent data. `aclose` still has to be called."""
        if self._transport is not None:
            self._transport.abort()

    def peer_may_connect(self) -> bool:
        """Whether the peer runs as this user or as root.

        The modes of directory and socket ensure this already; the check remains if those are changed later.
        """
        if self._transport is None or not hasattr(socket, "SO_PEERCRED"):
            return True
        try:
            _, user, _ = self._credentials(self._transport)
        except OSError:
            return False  # gone already
        if user in (os.geteuid(), 0):
            return True
        _log.warning("a process of the user %d was turned away", user)
        return False

    @staticmethod
    def _credentials(transport: asyncio.Transport) -> tuple[int, int, int]:
        """The process, user and group that connected (Linux). Raises OSError."""
        credentials = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        process, user, group = _PEER.unpack(credentials)
        return process, user, group

    def peer_process(self) -> ProcessIdentity | None:
        """The process that connected. None when it has ended, or the system does not say (all but Linux)."""
        if self._transport is None or not hasattr(socket, "SO_PEERCRED"):
            return None
        try:
            process, _, _ = self._credentials(self._transport)
        except OSError:
            return None
        return ProcessIdentity.of(process) if process > 0 else None  # 0: it is in a container, and not seen from here

    def peer_is_gone(self) -> bool:
        """See PresenceAware. Known on Linux, where unix(7) sockets report POLLHUP once both sides are closed."""
        if self._lost is not None:
            return True
        if self._transport is None or not hasattr(select, "epoll"):
            return False
        connection = self._transport.get_extra_info("socket")
        poll = select.poll()
        poll.register(connection.fileno(), 0)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    # --- callbacks of asyncio --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self._on_connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """See asyncio.BufferedProtocol."""
        return _READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        self._pieces.append(bytes(_READ_BUFFER[:nbytes]))
        self._buffered += nbytes
        if self._buffered >= _BUFFER_BYTES and self._transport is not None and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()
        self._wake(self._reader)

    def eof_received(self) -> bool:
        """See asyncio.BufferedProtocol. Keeps the other direction open."""
        self._ended = True
        self._wake(self._reader)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._lost = exc or ConnectionAbortedError("closed on this side")
        self._write_paused = False
        self._closed.set()
        self._wake(self._reader)
        self._wake(self._writer)

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._write_paused = False
        self._wake(self._writer)

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


async def connect(path: Path) -> UnixStream:
    """Open a stream to a Unix socket of this computer. Raises OSError when nobody listens."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_unix_connection(lambda: UnixStream(lambda _connected: None), str(path))
    return stream


class UnixListener:
    """A bound and listening Unix socket at its final path; see Listener."""

    def __init__(self, path: Path, handler: StreamHandler) -> None:
        self.socket: socket.socket | None = None
        """The listening socket; closed once it accepts no more."""
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def bind(cls, path: Path, handler: StreamHandler) -> UnixListener:
        """Listen at `path` with mode 0600, replacing a stale socket.

        Args:
            handler: called as a task for each connection, which is closed when it returns.

        Raises:
            WherryError: as `bind_private`.
        """
        return await cls.serve(await bind_private(path), path, handler)

    @classmethod
    async def serve(
        cls, listener: socket.socket, path: Path, handler: StreamHandler, *, owns_file: bool = True
    ) -> UnixListener:
        """Accept the connections of a socket that listens already. `owns_file`: the file goes with this listener."""
        server = cls(path, handler)
        server.socket = listener
        server._inode = path.lstat().st_ino if owns_file else 0
        listener.setblocking(False)
        server._server = await asyncio.get_running_loop().create_server(
            lambda: UnixStream(server._begin), sock=listener, backlog=_BACKLOG
        )
        return server

    def own_file(self, *, owns: bool) -> None:
        """Say whether the file at the path is removed at the end."""
        self._inode = 0
        with contextlib.suppress(OSError):
            self._inode = self._path.lstat().st_ino if owns else 0

    def stop_accepting(self) -> None:
        """Leave new connections to somebody else; those that are open go on until `aclose`."""
        if self._server is not None:
            self._server.close()

    async def aclose(self) -> None:
        """See Listener. The file is removed only if it is still ours: a successor may have replaced it."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        # asyncio needs a few loop iterations from accepting a connection to its protocol: wait, to close those too.
        for _ in range(_ACCEPT_ITERATIONS):
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)

    def _begin(self, stream: UnixStream) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(stream), name=f"client of {self._path.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: UnixStream) -> None:
        try:
            if stream.peer_may_connect():
                await self._handler(stream)
        except ConnectionError:
            pass  # the peer closed
        except asyncio.CancelledError:
            stream.abort()  # shutting down: do not wait for a peer that reads nothing
        finally:
            await stream.aclose()


async def bind_private(path: Path) -> socket.socket:
    """Make a socket that listens at `path` with mode 0600, replacing a stale one.

    It is bound under a temporary name in the same directory, made private before it listens, and renamed. So the socket
    at `path` is never open to other users and never refuses connections.

    Raises:
        WherryError: ENDPOINT_TAKEN, a program listens there, or the file is not a socket of this user;
            PATH_UNUSABLE, the directory is missing, not accessible or not private, or the path is too long.
    """
    check_private_parent(path)
    await _check_free(path)
    # As short as can be: the limit for a socket's path is 104 bytes on macOS, 108 on Linux.
    temporary = path.with_name(f".{secrets.token_hex(3)}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise OSError("the path is too long for a socket")
        listener.bind(str(temporary))
        temporary.chmod(0o600)  # nobody can connect yet: it does not listen
        listener.listen(_BACKLOG)
        temporary.replace(path)
    except OSError as error:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise _unusable(
            path, message("The socket {path} can't be created: {error}.", path=path, error=error.strerror or error)
        ) from error
    return listener


def check_private_parent(path: Path) -> None:
    """Raise PATH_UNUSABLE for a directory that another user controls, such as one prepared below /tmp."""
    try:
        directory, parent = path.parent.lstat(), path.parent.parent.lstat()
    except OSError as error:
        raise _unusable(
            path, message("The folder {path} can't be used: {error}.", path=path.parent, error=error.strerror)
        ) from error
    not_ours = stat.S_ISLNK(directory.st_mode) or directory.st_uid != os.getuid() or directory.st_mode & 0o022
    # The owner of the parent directory can replace ours.
    parent_not_ours = parent.st_uid not in (os.getuid(), 0) or parent.st_mode & (0o002 | stat.S_ISVTX) == 0o002
    if not_ours or parent_not_ours:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            message("The folder {path} isn't private to you, so no socket is created there.", path=path.parent),
            command=f"ls -ld {path.parent} {path.parent.parent}",
            hint=message("Delete it or make it private (chmod 700), then try again."),
        )


async def _check_free(path: Path) -> None:
    """Raise ENDPOINT_TAKEN unless `path` is free or holds a stale socket of this user."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, message("{path} can't be read: {error}.", path=path, error=error.strerror)) from error
    if not stat.S_ISSOCK(status.st_mode):
        raise _taken(
            path, message("{path} exists and isn't a socket.", path=path), message("Move it away and try again.")
        )
    if status.st_uid != os.geteuid():
        raise _taken(
            path,
            message("The socket {path} belongs to another user.", path=path),
            message("Start Wherry with another --home."),
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(_PROBE_S):
                await asyncio.get_running_loop().sock_connect(probe, str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except (OSError, TimeoutError):
            pass  # a full queue, or no permission: a program may be listening
    raise _taken(
        path,
        message("Another program already uses {path}.", path=path),
        message("Stop that program, or start Wherry with another --home."),
    )


def _taken(path: Path, summary: Message, hint: Message) -> WherryError:
    return fail(ProblemCode.ENDPOINT_TAKEN, summary, command=f"ls -l {path}", hint=hint)


def _unusable(path: Path, summary: Message) -> WherryError:
    hint = message(
        "Start Wherry with another --home: a short path in a folder that exists, belongs to you and has free space."
    )
    return fail(ProblemCode.PATH_UNUSABLE, summary, command=f"ls -ld {path.parent}", hint=hint)
