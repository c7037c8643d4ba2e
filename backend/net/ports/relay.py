"""A listener on the host that forwards to a port on the host's loopback, where QEMU's forward listens.

QEMU forwards only IPv4, and not every address that a port may be published at. The agent listens where QEMU cannot. A
relay is one socket and costs nothing until a client connects: 1,000 of them are fine.

Both kinds are asyncio protocols, not streams: bytes go from one socket's `recv` directly to the other's `send`, without
a task, a queue or a copy in between. A slow receiver pauses the sender.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from backend.addresses import Forward, Protocol
from backend.errors import WherryError
from backend.net.ports import bind_errors
from backend.net.ports.relay_tcp import TcpRelay
from backend.net.ports.relay_udp import UdpRelay

_log = logging.getLogger(__name__)

_CLOSE_S: Final = 5.0


class Relay:
    """A listener and its connections; created by `open`. All methods MUST be called on the loop that opened it."""

    def __init__(self, listener: TcpRelay | UdpRelay, forward: Forward) -> None:
        self._listener = listener
        self.forward = forward
        """The listening address, and the target as its guest side."""

    @classmethod
    async def open(
        cls,
        protocol: Protocol,
        host_ip: str,
        host_port: int,
        target: tuple[str, int],
        *,
        only_from_loopback: bool = False,
        one_by_one: bool = False,
    ) -> Relay:
        """Listen, and forward clients to the target.

        Args:
            protocol: TCP or UDP.
            host_ip: an address of the host, as `ipaddress` writes it. "::" and "::1" listen on IPv6 only.
            host_port: 0 for one that the system chooses; see `port`.
            target: an IPv4 or IPv6 address and a port.
            only_from_loopback: listen on all addresses instead of `host_ip`, which MUST be a loopback address, and
                reject
                clients from elsewhere. For macOS, where unprivileged programs may bind ports below 1024 only on the
                wildcard
                address; see `Host.low_ports_on_wildcard_only`.
            one_by_one: the target has a tiny backlog: connect to it one at a time. TCP only.

        Raises:
            WherryError: PORT_TAKEN or PORT_REFUSED, with the program that has the port.
        """
        listen_ip = host_ip
        if only_from_loopback:
            listen_ip = "::" if ":" in host_ip else "0.0.0.0"
        forward = Forward(
            protocol=protocol, host_ip=host_ip, host_port=host_port, guest_ip=target[0], guest_port=target[1]
        )
        listener: TcpRelay | UdpRelay
        try:
            bound = bind_errors.bind(protocol, listen_ip, host_port)
            try:
                if protocol is Protocol.TCP:
                    listener = await TcpRelay.serve(
                        bound, target, only_from_loopback=only_from_loopback, one_by_one=one_by_one
                    )
                else:
                    listener = await UdpRelay.serve(bound, target, only_from_loopback=only_from_loopback)
            except BaseException:
                bound.close()
                raise
        except OSError as error:
            raise WherryError(await bind_errors.explain_with_holder(error, forward)) from error
        return cls(listener, forward)

    @property
    def port(self) -> int:
        """The listening port on the host."""
        return self._listener.port

    @property
    def connections(self) -> int:
        """Number of open connections. UDP: clients that were active within the last minute and a half."""
        return self._listener.connections

    @property
    def received_bytes(self) -> int:
        """Bytes sent to the target on the open connections."""
        return self._listener.received_bytes

    @property
    def sent_bytes(self) -> int:
        """Bytes received from the target on the open connections."""
        return self._listener.sent_bytes

    async def aclose(self) -> None:
        """Stop listening and reset the open connections. Idempotent."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._listener.aclose()
        except TimeoutError:
            _log.error("the relay on %s was not closed within %.0f s", self.forward.address, _CLOSE_S)
