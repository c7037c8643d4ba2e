"""One SSH connection to the guest with an asyncio interface: streams to sockets, commands, and loss detection.

paramiko is not visible to callers. Threads run while connecting, permanently on an event loop that cannot watch a
socket (Windows), and once a send had to be queued. `aclose` joins them all, and MUST be called after a loss too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import paramiko

from backend.errors import ProblemCode, WherryError, fail
from backend.messages import message
from backend.ssh.channel import Inbox, LoopChannel
from backend.ssh.stream import SshStream
from backend.ssh.transport import HostKeyMismatch, SshTransport
from backend.stream import ByteStream

_log = logging.getLogger(__name__)

KEEPALIVE_S = 15.0
KEEPALIVE_MISSES = 4
"""Keep-alive periods without a byte from the peer after which the connection counts as lost: a minute. Counted, not
timed, so that a computer that wakes from sleep does not lose its connections."""
MAX_COMMANDS = 8
"""Commands that run at the same time on one connection. The guest's server MUST allow many more (MaxSessions in its
sshd_config): it frees the session of a finished command only after it has read the next request, so it briefly counts
up to twice as many, and `follow` and the user's own `ssh` need sessions too."""
OUTPUT_LIMIT_BYTES = 1024 * 1024
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Exit code and output of a command."""

    exit_code: int
    """-1 when the peer sent none (killed by a signal, or the channel was closed)."""
    untrusted_stdout: bytes
    untrusted_stderr: bytes
    truncated: bool = False
    """Whether stdout or stderr was cut at `output_limit` bytes."""


class FollowedCommand:
    """A running command whose output is streamed; see `SshSession.follow`. Its stderr is discarded."""

    def __init__(self, channel: LoopChannel, stream: SshStream) -> None:
        self._channel = channel
        self._stream = stream

    async def read(self) -> bytes:
        """The next bytes of stdout; b"" at the end. Raises ConnectionError when the connection ends first."""
        return await self._stream.read()

    async def exit_code(self) -> int:
        """Wait for the exit code; -1 when there is none (killed by a signal, or the connection ended)."""
        channel = self._channel
        while not channel.status_event.is_set():
            channel.answered.arm()
            if not channel.status_event.is_set():
                await channel.answered.wait()
        return channel.exit_status


class SshSession:
    """A connection to the guest, created by `connect`. All methods MUST be called on the loop that connected."""

    def __init__(self, transport: SshTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._ended = asyncio.Event()
        self._closing = False
        self._callbacks: list[Callable[[], None]] = []
        self._commands = asyncio.Semaphore(MAX_COMMANDS)
        self._keepalive: asyncio.TimerHandle | None = None
        self._reads_seen = -1
        self._misses = 0
        transport.on_end = self._on_end
        transport.follow()
        if transport.is_active():
            self._keepalive = loop.call_later(KEEPALIVE_S, self._keep_alive)
        else:  # it ended after the login
            self._on_end()

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        username: str,
        key_path: Path,
        host_key_public: str,
        timeout_s: float,
    ) -> SshSession:
        """Connect, verify the host key, log in. Cancellable at any point; cleans up when it fails.

        Args:
            key_path: our private key, as made by `ensure_keys`.
            host_key_public: the pinned key, "ssh-ed25519 AAAA...".
            timeout_s: deadline for all steps together.

        Raises:
            WherryError: SSH_FAILED. `retryable` unless the host key or the login was refused.
        """
        loop = asyncio.get_running_loop()
        key, host_key_blob = _load_keys(key_path, host_key_public)
        where = f"{host}:{port}"
        transport: SshTransport | None = None
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(timeout_s):
                connection.setblocking(False)
                await loop.sock_connect(connection, (host, port))
                transport = SshTransport(connection, loop)
                attempt = transport
                await _in_thread(
                    lambda: attempt.handshake(
                        username=username, key=key, host_key_blob=host_key_blob, timeout_s=timeout_s
                    ),
                    abort=attempt.abort,
                )
        except BaseException as error:
            if transport is None:
                connection.close()
            else:
                await _dispose(transport)
            problem = _translate(error, where, timeout_s)
            if problem is None:
                raise
            raise problem from error
        return cls(transport, loop)

    async def open_unix(self, path: str, *, timeout_s: float = 10.0) -> ByteStream:
        """Open a stream to a Unix socket of the guest.

        Raises:
            WherryError: SSH_FAILED: nothing listens there, access was denied, or no reply came in time (retryable).
        """
        details = paramiko.Message()
        details.add_string(path)
        details.add_string("")  # reserved
        details.add_int(0)  # reserved
        channel = await self._open("direct-streamlocal@openssh.com", details, path, timeout_s)
        return SshStream(self._transport, channel)

    async def open_tcp(self, host: str, port: int, *, timeout_s: float = 10.0) -> ByteStream:
        """Open a stream to a TCP address, connected from within the guest. Raises as `open_unix`."""
        details = paramiko.Message()
        details.add_string(host)
        details.add_int(port)
        details.add_string("127.0.0.1")  # the originator's address: only for the server's log
        details.add_int(0)
        channel = await self._open("direct-tcpip", details, f"{host}:{port}", timeout_s)
        return SshStream(self._transport, channel)

    async def run(
        self, command: str, *, timeout_s: float, stdin: bytes = b"", output_limit: int = OUTPUT_LIMIT_BYTES
    ) -> Result:
        """Run a shell command in the guest and wait for its end.

        At most MAX_COMMANDS run at the same time; more are queued, within `timeout_s`.

        Raises:
            WherryError: SSH_FAILED: refused, connection lost, or timeout. The command may still be running.
        """
        channel: LoopChannel | None = None
        try:
            async with asyncio.timeout(timeout_s), self._commands:
                channel = await self._open("session", paramiko.Message(), "a command", timeout_s)
                return await self._run_on(channel, command, stdin, output_limit)
        except TimeoutError as error:
            raise fail(
                ProblemCode.SSH_FAILED,
                message("The virtual machine didn't finish a command within {seconds:g} s.", seconds=timeout_s),
                command=command,
                retryable=True,
            ) from error
        except ConnectionError as error:
            raise self._lost_problem(command) from error
        finally:
            if channel is not None:
                with contextlib.suppress(EOFError, OSError):
                    channel.close()

    @contextlib.asynccontextmanager
    async def follow(self, command: str, *, timeout_s: float = 10.0) -> AsyncIterator[FollowedCommand]:
        """Run a shell command in the guest and stream its stdout inside the `async with` block; stdin is empty.

        Leaving the block closes the command's stdout, which ends a command that keeps writing. Not counted in
        MAX_COMMANDS: use it for one or two long-running commands.

        Raises:
            WherryError: SSH_FAILED, it could not be started in time.
        """
        channel = await self._open("session", paramiko.Message(), "a command", timeout_s)
        stream = SshStream(self._transport, channel)
        try:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._begin_command(channel, command)
                    await stream.write_eof()
            except (TimeoutError, ConnectionError) as error:
                raise self._lost_problem(command) from error
            channel.stderr_inbox.discard()
            yield FollowedCommand(channel, stream)
        finally:
            await stream.aclose()

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, on the loop, when the connection is lost, but not when `aclose` closes it.

        When it is already lost, the callback is scheduled at once.
        """
        if self._ended.is_set():
            if not self._closing:
                self._loop.call_soon(callback)
        else:
            self._callbacks.append(callback)

    @property
    def is_alive(self) -> bool:
        """Whether the connection is open; a loss that was not detected yet does not count."""
        return not self._ended.is_set() and self._transport.is_active()

    async def aclose(self) -> None:
        """Close the connection and join its threads. Idempotent. Open streams raise ConnectionError."""
        self._closing = True
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None
        await _dispose(self._transport)

    # --- the rest --------------------------------------------------------------------------------------------------

    def _on_end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        if self._keepalive is not None:
            self._keepalive.cancel()
        callbacks, self._callbacks = self._callbacks, []
        if not self._closing:
            for callback in callbacks:
                self._loop.call_soon(callback)

    def _keep_alive(self) -> None:
        reads = self._transport.wire.reads
        self._misses = self._misses + 1 if reads == self._reads_seen else 0
        self._reads_seen = reads
        if self._misses > KEEPALIVE_MISSES:
            _log.warning("the SSH connection answered nothing for %.0f s: given up", KEEPALIVE_S * self._misses)
            self._transport.abort()
            return
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self._transport.send_keepalive()
        self._keepalive = self._loop.call_later(KEEPALIVE_S, self._keep_alive)

    async def _open(self, kind: str, details: paramiko.Message, target: str, timeout_s: float) -> LoopChannel:
        settled = self._loop.create_future()

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        def settle_soon() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits
                self._loop.call_soon_threadsafe(settle)

        if not self._transport.is_active():
            raise self._lost_problem(None)
        try:
            pending = self._transport.begin_open(kind, details.asbytes(), settle_soon)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self._lost_problem(None) from error
        try:
            async with asyncio.timeout(timeout_s):
                await settled
        except TimeoutError as error:
            raise fail(
                ProblemCode.SSH_FAILED,
                message(
                    "The virtual machine didn't open {target} within {seconds:g} s.", target=target, seconds=timeout_s
                ),
                retryable=True,
            ) from error
        finally:
            if not settled.done() or settled.cancelled():
                self._transport.abandon_open(pending)
        if pending.refusal is not None:
            raise fail(
                ProblemCode.SSH_FAILED,
                message("The virtual machine refused to open {target}.", target=target),
                tail=(pending.refusal,),
                retryable=True,
            )
        if not pending.channel.active:
            raise self._lost_problem(None)
        return pending.channel

    async def _begin_command(self, channel: LoopChannel, command: str) -> None:
        channel.request_exec(command)
        while not channel.event.is_set():
            channel.answered.arm()
            if not channel.event.is_set():
                await channel.answered.wait()
        if not channel.event_ready:
            if not self._transport.is_active():
                raise ConnectionResetError("the connection ended before the command began")
            raise fail(
                ProblemCode.SSH_FAILED, message("The virtual machine refused to run a command."), command=command
            )

    async def _run_on(self, channel: LoopChannel, command: str, stdin: bytes, output_limit: int) -> Result:
        await self._begin_command(channel, command)
        stream = SshStream(self._transport, channel)
        async with asyncio.TaskGroup() as group:
            group.create_task(_feed_stdin(stream, stdin))
            outputs = [
                group.create_task(_collect(channel, channel.inbox, output_limit)),
                group.create_task(_collect(channel, channel.stderr_inbox, output_limit)),
            ]
        # The exit code can come after the end of the output; the channel's close sets the event in any case.
        while not channel.status_event.is_set():
            channel.answered.arm()
            if not channel.status_event.is_set():
                await channel.answered.wait()
        if channel.exit_status == -1 and not self._transport.is_active():
            raise ConnectionResetError("the connection ended before the command did")
        (out, out_cut), (err, err_cut) = (task.result() for task in outputs)
        return Result(
            exit_code=channel.exit_status, untrusted_stdout=out, untrusted_stderr=err, truncated=out_cut or err_cut
        )

    def _lost_problem(self, command: str | None) -> WherryError:
        return fail(
            ProblemCode.SSH_FAILED,
            message("Lost the connection to the virtual machine."),
            command=command,
            retryable=True,
        )


async def _feed_stdin(stream: SshStream, stdin: bytes) -> None:
    # A command that ignores its input closes it: its exit code says more than our error would.
    with contextlib.suppress(ConnectionError):
        await stream.write(stdin)
        await stream.write_eof()


async def _collect(channel: LoopChannel, inbox: Inbox, limit: int) -> tuple[bytes, bool]:
    """Read an output to its end. Returns its first `limit` bytes, and whether there were more."""
    bell = channel.readable if inbox is channel.inbox else channel.stderr_readable
    output = bytearray()
    truncated = False
    while True:
        data = inbox.take(262_144)
        if data:
            channel.credit(len(data))
            room = limit - len(output)
            truncated = truncated or len(data) > room
            output += data[:room]
        elif inbox.ended and not inbox.has_data():
            return bytes(output), truncated
        else:
            bell.arm()
            if not inbox.has_data() and not inbox.ended:
                await bell.wait()


def _load_keys(key_path: Path, host_key_public: str) -> tuple[paramiko.PKey, bytes]:
    try:
        key = paramiko.Ed25519Key.from_private_key_file(str(key_path))
        return key, base64.b64decode(host_key_public.split()[1], validate=True)
    except (OSError, paramiko.SSHException, IndexError, binascii.Error, ValueError) as error:
        raise fail(
            ProblemCode.SSH_FAILED,
            message("The key for the virtual machine can't be used: {error}.", error=str(error)),
            hint=message("Delete {path} and start the machine again: new keys are created.", path=key_path),
        ) from error


async def _in_thread(work: Callable[[], None], *, abort: Callable[[], None]) -> None:
    """Run `work` on a new thread. On cancellation `abort` is called, which MUST make `work` return."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def target() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as caught:  # noqa: BLE001 -- carried over to the coroutine, which raises it
            error = caught
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, error)

    thread = threading.Thread(target=target, name="ssh-connect", daemon=True)
    thread.start()
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        abort()
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(_CLOSE_S):
                await done
        raise
    finally:
        thread.join(_CLOSE_S if done.done() else 0)


async def _dispose(transport: SshTransport) -> None:
    """Close a transport and join its threads, with a deadline."""
    transport.abort()
    try:
        async with asyncio.timeout(_CLOSE_S):
            await transport.wait_ended()
    except TimeoutError:
        _log.error("the SSH connection's thread did not end within %.0f s", _CLOSE_S)
        return
    if not transport.join_threads(_CLOSE_S):
        _log.error("the SSH connection's threads did not end within %.0f s", _CLOSE_S)


def _translate(error: BaseException, where: str, timeout_s: float) -> WherryError | None:
    """Convert an exception of `connect` into a WherryError; None for one that should propagate unchanged."""
    if isinstance(error, TimeoutError):
        return fail(
            ProblemCode.SSH_FAILED,
            message(
                "The virtual machine's SSH server at {address} didn't respond within {seconds:g} s.",
                address=where,
                seconds=timeout_s,
            ),
            retryable=True,
        )
    if isinstance(error, HostKeyMismatch | paramiko.ssh_exception.IncompatiblePeer):
        return fail(
            ProblemCode.SSH_FAILED,
            message(
                "Something else answered at {address}: its host key isn't the virtual machine's.",
                address=where,
            ),
            hint=message("Another program may use the port. Stop the machine and start it again."),
        )
    if isinstance(error, paramiko.AuthenticationException):
        return fail(
            ProblemCode.SSH_FAILED,
            message("The virtual machine didn't accept Wherry's key."),
            hint=message("Stop the machine and start it again: it gets the keys when it starts."),
        )
    if isinstance(error, paramiko.SSHException | OSError | EOFError):
        detail = str(error) or type(error).__name__
        return fail(
            ProblemCode.SSH_FAILED,
            message(
                "The virtual machine's SSH server at {address} can't be reached yet: {error}.",
                address=where,
                error=detail,
            ),
            retryable=True,
        )
    return None
