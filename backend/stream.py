"""A two-way stream of bytes with half-close: what the SSH side offers and the API front consumes.

The same interface stands for an SSH channel to the guest, a Unix socket and a Windows pipe, so the front knows none of
them. Implementations live beside what they wrap (`backend/ssh/stream.py`, `backend/host/`).
"""

from __future__ import annotations

from typing import Protocol


class ByteStream(Protocol):
    """All methods belong to the event loop that opened the stream; none of them blocks it."""

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """Return the next bytes as soon as there are any; b"" once the peer has closed its side (and for ever after).

        Raises:
            ConnectionError: the connection broke.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`; returns when it is safe to send more (back-pressure). MAY copy.

        Raises:
            ConnectionError: the connection broke, or the peer reads no more.
        """
        ...

    async def write_eof(self) -> None:
        """Close our side only; the peer can still send. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Close both sides and free everything. Idempotent, never raises ConnectionError."""
        ...
