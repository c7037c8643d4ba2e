"""paramiko's Transport with stream-local channels and without calls that block the event loop.

What is added, and which internals of paramiko 5 it uses (the dependency is pinned to one major version, and
tests/unit/test_ssh_transport.py tests each against OpenSSH):

* `begin_open` opens `direct-streamlocal@openssh.com` channels (OpenSSH's PROTOCOL, section 2.4), which paramiko lacks,
  and any other kind, without waiting.
* After the login the loop reads and handles the messages itself, if it can watch a socket. paramiko's reader thread
costs more system calls and two thread switches for each reply, and contends with the loop for the interpreter's
lock: a sixth more processor time for a large download, a quarter more for a small request.
* `_send_user_message` queues a message during a key exchange instead of sleeping until it is over.
* A channel is kept until the peer has confirmed its close, and is then removed completely (paramiko keeps every
channel number for ever).

Keys are exchanged again after 32 GiB in one direction. paramiko's 512 MiB is far below what the cipher needs: RFC 4344,
section 3.2, allows 2^(L/4) blocks for a cipher of L-bit blocks, 64 GiB with AES; RFC 5647 and the 64-bit invocation
counter of AES-GCM allow more; and OpenSSH itself uses 64 GiB. Half of it leaves room for data in flight.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_DEBUG,
    MSG_DISCONNECT,
    MSG_IGNORE,
    MSG_KEXINIT,
    MSG_UNIMPLEMENTED,
    cMSG_CHANNEL_OPEN,
    cMSG_GLOBAL_REQUEST,
)
from paramiko.packet import NeedRekeyException

from backend.ssh.channel import LoopChannel
from backend.ssh.internals import TransportBase
from backend.ssh.packets import GcmPacketizer, parse_message
from backend.ssh.wire import BACKLOG_LOW_BYTES, WireSocket

WINDOW_BYTES = 4 * 1024 * 1024
"""Flow-control window of a channel, and so the most memory that a slow reader costs. Twice paramiko's; on loopback,
2, 4, 8 and 16 MiB made no measurable difference."""
MAX_PACKET_BYTES = 64 * 1024
"""OpenSSH sends up to 32 KiB in one packet. MUST fit into the buffer of `WireSocket`."""
_HANDOVER_S = 5.0
_DATA_HEAD = struct.Struct(">BBII")
"""The first fields of a packet with channel data: padding length, message number, channel, data length."""
_SEND_HEAD = struct.Struct(">BII")
REKEY_BYTES = 32 * 1024**3
# One pass instead of cipher and MAC, with hardware support, and the packet length is not encrypted, which reading on
# the loop requires. Every OpenSSH since 6.2 (2013) supports it.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
# The connection never leaves the computer, so nobody can record it for a later attack by a quantum computer: use the
# key exchange that costs an emulated guest the least.
_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")


class HostKeyMismatch(Exception):  # noqa: N818 -- a finding, translated by the session
    """The server has another host key than the pinned one."""


@dataclass(slots=True, eq=False)
class PendingOpen:
    """A channel that was requested and not accepted yet."""

    channel: LoopChannel
    refusal: str | None = None
    """The peer's message when it refused; None until then."""


class _OpenEvent(threading.Event):
    def __init__(self, settled: Callable[[], None]) -> None:
        super().__init__()
        self._settled = settled

    def set(self) -> None:
        super().set()
        self._settled()


def can_watch(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop supports add_reader for sockets; the proactor loop (Windows) does not."""
    return isinstance(loop, asyncio.SelectorEventLoop)


class SshTransport(TransportBase):
    """See the module's docstring. `handshake` blocks: call it in a thread. Nothing else blocks."""

    def __init__(self, connected: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Takes ownership of a connected TCP socket."""
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = loop
        self.on_end: Callable[[], None] | None = None
        """Called once on the loop when the connection ends, for any reason."""
        self._drained = asyncio.Event()
        self._finished = asyncio.Event()
        self.wire = WireSocket(connected, self._drained_soon)
        self._is_watched = can_watch(loop)
        self._end_lock = threading.Lock()
        self._thread_is_done = False
        self._finished_once = False
        self._kept_back: deque[paramiko.Message] = deque()
        self._pending: dict[int, PendingOpen] = {}
        self._linked: dict[int, LoopChannel] = {}
        super().__init__(
            cast(socket.socket, self.wire),
            default_window_size=WINDOW_BYTES,
            default_max_packet_size=MAX_PACKET_BYTES,
            packetizer_class=GcmPacketizer,
        )
        self.packets = cast(GcmPacketizer, self.packetizer)
        self.name = "ssh-transport"
        options = self.get_security_options()
        options.ciphers = _CIPHERS
        options.kex = _KEX
        options.key_types = ("ssh-ed25519",)
        # On the instance: the class attribute would change every other user of paramiko in the process.
        self.packets.REKEY_BYTES = REKEY_BYTES

    def handshake(self, *, username: str, key: paramiko.PKey, host_key_blob: bytes, timeout_s: float) -> None:
        """Exchange keys, compare the server's host key, then log in. Blocks; close() from another thread ends it.

        Raises:
            HostKeyMismatch: another server answered; only the key exchange was sent to it.
            paramiko.SSHException, OSError, EOFError: raised by paramiko.
        """
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = timeout_s
        self.start_client(timeout=timeout_s)
        if self.get_remote_server_key().asbytes() != host_key_blob:
            raise HostKeyMismatch
        self.auth_publickey(username, key)

    def begin_open(self, kind: str, details: bytes, settled: Callable[[], None]) -> PendingOpen:
        """Request a channel; does not block.

        Args:
            kind: name of the channel type.
            details: the encoded fields of that type.
            settled: called once, on any thread, when the peer has replied or the connection has ended. Then the channel
                is `active`, or `refusal` is set, or the transport is no longer active.
        """
        with self.lock:
            number = self._next_channel()
            channel = LoopChannel(
                number,
                self._loop,
                send=self._send_for_channel,
                send_data=self._send_data,
                window_bytes=WINDOW_BYTES,
                max_packet_bytes=MAX_PACKET_BYTES,
            )
            channel.attach(self)
            self._linked[number] = channel
            self._channels.put(number, channel)
            self.channels_seen[number] = True
            self.channel_events[number] = _OpenEvent(settled)
            pending = self._pending[number] = PendingOpen(channel)
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string(kind)
        message.add_int(number)
        message.add_int(WINDOW_BYTES)
        message.add_int(MAX_PACKET_BYTES)
        message.add_bytes(details)
        self._send_user_message(message)
        return pending

    def abandon_open(self, pending: PendingOpen) -> None:
        """Cancel a requested channel; if the peer accepts it later, it is closed then."""
        with self.lock:
            self._pending.pop(pending.channel.chanid, None)
            self.channel_events.pop(pending.channel.chanid, None)
            abandoned = not pending.channel.active
        if not abandoned:
            pending.channel.close()

    def send_keepalive(self) -> None:
        """Send a request that every SSH server answers (OpenSSH with a refusal); `wire.reads` counts the reply."""
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)

    def abort(self) -> None:
        """Start closing the connection; `wait_ended` waits for the end. Idempotent."""
        with self._end_lock:
            self.active = False
            nobody_reads = self._thread_is_done
        self.packetizer.close()  # shuts the socket down, which wakes the reader thread
        if nobody_reads:
            self._finish(None)

    async def wait_ended(self) -> None:
        """Wait until paramiko's thread has finished (returns at once if it never ran)."""
        if self.ident is not None:
            await self._finished.wait()

    def join_threads(self, timeout_s: float) -> bool:
        """Join both threads and free the descriptors. MUST be called after `wait_ended`; takes microseconds then."""
        if self.ident is not None:
            self.join(timeout_s)
            if self.is_alive():
                return False
        return self.wire.release(timeout_s)

    async def wait_drained(self) -> None:
        """Wait until the send queue has room, or the connection has ended. MAY return early."""
        self._drained.clear()
        # Clear before checking: the flusher can drain the queue in between, and would not set the event again.
        if self.active and self.wire.backlog_bytes > BACKLOG_LOW_BYTES:
            await self._drained.wait()

    def run(self) -> None:
        """Body of paramiko's thread: reads during the handshake, or permanently when the loop cannot watch a socket."""
        try:
            self.packetizer.write_all(f"{self.local_version}\r\n".encode("ascii"))
            self._check_banner()
            self.packetizer.start_handshake(self.handshake_timeout)
            self._send_kex_init()
            self._expect_packet(MSG_KEXINIT)
            while self.active and not (self._is_watched and self.is_authenticated()):
                self._step()
        except Exception as error:  # noqa: BLE001 -- paramiko raises anything; the waiting caller gets it
            self._finish(error)
        else:
            with self._end_lock:
                self._thread_is_done = True
                aborted = not self.active
            if aborted:
                self._finish(None)

    def follow(self) -> None:
        """Move reading from the thread to the loop, after the handshake. MUST be called on the loop."""
        if not self._is_watched:
            return
        self.join(_HANDOVER_S)  # it ended during the login
        self._loop.add_reader(self.wire.fileno(), self._readable)
        self._process()  # data that arrived with the last message of the login

    def _readable(self) -> None:
        try:
            self.wire.fill()
        except (OSError, EOFError) as error:
            self._finish(error)
            return
        self._process()

    def _process(self) -> None:
        """Handle all packets in the buffer. Nearly all are data for a channel (uint32 channel, uint32 length, data; RFC
        4254, section 5.2), which go directly to the channel's inbox."""
        try:
            self._exchange_keys_if_due()
            while self.active:
                packet = self.wire.next_packet()
                if packet is None:
                    return
                inner = self.packets.open_packet(*packet)
                if len(inner) >= _DATA_HEAD.size:
                    padding, kind, number, size = _DATA_HEAD.unpack_from(inner)
                    if kind == MSG_CHANNEL_DATA and number in self._linked and not self._expected_packet:
                        if size > len(inner) - _DATA_HEAD.size - padding:
                            raise paramiko.SSHException("data that is longer than its packet")
                        self._linked[number].inbox.feed(inner[_DATA_HEAD.size : _DATA_HEAD.size + size])
                        continue
                self._act(*parse_message(inner))
        except Exception as error:  # noqa: BLE001 -- as in run
            self._finish(error)

    def _step(self) -> None:
        """Wait for one message and handle it."""
        self._exchange_keys_if_due()
        try:
            kind, message = self.packets.read_message()
        except NeedRekeyException:
            return
        self._act(kind, message)

    def _exchange_keys_if_due(self) -> None:
        if self.packets.need_rekey() and not self.in_kex:
            self._send_kex_init()

    def _act(self, kind: int, message: paramiko.Message) -> None:
        """Handle a message, as paramiko's `run` does."""
        channel_handler = self._channel_handler_table.get(kind)
        if channel_handler is not None and not self._expected_packet:
            number = message.get_int()
            channel = self._linked.get(number)
            if channel is None:
                raise paramiko.SSHException(f"a message for channel {number}, which is not open")
            channel_handler(channel, message)
            return
        if kind == MSG_UNIMPLEMENTED:
            return
        if kind in (MSG_IGNORE, MSG_DEBUG):
            self._enforce_strict_kex(kind)
            return
        if kind == MSG_DISCONNECT:
            self._parse_disconnect(message)
            raise EOFError
        if self._expected_packet:
            if kind not in self._expected_packet:
                raise paramiko.SSHException(f"message {kind} came where one of {self._expected_packet} was due")
            self._expected_packet = ()
            if 30 <= kind <= 41 and self.kex_engine is not None:  # messages of the key exchange
                self.kex_engine.parse_next(kind, message)
                return
        handler = self._handler_table.get(kind)
        if handler is None and self.auth_handler is not None:
            handler = self.auth_handler._handler_table.get(kind)  # noqa: SLF001
        if handler is None:
            raise paramiko.SSHException(f"message {kind} came, which has no meaning here")
        handler(message)
        self.packetizer.complete_handshake()

    def _finish(self, error: Exception | None) -> None:
        """Close all channels and report the end. Called once, by the thread that reads."""
        if self._finished_once:
            return
        self._finished_once = True
        self.saved_exception = error
        self.active = False
        self.packetizer.close()
        for channel in list(self._linked.values()):
            channel._unlink()  # noqa: SLF001
        if self.completion_event is not None:
            self.completion_event.set()
        if self.auth_handler is not None:
            self.auth_handler.abort()
        with self.lock:
            events = [self.channel_events.pop(number) for number in self._pending if number in self.channel_events]
            self._pending.clear()
        for event in events:
            event.set()
        try:
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:  # the loop is closed, so nothing waits for the end
            return

    def _send_data(self, number: int, data: memoryview) -> None:
        if not self.active:
            raise BrokenPipeError("the SSH connection is gone")
        head = _SEND_HEAD.pack(MSG_CHANNEL_DATA, number, len(data))
        with self.clear_to_send_lock:
            if self.clear_to_send.is_set():
                self.packets.send_payload(head, data)
            else:
                self._kept_back.append(paramiko.Message(head + data))

    def _send_for_channel(self, message: paramiko.Message) -> None:
        if not self.active:
            raise BrokenPipeError("the SSH connection is gone")
        self._send_user_message(message)

    def _ended(self) -> None:
        self._finished.set()
        self._drained.set()
        if self._is_watched:
            self._loop.remove_reader(self.wire.fileno())
        if self.on_end is not None:
            self.on_end()

    def _drained_soon(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._drained.set)
        except RuntimeError:
            return

    # --- methods that paramiko calls ------------------------------------------------------------------------------

    def _send_user_message(self, data: paramiko.Message) -> None:
        with self.clear_to_send_lock:
            if not self.active:
                return
            if self.clear_to_send.is_set():
                self._send_message(data)
            else:
                # Bounded: a stream pauses when its window or the queue is full, and an exchange takes milliseconds.
                self._kept_back.append(data)

    def _parse_newkeys(self, m: paramiko.Message) -> None:
        super()._parse_newkeys(m)
        with self.clear_to_send_lock:
            while self._kept_back:
                self._send_message(self._kept_back.popleft())

    def _parse_channel_open_success(self, m: paramiko.Message) -> None:
        number = m.get_int()
        m.rewind()
        super()._parse_channel_open_success(m)
        with self.lock:
            pending = self._pending.pop(number, None) is not None
            channel = self._linked.get(number)
        if not pending and channel is not None:
            channel.close()

    def _parse_channel_open_failure(self, m: paramiko.Message) -> None:
        number, reason, untrusted_text = m.get_int(), m.get_int(), m.get_text()
        with self.lock:
            pending = self._pending.pop(number, None)
            event = self.channel_events.pop(number, None)
        if pending is not None:
            pending.refusal = f"{untrusted_text[:200]!r} (reason {reason})"
        self._unlink_channel(number)
        if event is not None:
            event.set()

    def _unlink_channel(self, chanid: int) -> None:
        super()._unlink_channel(chanid)
        self._linked.pop(chanid, None)
        # Both sides have closed it: by RFC 4254, section 5.3, no more messages for this number can arrive.
        self.channels_seen.pop(chanid, None)
