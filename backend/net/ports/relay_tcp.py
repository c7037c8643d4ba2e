"""TCP relay: pairs of connections joined with half-close and back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from typing import Final

_log = logging.getLogger(__name__)

_BACKLOG: Final = 512
_CONNECT_S: Final = 10.0
_TURN_S: Final = 0.1
_ACCEPT_S: Final = 0.002
"""About one iteration of the target's event loop, in which it accepts one connection."""
_HIGH_WATER_BYTES: Final = 262_144
"""Data that may be queued for a slow receiver, per direction of a connection; above it the sender is not read."""
_ACCEPT_ITERATIONS: Final = 3
"""Loop iterations between accepting a connection and creating its protocol."""
_LOOK_S: Final = 15.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds. Windows expects two shorts, which match the first four bytes (little-endian)."""


class TcpRelay:
    """A listening socket and its connections."""

    def __init__(
        self, bound: socket.socket, target: tuple[str, int], *, only_from_loopback: bool, one_by_one: bool
    ) -> None:
        self.port: int = bound.getsockname()[1]
        self._bound = bound
        self.target = target
        self.only_from_loopback = only_from_loopback
        self.gate = asyncio.Semaphore(1) if one_by_one else None
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._closed = False

    @classmethod
    async def serve(
        cls, bound: socket.socket, target: tuple[str, int], *, only_from_loopback: bool, one_by_one: bool = False
    ) -> TcpRelay:
        """Listen on a bound socket. Raises OSError."""
        relay = cls(bound, target, only_from_loopback=only_from_loopback, one_by_one=one_by_one)
        loop = asyncio.get_running_loop()
        relay._server = await loop.create_server(lambda: _Pair(relay).client, sock=bound, backlog=_BACKLOG)
        return relay

    @property
    def connections(self) -> int:
        """See Relay."""
        return len(self._pairs)

    @property
    def received_bytes(self) -> int:
        """See Relay."""
        return sum(pair.client.read_bytes for pair in self._pairs)

    @property
    def sent_bytes(self) -> int:
        """See Relay."""
        return sum(pair.target.read_bytes for pair in self._pairs)

    def add(self, pair: _Pair) -> bool:
        """Register a new connection; False when the relay is closing."""
        if self._closed:
            return False
        self._pairs.add(pair)
        self._none_left.clear()
        return True

    def discard(self, pair: _Pair) -> None:
        """Unregister a closed connection."""
        self._pairs.discard(pair)
        if not self._pairs:
            self._none_left.set()

    def watch_half_closed(self) -> None:
        """Start checking half-closed connections, which may break unnoticed: see `_Side.is_broken`."""
        if self._looking is None and not self._closed:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        for pair in [pair for pair in self._pairs if pair.is_half]:
            if pair.client.is_broken() or pair.target.is_broken():
                pair.break_off()
            else:
                self.watch_half_closed()

    async def aclose(self) -> None:
        """See Relay; waits until the sockets are closed."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._server is not None:
            if self._bound.fileno() >= 0:
                await self._accept_no_more()
            self._server.close()
        for pair in list(self._pairs):
            pair.break_off()
        await self._none_left.wait()
        if self._server is not None:
            await self._server.wait_closed()

    async def _accept_no_more(self) -> None:
        # WORKAROUND: CPython 3.11 and 3.12, a connection accepted in the same iteration as Server.close() fails an
        # assertion in Server._attach, and its socket is left to the garbage collector.
        with contextlib.suppress(NotImplementedError):  # loops on Windows have no readers
            asyncio.get_running_loop().remove_reader(self._bound)
            for _ in range(_ACCEPT_ITERATIONS):
                await asyncio.sleep(0)


class _Pair:
    """A client's connection and the connection to the target."""

    def __init__(self, relay: TcpRelay) -> None:
        self.relay = relay
        self.client = _Side(self)
        self.target = _Side(self)
        self.client.other, self.target.other = self.target, self.client
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_half(self) -> bool:
        return self.client.ended or self.target.ended

    def begin(self) -> None:
        """Connect to the target; the client is read once that is connected."""
        transport = self.client.transport
        assert transport is not None
        if not self._welcomes(transport) or not self.relay.add(self):
            self.client.break_off()
            return
        transport.pause_reading()
        self._connecting = asyncio.create_task(self._connect(), name="relay-connect")

    def _welcomes(self, transport: asyncio.Transport) -> bool:
        return not self.relay.only_from_loopback or ipaddress.ip_address(self._peer(transport)).is_loopback

    def _peer(self, transport: asyncio.Transport) -> str:
        peer = transport.get_extra_info("peername")
        return str(peer[0]).partition("%")[0] if peer else "0.0.0.0"

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                if self.relay.gate is None:
                    await self._reach(None)
                else:
                    await self._reach_in_turn(self.relay.gate)
        except OSError as error:  # includes TimeoutError
            _log.debug("nobody answers at %s port %d: %s", *self.relay.target, error)
            self.client.break_off()
            return
        if self.client.is_closed:
            self.target.break_off()
        elif self.client.transport is not None:
            self.client.send_early()
            if not self.client.ended:
                self.client.transport.resume_reading()

    async def _reach(self, within_s: float | None) -> None:
        """Connect to the target. Raises OSError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s):
            await loop.create_connection(lambda: self.target, *self.relay.target)

    async def _reach_in_turn(self, gate: asyncio.Semaphore) -> None:
        """Connect, one at a time: when the backlog is full, a SYN is repeated only after a second."""
        while True:
            async with gate:
                try:
                    await self._reach(_TURN_S)
                    await asyncio.sleep(_ACCEPT_S)
                except TimeoutError:
                    continue
                return

    def break_off(self) -> None:
        """Reset both connections, so that their peers do not mistake it for a normal end."""
        if self._connecting is not None:
            self._connecting.cancel()
        self.client.break_off()
        self.target.break_off()

    def lost(self, side: _Side, error: Exception | None) -> None:
        """Called when one connection is closed, by its peer or by us."""
        other = side.other
        if other.transport is None:
            if self._connecting is not None and not self._connecting.done():
                self._connecting.cancel()
        elif not other.is_closed:
            if error is None and side.ended:
                other.close()
            else:
                other.break_off()
        if side.is_closed and (other.is_closed or other.transport is None):
            self.relay.discard(self)


class _Side(asyncio.Protocol):
    """One of the two connections. Data from it goes to the other."""

    other: _Side

    def __init__(self, pair: _Pair) -> None:
        self._pair = pair
        self.transport: asyncio.Transport | None = None
        self.is_closed = False
        self.ended = False
        """Whether its peer has sent EOF."""
        self.read_bytes = 0
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        if self is self._pair.client:
            self._pair.begin()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.read_bytes += len(data)
        onward = self.other.transport
        if onward is not None:
            onward.write(data)
        elif self.transport is not None:
            self._early.append(data)
            # WORKAROUND: CPython 3.11.2, a pause requested in connection_made is undone right after it.
            self.transport.resume_reading()
            self.transport.pause_reading()

    def send_early(self) -> None:
        """Called when the other side is connected."""
        early, self._early = self._early, []
        onward = self.other.transport
        assert onward is not None
        onward.writelines(early)
        if self.ended and onward.can_write_eof():
            onward.write_eof()
            self._pair.relay.watch_half_closed()

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        self.ended = True
        onward = self.other.transport
        if self.other.is_closed:
            return False
        if onward is None:
            return True  # forwarded once the other side is connected
        if self.other.ended:
            onward.close()  # after the queued data
            return False
        if onward.can_write_eof():
            onward.write_eof()
        self._pair.relay.watch_half_closed()
        return True

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        source = self.other.transport
        if source is not None and not self.other.is_closed and not self.other.ended:
            source.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        source = self.other.transport
        if source is not None and not self.other.is_closed and not self.other.ended:
            source.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.is_closed = True
        self._pair.lost(self, exc)

    def is_broken(self) -> bool:
        """Whether the peer reset the connection after its EOF: the loop does not notice, as it stopped reading."""
        if self.transport is None or self.is_closed:
            return False
        connection = self.transport.get_extra_info("socket")
        try:
            return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0)
        except OSError:
            return True

    def close(self) -> None:
        """Close it after the queued data."""
        if self.transport is not None:
            self.transport.close()

    def break_off(self) -> None:
        """Reset it, so that the peer knows that data is missing."""
        if self.transport is None or self.is_closed:
            return
        connection = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()
