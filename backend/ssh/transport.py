"""One SSH connection: paramiko's Transport, with stream-local channels and without a call that blocks the loop.

What is added, and what of paramiko 5 it stands on (the dependency is pinned to one major version, and
tests/unit/test_ssh_transport.py tries each against OpenSSH):

* `begin_open` opens `direct-streamlocal@openssh.com` channels (OpenSSH's PROTOCOL, section 2.4), which paramiko lacks,
  and any other kind, without waiting.
* After the login the loop reads and acts on the messages itself, where it can watch a socket. A thread that reads, as
  paramiko has it, costs more system calls and two switches for each answer, and contends with the loop for the
  interpreter's lock: a sixth more processor time for a large download, a quarter more for a small request.
* `_send_user_message` keeps a message back during a key exchange instead of sleeping until it is over.
* A channel stays known until the peer confirmed its close; then it is forgotten wholly (paramiko remembers every
  channel number for ever).

Keys are exchanged anew after 32 GiB in one direction. paramiko's 512 MiB is far below what the cipher needs: RFC 4344,
section 3.2, allows 2^(L/4) blocks for a cipher of L-bit blocks, 64 GiB with AES; RFC 5647 and the 64-bit invocation
counter of AES-GCM allow more; and OpenSSH itself takes the same 64 GiB. Half of it leaves room for what is on the way.
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
from backend.ssh.packets import GcmPacketizer, split
from backend.ssh.wire import BACKLOG_LOW_BYTES, WireSocket

WINDOW_BYTES = 4 * 1024 * 1024
"""What one channel can hold unread, and so the most memory a slow reader costs. Twice paramiko's own; on loopback,
runs with 2, 4, 8 and 16 MiB differed by less than they did among themselves."""
MAX_PACKET_BYTES = 64 * 1024
"""OpenSSH sends up to 32 KiB in one packet. MUST fit into the wire's buffer."""
_HANDOVER_S = 5.0
_DATA_HEAD = struct.Struct(">BBII")
"""Padding length, message number, channel, data length: how a packet with a channel's data begins."""
_SEND_HEAD = struct.Struct(">BII")
REKEY_BYTES = 32 * 1024**3
# One pass instead of cipher and MAC, in hardware on both sides, and packets whose length is in the clear, which the
# reading on the loop stands on. Every OpenSSH since 6.2 (2013) has it.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
# The connection never leaves the computer, so nothing is there to be stored for a quantum computer: take the exchange
# that costs an emulated guest the least.
_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")


class HostKeyMismatch(Exception):  # noqa: N818 -- a finding, translated by the session
    """The server proved another host key than the pinned one."""


@dataclass(slots=True, eq=False)
class PendingOpen:
    """A channel that the peer has not accepted yet."""

    channel: LoopChannel
    refusal: str | None = None
    """The peer's own words, once it refused."""


class _OpenEvent(threading.Event):
    def __init__(self, settled: Callable[[], None]) -> None:
        super().__init__()
        self._settled = settled

    def set(self) -> None:
        super().set()
        self._settled()


def can_watch(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the loop can tell when a socket has something to read; the proactor (Windows) cannot."""
    return isinstance(loop, asyncio.SelectorEventLoop)


class SshTransport(TransportBase):
    """See the module. `handshake` blocks and belongs to a thread of the caller's; the rest returns at once."""

    def __init__(self, connected: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Take over a connected TCP socket."""
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = loop
        self.on_end: Callable[[], None] | None = None
        """Called once on the loop when the connection is over, for whatever reason."""
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
        """Exchange keys, compare the server's host key, then log in. Blocks; close() from elsewhere ends it.

        Raises:
            HostKeyMismatch: somebody else answered; nothing was sent to them but the key exchange.
            paramiko.SSHException, OSError, EOFError: as paramiko puts it.
        """
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = timeout_s
        self.start_client(timeout=timeout_s)
        if self.get_remote_server_key().asbytes() != host_key_blob:
            raise HostKeyMismatch
        self.auth_publickey(username, key)

    def begin_open(self, kind: str, details: bytes, settled: Callable[[], None]) -> PendingOpen:
        """Ask for a channel; returns at once.

        Args:
            kind: the channel type's name.
            details: the type's own fields, encoded.
            settled: called once, on any thread, when the peer has answered or the connection ended. Then the channel
                is `active`, or the refusal is set, or the transport is no longer active.
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
        """Give up waiting for a channel; should the peer accept it yet, it is closed then."""
        with self.lock:
            self._pending.pop(pending.channel.chanid, None)
            self.channel_events.pop(pending.channel.chanid, None)
            abandoned = not pending.channel.active
        if not abandoned:
            pending.channel.close()

    def send_keepalive(self) -> None:
        """Send a request that every SSH server answers (OpenSSH with a refusal); the answer shows in `wire.reads`."""
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)

    def abort(self) -> None:
        """End the connection at once. Idempotent, returns at once; `wait_ended` waits for the end."""
        with self._end_lock:
            self.active = False
            nobody_reads = self._thread_is_done
        self.packetizer.close()  # shuts the wire down, which wakes the thread, if it reads
        if nobody_reads:
            self._finish(None)

    async def wait_ended(self) -> None:
        """Wait until paramiko's thread is past its work (at once if it never ran)."""
        if self.ident is not None:
            await self._finished.wait()

    def join_threads(self, timeout_s: float) -> bool:
        """Join both threads and free the descriptors; MUST come after `wait_ended`, and then takes microseconds."""
        if self.ident is not None:
            self.join(timeout_s)
            if self.is_alive():
                return False
        return self.wire.release(timeout_s)

    async def wait_drained(self) -> None:
        """Wait until the backlog is low again, or the connection is over. MAY return early."""
        self._drained.clear()
        # Cleared first, looked at second: the flusher can drain in between, and nobody would ring again.
        if self.active and self.wire.backlog_bytes > BACKLOG_LOW_BYTES:
            await self._drained.wait()

    def run(self) -> None:
        """Be paramiko's thread: for the handshake, or for good where the loop cannot watch a socket."""
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
        """Take over from the thread after the handshake: from here the loop reads. MUST be called on the loop."""
        if not self._is_watched:
            return
        self.join(_HANDOVER_S)  # it ended with the login
        self._loop.add_reader(self.wire.fileno(), self._readable)
        self._process()  # what came with the last message of the login

    def _readable(self) -> None:
        try:
            self.wire.fill()
        except (OSError, EOFError) as error:
            self._finish(error)
            return
        self._process()

    def _process(self) -> None:
        """Act on all packets that are here. Nearly all are data for a channel: uint32 channel, uint32 length, data
        (RFC 4254, section 5.2); these go straight to where they are read."""
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
                self._act(*split(inner))
        except Exception as error:  # noqa: BLE001 -- as in run
            self._finish(error)

    def _step(self) -> None:
        """Wait for one message and act on it."""
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
        """Act on a message: what paramiko's own `run` does with each."""
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
            if 30 <= kind <= 41 and self.kex_engine is not None:  # the key exchange's own messages
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
        """End everything that hangs on the connection. On the thread that reads; once."""
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
        except RuntimeError:  # the loop is closed: nobody is left to be told
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

    # --- what paramiko calls --------------------------------------------------------------------------------------

    def _send_user_message(self, data: paramiko.Message) -> None:
        with self.clear_to_send_lock:
            if not self.active:
                return
            if self.clear_to_send.is_set():
                self._send_message(data)
            else:
                # Bounded: a stream stops when its window or the backlog is full, and an exchange takes milliseconds.
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
            wanted = self._pending.pop(number, None) is not None
            channel = self._linked.get(number)
        if not wanted and channel is not None:
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
        # Both sides have closed it: by RFC 4254, section 5.3, no message for this number can come any more.
        self.channels_seen.pop(chanid, None)
