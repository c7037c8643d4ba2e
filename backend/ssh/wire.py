"""The socket that paramiko is given: buffered to read, and never blocking to write.

paramiko's Transport takes any object with send, recv, settimeout and close. This one differs from a plain socket in
three ways, and each removes a wait or a system call:

* `send` always takes everything. What the kernel does not take at once goes to a backlog, which a flusher thread (made
  when it is first needed) empties. So any thread, the event loop's too, MAY send an SSH message; streams keep the
  backlog bounded by waiting for `drained` before they add more.
* `recv` reads what is there into one buffer; paramiko then asks for 16 bytes and a packet's rest without system calls.
  `fill` and `next_packet` let an event loop do the same without waiting.
* `close` shuts the connection down, which wakes both threads; `release`, after they ended, frees the descriptors. To
  close a descriptor that another thread sleeps on would let that thread read from whatever gets the number next.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

READ_BUFFER_BYTES = 256 * 1024
BACKLOG_HIGH_BYTES = 512 * 1024
"""Streams stop sending above this; the most that the backlog can hold is this and one packet per open stream."""
BACKLOG_LOW_BYTES = 128 * 1024
_LENGTH_BYTES = 4
_TAG_BYTES = 16
_IDLE_S = 1.0
"""How often a thread that waits for the network looks whether it is still wanted; close() wakes it at once anyway."""


class WireSocket:
    """See the module. The reading side belongs to one thread at a time, everything else to any thread."""

    def __init__(self, connected: socket.socket, on_drained: Callable[[], None]) -> None:
        """Take over a connected socket. `on_drained` is called on the flusher thread."""
        # Three objects on one connection, because Python keeps the timeout per object: the reader polls with a
        # timeout, the sender must not poll at all, and the flusher waits for room.
        self._reading = connected
        self._sending = connected.dup()
        self._flushing = connected.dup()
        self._reading.settimeout(_IDLE_S)
        self._sending.setblocking(False)
        self._flushing.settimeout(_IDLE_S)
        self._on_drained = on_drained
        self._buffer = bytearray(READ_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._condition = threading.Condition()
        self._backlog: deque[memoryview] = deque()
        self._flusher: threading.Thread | None = None
        self._closed = False  # paramiko.Transport.stop_thread reads this name
        self._is_corked = False
        self._corked_parts: list[bytes] = []
        self.backlog_bytes = 0
        self.reads = 0
        """Grows with each read that brought something: how the keep-alive sees that the peer lives."""

    def recv(self, max_bytes: int) -> bytes:
        """Return up to `max_bytes`; b"" at the end. Raises TimeoutError after a second without anything."""
        if self._start == self._end:
            if self._closed:
                return b""
            self._end = self._reading.recv_into(self._buffer)
            self._start = 0
            self.reads += 1
        stop = min(self._start + max_bytes, self._end)
        data = bytes(self._view[self._start : stop])
        self._start = stop
        return data

    def fileno(self) -> int:
        """Return the descriptor to watch for reading."""
        return self._reading.fileno()

    def fill(self) -> None:
        """Read what is there, without blocking. Raises EOFError at the end, OSError when the connection is broken."""
        self._make_room()
        with contextlib.suppress(BlockingIOError):
            count = self._sending.recv_into(self._view[self._end :])
            if count == 0:
                raise EOFError
            self._end += count
            self.reads += 1

    def _make_room(self) -> None:
        if self._start:
            # At most a part of one packet is left: moved to the front, so that the rest of it fits behind.
            left = self._end - self._start
            self._view[:left] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, left

    def next_packet(self) -> tuple[bytes, memoryview] | None:
        """Return the next AES-GCM packet, None until it is here whole.

        The length is in the clear (RFC 5647, section 7.3), so this needs no key.

        Returns:
            Its length field, and the rest of it, valid until the next read.

        Raises:
            EOFError: the packet would be longer than the peer was told it may be.
        """
        start = self._start
        body = start + _LENGTH_BYTES
        if body > self._end:
            return None
        length = bytes(self._view[start:body])
        stop = body + int.from_bytes(length) + _TAG_BYTES
        if stop > self._end:
            if stop - start > READ_BUFFER_BYTES:
                raise EOFError
            return None
        self._start = stop
        return length, self._view[body:stop]

    def wait_packet(self) -> tuple[bytes, memoryview]:
        """Wait for the next packet, then as `next_packet`. Raises EOFError at the end."""
        while True:
            packet = self.next_packet()
            if packet is not None:
                return packet
            self._make_room()
            if self._closed:
                raise EOFError
            with contextlib.suppress(TimeoutError):
                count = self._reading.recv_into(self._view[self._end :])
                if count == 0:
                    raise EOFError
                self._end += count
                self.reads += 1

    def send(self, data: bytes) -> int:
        """Take all of `data` and return its length; never blocks. Raises OSError once the connection is broken."""
        self.send_parts(data)
        return len(data)

    def send_parts(self, *parts: bytes) -> None:
        """Take some pieces as one; else as `send`."""
        with self._condition:
            if self._closed:
                raise OSError("the connection is closed")
            self._corked_parts.extend(parts)
            if not self._is_corked:
                self._send_corked()

    def cork(self) -> None:
        """Keep what is sent until `uncork`: many packets, one system call."""
        with self._condition:
            self._is_corked = True

    def uncork(self) -> None:
        """Send what was kept. Raises OSError once the connection is broken."""
        with self._condition:
            self._is_corked = False
            if self._corked_parts and not self._closed:
                self._send_corked()

    def _send_corked(self) -> None:
        parts, self._corked_parts = self._corked_parts, []
        rest = memoryview(b"".join(parts))
        if not self._backlog:
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._sending.send(rest) :]
            if not rest:
                return
        self._backlog.append(rest)
        self.backlog_bytes += len(rest)
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush, name="ssh-flusher", daemon=True)
            self._flusher.start()
        else:
            self._condition.notify_all()

    def settimeout(self, _timeout_s: float | None) -> None:
        """Do nothing: paramiko asks for a tenth of a second, to see often that it was closed. Here close() wakes it."""

    def getpeername(self) -> object:
        """Return the peer's address, for paramiko's messages."""
        return self._reading.getpeername()

    def close(self) -> None:
        """End the connection and wake both threads. Idempotent; the descriptors stay until `release`."""
        with self._condition:
            self._closed = True
            self._backlog.clear()
            self.backlog_bytes = 0
            self._condition.notify_all()
        with contextlib.suppress(OSError):
            self._reading.shutdown(socket.SHUT_RDWR)

    def release(self, timeout_s: float) -> bool:
        """Join the flusher and free the descriptors; MUST come after close() and the reader's end.

        Returns:
            Whether the flusher ended within `timeout_s`; if it did not, the descriptors are left to it.
        """
        if self._flusher is not None:
            self._flusher.join(timeout_s)
            if self._flusher.is_alive():
                return False
        for owned in (self._reading, self._sending, self._flushing):
            owned.close()
        return True

    def _flush(self) -> None:
        while True:
            with self._condition:
                while not self._backlog and not self._closed:
                    self._condition.wait()  # close() and send() notify: no deadline is needed to notice either
                if self._closed:
                    return
                chunk = self._backlog[0]
            try:
                sent = self._flushing.send(chunk)
            except TimeoutError:
                continue
            except OSError:
                self.close()  # the reader sees the end and reports the loss
                return
            with self._condition:
                if not self._backlog:  # closed meanwhile
                    return
                was_high = self.backlog_bytes > BACKLOG_LOW_BYTES
                self.backlog_bytes -= sent
                if sent == len(chunk):
                    self._backlog.popleft()
                else:
                    self._backlog[0] = chunk[sent:]
                drained = was_high and self.backlog_bytes <= BACKLOG_LOW_BYTES
            if drained:
                self._on_drained()
