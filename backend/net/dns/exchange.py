"""Queries to one DNS server over UDP, many in parallel on a few sockets with changing ports.

dnspython opens a socket for each query, which costs half a millisecond of the agent's loop: too much at 500 a second.
An answer is accepted only from the server, and only with the ID and question of a pending query. An attacker who does
not see our packets has to guess ID and port, and a port is used for at most `_QUERIES` queries.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Final, cast

from backend.settings.dns_servers import Server

_QUERIES: Final = 64
_HEADER_BYTES: Final = 12
_QR: Final = 0x80


class Exchange:
    """Sends queries to one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: _Socket | None = None
        self._opening = asyncio.Lock()
        self._sockets: set[_Socket] = set()
        self._retired = False

    async def ask(self, query: bytes, *, timeout_s: float) -> bytes:
        """Send a query with one question and return the answer. Its ID is randomised. Raises TimeoutError, OSError."""
        async with asyncio.timeout(timeout_s):
            used = await self._next()
            try:
                return await used.ask(query)
            finally:
                if used.is_done:
                    used.close()

    async def _next(self) -> _Socket:
        async with self._opening:
            if self._socket is None or self._socket.left == 0 or self._socket.is_closed:
                loop = asyncio.get_running_loop()
                address = (self._server.address, self._server.port)
                _, self._socket = await loop.create_datagram_endpoint(
                    lambda: _Socket(self._sockets), remote_addr=address
                )
            self._socket.left = 0 if self._retired else self._socket.left - 1
            return self._socket

    def retire(self) -> None:
        """Close each socket as soon as it has no pending query."""
        self._retired = True
        self._socket = None
        for used in tuple(self._sockets):
            used.left = 0
            if used.is_done:
                used.close()


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, all_sockets: set[_Socket]) -> None:
        self._all = all_sockets
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[int, tuple[bytes, asyncio.Future[bytes]]] = {}
        self.left = _QUERIES
        self.is_closed = False

    @property
    def is_done(self) -> bool:
        """Whether the socket can be closed."""
        return self.left == 0 and not self._waiting

    async def ask(self, query: bytes) -> bytes:
        assert self._transport is not None
        identity = secrets.randbelow(65_536)
        while identity in self._waiting:
            identity = secrets.randbelow(65_536)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = (question_of(query).lower(), answer)
        try:
            self._transport.sendto(identity.to_bytes(2, "big") + query[2:])
            return await answer
        finally:
            del self._waiting[identity]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.DatagramProtocol."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own class is not a DatagramTransport
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.DatagramProtocol."""
        self.is_closed = True
        self._all.discard(self)
        self._fail(OSError("the socket was closed") if exc is None else exc)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 -- connected: the server's
        """See asyncio.DatagramProtocol."""
        if len(data) < _HEADER_BYTES or not data[2] & _QR:
            return
        question, answer = self._waiting.get(int.from_bytes(data[:2], "big"), (b"", None))
        if answer is not None and not answer.done() and question_of(data).lower() == question:
            answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol. Usually: nothing listens at the server's port."""
        self._fail(exc)

    def _fail(self, error: Exception) -> None:
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
                with contextlib.suppress(asyncio.CancelledError):
                    answer.exception()  # the caller may have been cancelled


def question_of(message: bytes) -> bytes:
    """The bytes of the first question; b"" when it is incomplete or compressed."""
    if int.from_bytes(message[4:6], "big") != 1:
        return b""
    at = _HEADER_BYTES
    while at < len(message) and message[at] != 0:
        if message[at] > 63:
            return b""
        at += message[at] + 1
    return message[_HEADER_BYTES : at + 5] if at + 5 <= len(message) else b""
