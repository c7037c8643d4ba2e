"""`ByteStream`, a bidirectional byte stream with half-close.

It hides whether the transport is an SSH channel to the guest, a Unix socket or a Windows pipe. Implementations are in
`backend/ssh/stream.py` and `backend/host/`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class ByteStream(Protocol):
    """All methods MUST be called on the event loop that opened the stream; none of them blocks it."""

    async def read(self, max_bytes: int = 262_144) -> bytes:
        """Return available bytes, waiting for at least one; b"" once the peer has closed its side, and ever after."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`; returns when more may be sent (back-pressure). MAY copy.

        Raises:
            ConnectionError: the connection broke, or the peer has stopped reading.
        """
        ...

    async def write_eof(self) -> None:
        """Close only our side; the peer can still send. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Close both sides and free everything. Idempotent, never raises ConnectionError."""
        ...


class CommandOutput(Protocol):
    """The output of a command that runs in the guest; implemented by `FollowedCommand`."""

    async def read(self) -> bytes:
        """The next output; b"" at its end. Raises ConnectionError."""
        ...

    async def exit_code(self) -> int:
        """Wait for the exit code."""
        ...


Dial = Callable[[], Awaitable[ByteStream]]
"""Opens a stream to the engine."""
