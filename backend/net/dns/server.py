"""DNS server on 127.0.0.1, with UDP and TCP on the same port.

It only answers clients on the loopback. All resources are limited: pending datagrams, connections, their idle time, and
message sizes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from dns.rcode import Rcode

from backend.net.dns import packets
from backend.net.dns.packets import DnsAnswer, DnsQuestion

_log = logging.getLogger(__name__)

MOST_DATAGRAMS: Final = 2048
MOST_CONNECTIONS: Final = 128
IDLE_S: Final = 10.0
_SEND_S: Final = 5.0
_TRIES: Final = 20
_RECEIVE_BUFFER_BYTES: Final = 1_048_576
_ADDRESS: Final = "127.0.0.1"


class Answers(NamedTuple):
    """Callbacks that answer questions."""

    known: Callable[[DnsQuestion], tuple[DnsAnswer, float] | None]
    """The cached answer and its age in seconds, or None."""
    resolve: Callable[[DnsQuestion], Awaitable[tuple[DnsAnswer, float]]]
    """Finds the answer, and returns it with its age in seconds. MUST return eventually."""


class DnsServer:
    """Serves from `start` to `aclose`."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None
        self._datagrams: _Datagrams | None = None
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.port: int | None = None
        """The port in use; None while not listening."""

    async def start(self, preferred: int | None) -> int:
        """Listen, on the preferred port if it is free. Returns the port. Raises OSError when no port is available."""
        loop = asyncio.get_running_loop()
        udp, tcp = _bind(preferred)
        try:
            self._transport, self._datagrams = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._datagram), sock=udp
            )
            self._listener = await asyncio.start_server(self._connection, sock=tcp)
        except BaseException:
            if self._transport is None:
                udp.close()
            tcp.close()
            await self.aclose()
            raise
        port = int(udp.getsockname()[1])
        self.port = port
        return port

    async def aclose(self) -> None:
        """Close the port and cancel pending answers. Idempotent."""
        self.port = None
        datagrams, self._datagrams = self._datagrams, None
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        tasks = (*self._tasks, *self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if datagrams is not None:
            await datagrams.closed.wait()  # the loop closes its socket in the next iteration

    # -- datagrams ------------------------------------------------------------------------------------------------
    def _datagram(self, untrusted: bytes, peer: tuple[str, int]) -> None:
        query = packets.read(untrusted)
        if query is None:
            return
        if isinstance(query, bytes):
            self._send(query, peer)
        elif query.question is None:
            self._send(query.refuse(query.refusal), peer)
        elif (known := self._answers.known(query.question)) is not None:
            self._send(query.to_wire(known[0], age_s=known[1], datagram=True), peer)
        elif len(self._tasks) >= MOST_DATAGRAMS:
            self._send(query.refuse(Rcode.SERVFAIL), peer)
        else:
            task = asyncio.get_running_loop().create_task(self._answer_datagram(query, peer), name="dns query")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer_datagram(self, query: packets.DnsQuery, peer: tuple[str, int]) -> None:
        self._send(await self._find(query, datagram=True), peer)

    async def _find(self, query: packets.DnsQuery, *, datagram: bool) -> bytes:
        assert query.question is not None
        try:
            answer, age_s = await self._answers.resolve(query.question)
            return query.to_wire(answer, age_s=age_s, datagram=datagram)
        except Exception:  # noqa: BLE001 -- logged; the client gets an answer
            _log.exception("internal error while answering a query")
            return query.refuse(Rcode.SERVFAIL)

    def _send(self, data: bytes, peer: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, peer)

    # -- connections ----------------------------------------------------------------------------------------------
    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Only `aclose` cancels it, and Python 3.11 logs a cancelled handler as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            peer = writer.get_extra_info("peername")
            if len(self._connections) <= MOST_CONNECTIONS and _is_loopback(peer):
                with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                    await self._converse(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_SEND_S):
                    await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query after the other. Raises when the connection ends."""
        while True:
            async with asyncio.timeout(IDLE_S):
                size = int.from_bytes(await reader.readexactly(2), "big")
                untrusted = await reader.readexactly(size)
            query = packets.read(untrusted)
            if query is None:
                return
            if isinstance(query, bytes):
                data = query
            elif query.question is None:
                data = query.refuse(query.refusal)
            else:
                data = await self._find(query, datagram=False)
            writer.write(len(data).to_bytes(2, "big") + data)
            async with asyncio.timeout(_SEND_S):
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """See asyncio.DatagramProtocol."""
        self.closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See asyncio.DatagramProtocol."""
        if _is_loopback(addr):
            self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        """The client has closed its port; nothing to do."""
        _log.debug("a datagram could not be delivered: %s", exc)


def _is_loopback(peer: tuple[str, int] | None) -> bool:
    try:
        return peer is not None and ipaddress.ip_address(peer[0]).is_loopback
    except ValueError:
        return False


def _bind(preferred: int | None) -> tuple[socket.socket, socket.socket]:
    """Bind a UDP and a TCP socket to the same port: the preferred one, else any. Raises OSError."""
    ports = ([preferred] if preferred else []) + [0] * _TRIES
    last: OSError | None = None
    for port in ports:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            udp.bind((_ADDRESS, port))
            tcp.bind((_ADDRESS, udp.getsockname()[1]))
            udp.setblocking(False)
            tcp.setblocking(False)
            return udp, tcp
        except OSError as error:
            udp.close()
            tcp.close()
            last = error
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    assert last is not None
    raise last
