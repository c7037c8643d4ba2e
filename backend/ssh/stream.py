"""An SSH channel as a ByteStream, without a thread per channel and without blocking calls.

SSH's flow-control window gives back-pressure in both directions.
"""

from __future__ import annotations

import contextlib

from backend.ssh.channel import LoopChannel
from backend.ssh.transport import SshTransport
from backend.ssh.wire import BACKLOG_HIGH_BYTES


class SshStream:
    """A ByteStream over an open channel. One reader and one writer at a time."""

    def __init__(self, transport: SshTransport, channel: LoopChannel) -> None:
        self._transport = transport
        self._channel = channel
        self._closed = False

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """See ByteStream.read. Raises ConnectionResetError if the channel or the connection ended without an EOF."""
        channel = self._channel
        inbox = channel.inbox
        while True:
            if self._closed:
                raise ConnectionAbortedError("the stream was closed on this side")
            data = inbox.take(max_bytes)
            if data:
                channel.credit(len(data))
                return data
            if inbox.ended:
                # `ended` is set after the last data, so check for data once more.
                if inbox.has_data():
                    continue
                if channel.eof_received:
                    return b""
                raise ConnectionResetError("the SSH channel was cut off")
            channel.readable.arm()
            if not inbox.has_data() and not inbox.ended and not self._closed:
                await channel.readable.wait()

    async def write(self, data: bytes) -> None:
        """See ByteStream.write. Waits while the peer's window or our send queue is full."""
        channel = self._channel
        wire = self._transport.wire
        rest = memoryview(data)
        while rest:
            rest = rest[self._send_some(rest) :]
            if not rest:
                break
            channel.writable.arm()
            if channel.out_window_size == 0 and not channel.closed:
                await channel.writable.wait()
        if wire.backlog_bytes > BACKLOG_HIGH_BYTES:
            await self._transport.wait_drained()

    def _send_some(self, data: memoryview) -> int:
        """Send as much as the peer's window allows, in one system call. Returns the number of bytes sent."""
        channel = self._channel
        if len(data) <= channel.out_max_packet_size // 2:
            return channel.send_some(data)
        wire = self._transport.wire
        sent = 0
        wire.cork()
        try:
            while sent < len(data):
                count = channel.send_some(data[sent:])
                if count == 0:
                    break
                sent += count
        finally:
            try:
                wire.uncork()
            except OSError as error:
                raise BrokenPipeError("the SSH connection is gone") from error
        return sent

    async def write_eof(self) -> None:
        """See ByteStream.write_eof."""
        if not self._channel.closed:
            with contextlib.suppress(EOFError, OSError):  # closed: `read` reports it
                self._channel.shutdown_write()

    async def aclose(self) -> None:
        """See ByteStream.aclose. A waiting read or write raises ConnectionError."""
        if self._closed:
            return
        self._closed = True
        self._channel.inbox.discard()
        with contextlib.suppress(EOFError, OSError):
            self._channel.close()
        self._channel.readable.ring()
        self._channel.writable.ring()
