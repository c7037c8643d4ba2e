"""A raw two-way connection to a terminal of a container.

Its parts come from docker-py: a buffered reader, and the socket below it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

_BLOCK_BYTES = 65_536


class Duplex:
    """Read in one thread, write in another; `close` from any thread wakes both."""

    def __init__(self, reader: Any, connection: Any, release: Callable[[], object]) -> None:
        """Takes ownership of an open connection.

        Args:
            reader: buffered reader; it may already hold the first bytes.
            connection: the socket, or docker-py's object for a named pipe.
            release: closes the response that the connection belongs to.
        """
        self._reader = reader
        self._connection = connection
        self._release = release
        self._closed = threading.Event()
        # Silence of any length is normal; `close` ends every wait.
        self._connection.settimeout(None)

    def read(self) -> bytes:
        """Wait for data; b"" when the peer has closed, the connection broke or `close` was called."""
        try:
            return bytes(self._reader.read1(_BLOCK_BYTES))
        except (OSError, ValueError, AttributeError):
            return b""

    def write(self, data: bytes) -> None:
        """Send all of `data`; blocks while the program does not read. Data for a closed connection is dropped."""
        if not self._closed.is_set():
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._connection.sendall(data)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._closed.set()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Free all resources. MUST be called by the thread that reads, after its last read."""
        self.close()
        for give_back in (self._release, self._reader.close, self._connection.close):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                give_back()
