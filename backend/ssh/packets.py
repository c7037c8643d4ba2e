"""SSH packets under AES-GCM without the copies: what carries every byte to and from the engine.

paramiko's Packetizer puts each packet together and takes it apart in six or seven copies and two reads. Here a packet
is decrypted where the network put it, and sealed into one piece. What comes before the first key stays paramiko's.

The format is RFC 5647, section 7.3, with OpenSSH's names: uint32 length (in the clear, authenticated), AES-GCM(byte
padding length, payload, padding), 16 bytes of tag.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Protocol

import paramiko

from backend.ssh.internals import PacketizerBase
from backend.ssh.wire import WireSocket

_BLOCK = 16
_COUNTER_MASK = 2**64 - 1
_REKEY_PATIENCE_BYTES = 1024**3
"""What a peer may still send after it was asked for new keys."""


class _Aead(Protocol):
    """AESGCM of `cryptography`, as paramiko makes it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...
    def decrypt(self, nonce: bytes, data: memoryview, associated_data: bytes) -> bytes: ...


class _Direction:
    """The key of one direction, and how much more may be done with it."""

    __slots__ = ("_counter", "_fixed", "bytes_left", "engine", "packets_left")

    def __init__(self, engine: _Aead, first_nonce: bytes, *, bytes_left: int, packets_left: int) -> None:
        self.engine = engine
        self.bytes_left = bytes_left
        self.packets_left = packets_left
        self._fixed = first_nonce[:4]
        self._counter = int.from_bytes(first_nonce[4:])

    def next_nonce(self, size: int) -> bytes:
        """Return the nonce of the next packet (RFC 5647, section 7.1), of `size` bytes."""
        self.bytes_left -= size
        self.packets_left -= 1
        counter = self._counter
        self._counter = (counter + 1) & _COUNTER_MASK
        return self._fixed + counter.to_bytes(8)

    @property
    def is_used_up(self) -> bool:
        """Whether new keys are due."""
        return self.bytes_left <= 0 or self.packets_left <= 0


class GcmPacketizer(PacketizerBase):
    """See the module."""

    def __init__(self, wire: WireSocket) -> None:
        super().__init__(wire)
        self._wire = wire
        self._lock = threading.Lock()
        self._outbound: _Direction | None = None
        self._inbound: _Direction | None = None

    @property
    def is_gcm(self) -> bool:
        """Whether incoming packets are AES-GCM's: whole packets can be seen before they are read."""
        return self._inbound is not None

    def set_outbound_cipher(self, block_engine: Any, *others: Any, **named: Any) -> None:
        """See paramiko's Packetizer."""
        super().set_outbound_cipher(block_engine, *others, **named)
        self._outbound = self._direction(block_engine, named["iv_out"]) if named.get("aead") else None

    def set_inbound_cipher(self, block_engine: Any, *others: Any, **named: Any) -> None:
        """See paramiko's Packetizer."""
        super().set_inbound_cipher(block_engine, *others, **named)
        self._inbound = self._direction(block_engine, named["iv_in"]) if named.get("aead") else None

    def send_message(self, data: paramiko.Message) -> None:
        """Seal and send one message; never blocks. Raises EOFError when the connection is gone."""
        if self._outbound is None:
            super().send_message(data)
        else:
            self.send_payload(data.asbytes(), b"")

    def send_payload(self, head: bytes, rest: bytes | memoryview) -> None:
        """Seal and send the message `head + rest`, as `send_message`. Only once there is an AES-GCM key."""
        with self._lock:
            direction = self._outbound
            assert direction is not None
            size = len(head) + len(rest)
            padding = 4 + (-size - 5) % _BLOCK
            inner = b"".join((padding.to_bytes(1), head, rest, os.urandom(padding)))
            length = len(inner).to_bytes(4)
            sealed = direction.engine.encrypt(direction.next_nonce(size), inner, length)
            try:
                self._wire.send_parts(length, sealed)
            except OSError as error:
                raise EOFError from error
        if direction.is_used_up:
            self._ask_for_new_keys(direction)

    def open_packet(self, length: bytes, body: memoryview) -> bytes:
        """Return what a packet holds: a byte with the length of the padding, the payload, the padding.

        Raises:
            paramiko.SSHException: it was not sealed with our key, or has no payload.
        """
        direction = self._inbound
        assert direction is not None
        try:
            inner = direction.engine.decrypt(direction.next_nonce(len(body)), body, length)
        except Exception as error:  # the library's own InvalidTag; it may be imported in keys.py only
            raise paramiko.SSHException("a packet that was not sealed with our key") from error
        if inner[0] + 2 > len(inner):
            raise paramiko.SSHException("a packet of nothing but padding")
        if direction.is_used_up:
            self._ask_for_new_keys(direction)
        return inner

    def read_message(self) -> tuple[int, paramiko.Message]:
        """See paramiko's Packetizer. Waits."""
        if self._inbound is None:
            return super().read_message()
        inner = self.open_packet(*self._wire.wait_packet())
        return split(inner)

    def _direction(self, engine: _Aead, first_nonce: bytes) -> _Direction:
        return _Direction(engine, first_nonce, bytes_left=self.REKEY_BYTES, packets_left=self.REKEY_PACKETS)

    def _ask_for_new_keys(self, direction: _Direction) -> None:
        if not self.need_rekey():
            self._trigger_rekey()
        elif direction.bytes_left < -_REKEY_PATIENCE_BYTES:
            raise paramiko.SSHException("the peer does not exchange keys")


def split(inner: bytes) -> tuple[int, paramiko.Message]:
    """Return the number and the fields of the message in an opened packet."""
    return inner[1], paramiko.Message(inner[2 : len(inner) - inner[0]])
