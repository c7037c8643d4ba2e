"""Fast encoding and decoding of SSH packets with AES-GCM; all traffic to the engine passes here.

paramiko's Packetizer makes six or seven copies and two reads for each packet. Here a packet is decrypted in the
receive buffer, and encrypted into one piece. Packets before the first key exchange are still handled by paramiko.

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
"""How much a peer may still send after we asked for new keys."""


class _Aead(Protocol):
    """`cryptography`'s AESGCM, as created by paramiko."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...
    def decrypt(self, nonce: bytes, data: memoryview, associated_data: bytes) -> bytes: ...


class _Direction:
    """The key of one direction, and how much more it may encrypt."""

    __slots__ = ("_counter", "_fixed", "bytes_left", "engine", "packets_left")

    def __init__(self, engine: _Aead, first_nonce: bytes, *, bytes_left: int, packets_left: int) -> None:
        self.engine = engine
        self.bytes_left = bytes_left
        self.packets_left = packets_left
        self._fixed = first_nonce[:4]
        self._counter = int.from_bytes(first_nonce[4:])

    def next_nonce(self, size: int) -> bytes:
        """Return the nonce (RFC 5647, section 7.1) of the next packet, which is `size` bytes long."""
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
    """A Packetizer that handles AES-GCM packets itself; see the module's docstring."""

    def __init__(self, wire: WireSocket) -> None:
        super().__init__(wire)
        self._wire = wire
        self._lock = threading.Lock()
        self._outbound: _Direction | None = None
        self._inbound: _Direction | None = None

    @property
    def is_gcm(self) -> bool:
        """Whether incoming packets use AES-GCM, so that their length is visible before decryption."""
        return self._inbound is not None

    def set_outbound_cipher(self, block_engine: Any, *others: Any, **options: Any) -> None:
        """See paramiko's Packetizer."""
        super().set_outbound_cipher(block_engine, *others, **options)
        self._outbound = self._direction(block_engine, options["iv_out"]) if options.get("aead") else None

    def set_inbound_cipher(self, block_engine: Any, *others: Any, **options: Any) -> None:
        """See paramiko's Packetizer."""
        super().set_inbound_cipher(block_engine, *others, **options)
        self._inbound = self._direction(block_engine, options["iv_in"]) if options.get("aead") else None

    def send_message(self, data: paramiko.Message) -> None:
        """Encrypt and send one message; never blocks. Raises EOFError when the connection has ended."""
        if self._outbound is None:
            super().send_message(data)
        else:
            self.send_payload(data.asbytes(), b"")

    def send_payload(self, head: bytes, rest: bytes | memoryview) -> None:
        """Encrypt and send the message `head + rest`, as `send_message`. Requires an AES-GCM key."""
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
        """Decrypt a packet: one byte with the length of the padding, the payload, the padding.

        Raises:
            paramiko.SSHException: it was not encrypted with our key, or has no payload.
        """
        direction = self._inbound
        assert direction is not None
        try:
            inner = direction.engine.decrypt(direction.next_nonce(len(body)), body, length)
        except Exception as error:  # cryptography's InvalidTag: only keys.py may import that library
            raise paramiko.SSHException("a packet that was not sealed with our key") from error
        if inner[0] + 2 > len(inner):
            raise paramiko.SSHException("a packet of nothing but padding")
        if direction.is_used_up:
            self._ask_for_new_keys(direction)
        return inner

    def read_message(self) -> tuple[int, paramiko.Message]:
        """See paramiko's Packetizer. Blocks."""
        if self._inbound is None:
            return super().read_message()
        inner = self.open_packet(*self._wire.wait_packet())
        return parse_message(inner)

    def _direction(self, engine: _Aead, first_nonce: bytes) -> _Direction:
        return _Direction(engine, first_nonce, bytes_left=self.REKEY_BYTES, packets_left=self.REKEY_PACKETS)

    def _ask_for_new_keys(self, direction: _Direction) -> None:
        if not self.need_rekey():
            self._trigger_rekey()
        elif direction.bytes_left < -_REKEY_PATIENCE_BYTES:
            raise paramiko.SSHException("the peer does not exchange keys")


def parse_message(inner: bytes) -> tuple[int, paramiko.Message]:
    """Return the number and the fields of the message in a decrypted packet."""
    return inner[1], paramiko.Message(inner[2 : len(inner) - inner[0]])
