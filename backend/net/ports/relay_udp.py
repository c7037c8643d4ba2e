"""UDP relay: one socket to the target for each client."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections import OrderedDict
from typing import Any, Final, cast

_log = logging.getLogger(__name__)

IDLE_S: Final = 90.0
"""A client without a datagram in either direction for this long is forgotten, as by Docker's own proxy."""
MAX_CLIENTS: Final = 512
"""Limit for each relay; the client that was silent longest is replaced."""
_WAITING_DATAGRAMS: Final = 32
_BUFFER_BYTES: Final = 1_048_576
"""Requested socket buffer: a loop that is busy for a moment must not lose a burst."""

Address = tuple[Any, ...]


class UdpRelay:
    """A bound socket and its clients."""

    def __init__(self, bound: socket.socket, target: tuple[str, int], *, only_from_loopback: bool) -> None:
        self.port: int = bound.getsockname()[1]
        self.target = target
        self._only_from_loopback = only_from_loopback
        self._clients: OrderedDict[Address, _Client] = OrderedDict()
        self._transport: asyncio.DatagramTransport | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self.is_full = False
        """Whether the socket's send queue is full: more datagrams are dropped, as UDP allows."""

    @classmethod
    async def serve(cls, bound: socket.socket, target: tuple[str, int], *, only_from_loopback: bool) -> UdpRelay:
        """Serve datagrams on a bound socket. Raises OSError."""
        relay = cls(bound, target, only_from_loopback=only_from_loopback)
        _enlarge(bound)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Front(relay), sock=bound)
        return relay

    @property
    def connections(self) -> int:
        """See Relay."""
        return len(self._clients)

    @property
    def received_bytes(self) -> int:
        """See Relay."""
        return sum(client.received_bytes for client in self._clients.values())

    @property
    def sent_bytes(self) -> int:
        """See Relay."""
        return sum(client.sent_bytes for client in self._clients.values())

    def opened(self, transport: asyncio.DatagramTransport) -> None:
        """Called when the listening socket is ready."""
        self._transport = transport

    def take(self, data: bytes, sender: Address) -> None:
        """Forward a client's datagram to the target."""
        client = self._clients.get(sender)
        if client is None:
            if self._transport is None or self._transport.is_closing() or not self._welcomes(sender):
                return
            client = self._begin(sender)
        self._clients.move_to_end(sender)
        client.forward(data)

    def give(self, data: bytes, client: _Client) -> None:
        """Forward a reply of the target to its client."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._clients.get(client.address) is not client:
            return
        self._clients.move_to_end(client.address)
        if not self.is_full:
            transport.sendto(data, client.address)

    def forget(self, client: _Client) -> None:
        """Remove a client whose socket is closed: its next datagram creates a new one."""
        if self._clients.get(client.address) is client:
            del self._clients[client.address]

    def _welcomes(self, sender: Address) -> bool:
        if not self._only_from_loopback:
            return True
        return ipaddress.ip_address(str(sender[0]).partition("%")[0]).is_loopback

    def _begin(self, sender: Address) -> _Client:
        if len(self._clients) >= MAX_CLIENTS:
            _, oldest = self._clients.popitem(last=False)
            oldest.close()
        client = self._clients[sender] = _Client(self, sender)
        task = asyncio.create_task(client.open(), name="relay-udp")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE_S / 2, self._sweep)
        return client

    def _sweep(self) -> None:
        """Remove clients that were silent too long; the dictionary is sorted by activity."""
        loop = asyncio.get_running_loop()
        for client in list(self._clients.values()):
            if client.last_used > loop.time() - IDLE_S:
                break
            del self._clients[client.address]
            client.close()
        self._sweeping = loop.call_later(IDLE_S / 2, self._sweep) if self._clients else None

    def ended(self) -> None:
        """Called when the listening socket is closed."""
        self._ended.set()

    async def aclose(self) -> None:
        """See Relay; waits until the listening socket is closed."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if self._transport is not None:
            self._transport.abort()
        for client in list(self._clients.values()):
            client.close()
        self._clients.clear()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._transport is not None:
            await self._ended.wait()


class _Front(asyncio.DatagramProtocol):
    """The listening socket."""

    def __init__(self, relay: UdpRelay) -> None:
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._relay.opened(cast("asyncio.DatagramTransport", transport))

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """See asyncio.DatagramProtocol."""
        self._relay.take(data, addr)

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._relay.is_full = True

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._relay.is_full = False

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol. A client closed its port before the reply; ignored."""
        del exc

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        del exc
        self._relay.ended()


class _Client(asyncio.DatagramProtocol):
    """A socket to the target, for one client."""

    def __init__(self, relay: UdpRelay, address: Address) -> None:
        self._relay = relay
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: list[bytes] = []
        self._closed = False
        self._is_full = False
        self.last_used = self._loop.time()
        self.received_bytes = 0
        self.sent_bytes = 0

    async def open(self) -> None:
        """Create the socket, and send datagrams that arrived meanwhile."""
        try:
            await self._loop.create_datagram_endpoint(lambda: self, remote_addr=self._relay.target)
        except OSError as error:
            _log.debug("no socket for a UDP client: %s", error)
            self._relay.forget(self)

    def forward(self, data: bytes) -> None:
        """Send a datagram to the target."""
        self.last_used = self._loop.time()
        transport = self._transport
        if transport is None:
            if len(self._waiting) < _WAITING_DATAGRAMS:
                self._waiting.append(data)
        elif not self._is_full:
            self.received_bytes += len(data)
            transport.sendto(data)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        # In some versions of Python, transports are not instances of their abstract classes.
        self._transport = cast("asyncio.DatagramTransport", transport)
        if self._closed:
            self._transport.abort()
            return
        connection = transport.get_extra_info("socket")
        _enlarge(connection)
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.forward(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """See asyncio.DatagramProtocol."""
        del addr
        self.last_used = self._loop.time()
        self.sent_bytes += len(data)
        self._relay.give(data, self)

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_full = True

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._is_full = False

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol. Nothing listens at the target; for the client it is a lost datagram."""
        _log.debug("a datagram was not taken: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        del exc
        self._relay.forget(self)


def _enlarge(connection: Any) -> None:
    """Enlarge a socket's buffers, as far as the system allows."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        try:
            connection.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        except OSError as error:
            _log.debug("a socket's buffer stays as it is: %s", error)
