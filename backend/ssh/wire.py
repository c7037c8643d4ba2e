"""The socket object given to paramiko: buffered reads, and writes that never block.

paramiko's Transport takes any object with send, recv, settimeout and close. This one differs from a plain socket in
three ways, each of which saves a wait or a system call:

* `send` accepts all data. What the kernel does not accept at once is queued, and a flusher thread (started when first
needed) sends it. So any thread, including the event loop's, MAY send an SSH message; streams keep the queue bounded
by waiting for `drained` before they add more.
* `recv` reads all available data into one buffer; paramiko then takes 16 bytes and the rest of a packet without system
calls. `fill` and `next_packet` let an event loop do the same without waiting.
* `close` shuts the connection down, which wakes both threads; `release`, after they have ended, frees the descriptors.
Closing a descriptor while another thread reads from it could make that thread read from a reused number.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

READ_BUFFER_BYTES = 256 * 1024
BACKLOG_HIGH_BYTES = 512 * 1024
"""Streams stop sending above this. The queue holds at most this and one packet per open stream."""
BACKLOG_LOW_BYTES = 128 * 1024
_LENGTH_BYTES = 4
_TAG_BYTES = 16
_IDLE_S = 1.0
"""How often a thread that reads the network checks whether to stop; close() also wakes it at once."""


class WireSocket:
    """See the module's docstring. Only one thread at a time may read; everything else is thread-safe."""

    def __init__(self, connected: socket.socket, on_drained: Callable[[], None]) -> None:
        """Takes ownership of a connected socket. `on_drained` is called on the flusher thread."""
        # Three socket objects for one connection, because Python keeps the timeout per object: the reader polls with a
        # timeout, the sender never waits, and the flusher waits for room.
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
        """Number of reads that returned data: the keep-alive uses it to see that the peer is alive."""

    def recv(self, max_bytes: int) -> bytes:
        """Return up to `max_bytes`; b"" at the end. Raises TimeoutError after a second without data."""
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
        """Read available data without blocking. Raises EOFError at the end, OSError when the connection is broken."""
        self._make_room()
        with contextlib.suppress(BlockingIOError):
            count = self._sending.recv_into(self._view[self._end :])
            if count == 0:
                raise EOFError
            self._end += count
            self.reads += 1

    def _make_room(self) -> None:
        if self._start:
            # At most a part of one packet remains: move it to the front, so that the rest fits behind it.
            remaining = self._end - self._start
            self._view[:remaining] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, remaining

    def next_packet(self) -> tuple[bytes, memoryview] | None:
        """Return the next AES-GCM packet; None until it has arrived completely.

        The length is not encrypted (RFC 5647, section 7.3), so this needs no key.

        Returns:
            Its length field, and the rest of the packet, which is valid until the next read.

        Raises:
            EOFError: the packet is longer than we allow.
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
        """Send or queue all of `data`; return its length. Never blocks. Raises OSError when the connection broke."""
        self.send_parts(data)
        return len(data)

    def send_parts(self, *parts: bytes) -> None:
        """Like `send`, for several pieces joined into one."""
        with self._condition:
            if self._closed:
                raise OSError("the connection is closed")
            self._corked_parts.extend(parts)
            if not self._is_corked:
                self._send_corked()

    def cork(self) -> None:
        """Hold back data until `uncork`, to send many packets with one system call."""
        with self._condition:
            self._is_corked = True

    def uncork(self) -> None:
        """Send the data held back. Raises OSError when the connection is broken."""
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
        """Ignored: paramiko sets a tenth of a second to notice a close. Here close() wakes the reader."""

    def getpeername(self) -> object:
        """Return the peer's address, for paramiko's messages."""
        return self._reading.getpeername()

    def close(self) -> None:
        """Shut the connection down and wake both threads. Idempotent; descriptors stay open until `release`."""
        with self._condition:
            self._closed = True
            self._backlog.clear()
            self.backlog_bytes = 0
            self._condition.notify_all()
        with contextlib.suppress(OSError):
            self._reading.shutdown(socket.SHUT_RDWR)

    def release(self, timeout_s: float) -> bool:
        """Join the flusher and free the descriptors. MUST be called after close() and the end of the reader.

        Returns:
            Whether the flusher ended within `timeout_s`; if not, it keeps the descriptors.
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
                    self._condition.wait()  # no timeout: close() and send() notify
                if self._closed:
                    return
                chunk = self._backlog[0]
            try:
                sent = self._flushing.send(chunk)
            except TimeoutError:
                continue
            except OSError:
                self.close()  # the reader notices the end and reports the loss
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
