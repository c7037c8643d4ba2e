"""A connection that the engine gave over: what a program in a terminal writes comes out, what is typed goes in.

How the library holds its socket is the client's knowledge; here it is a buffered reader and the socket under it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

_BLOCK_BYTES = 65_536


class Duplex:
    """Read it in one thread, write it in another; `close` it from any, which wakes both."""

    def __init__(self, reader: Any, connection: Any, release: Callable[[], object]) -> None:
        """Take over an open connection.

        Args:
            reader: buffered; it may hold the first bytes already.
            connection: the socket, or what the library has in its place for a named pipe.
            release: gives back what else belongs to it.
        """
        self._reader = reader
        self._connection = connection
        self._release = release
        self._closed = threading.Event()
        # Silence is normal here, for as long as it likes; `close` ends every wait.
        self._connection.settimeout(None)

    def read(self) -> bytes:
        """Wait for some bytes; b"" once the other side is done, the connection broke or `close` was called."""
        try:
            return bytes(self._reader.read1(_BLOCK_BYTES))
        except (OSError, ValueError, AttributeError):
            return b""

    def write(self, data: bytes) -> None:
        """Send all of `data`; waits while the program does not read. Silently drops what nobody can take any more."""
        if not self._closed.is_set():
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._connection.sendall(data)

    def close(self) -> None:
        """End it. Idempotent."""
        self._closed.set()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give everything back. MUST be called by the thread that reads, after its last read."""
        self.close()
        for give_back in (self._release, self._reader.close, self._connection.close):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                give_back()
