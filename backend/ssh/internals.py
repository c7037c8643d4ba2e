"""Undocumented members of paramiko 5 that we use, declared once for the type checker.

tests/unit/test_ssh_transport.py checks that the installed paramiko has each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.buffered_pipe import BufferedPipe
from paramiko.packet import Packetizer

if TYPE_CHECKING:
    from paramiko.auth_handler import AuthHandler
    from paramiko.transport import ChannelMap

    class AuthHandlerBase(AuthHandler):
        """paramiko.AuthHandler with the members that its type stubs leave out."""

        _handler_table: dict[int, Callable[[paramiko.Message], None]]

    class TransportBase(paramiko.Transport):
        """paramiko.Transport with the members that its type stubs leave out."""

        active: bool
        auth_handler: AuthHandlerBase | None
        agreed_on_strict_kex: bool
        _channels: ChannelMap
        _channel_handler_table: dict[int, Callable[[paramiko.Channel, paramiko.Message], None]]
        _expected_packet: tuple[int, ...]
        _handler_table: dict[int, Callable[[paramiko.Message], None]]

        def _check_banner(self) -> None: ...
        def _enforce_strict_kex(self, ptype: int) -> None: ...
        def _expect_packet(self, *ptypes: int) -> None: ...
        def _next_channel(self) -> int: ...
        def _parse_debug(self, m: paramiko.Message) -> None: ...
        def _parse_disconnect(self, m: paramiko.Message) -> None: ...
        def _send_kex_init(self) -> None: ...
        def _send_message(self, data: paramiko.Message) -> None: ...
        def _send_user_message(self, data: paramiko.Message) -> None: ...
        def _parse_newkeys(self, m: paramiko.Message) -> None: ...
        def _parse_channel_open_success(self, m: paramiko.Message) -> None: ...
        def _parse_channel_open_failure(self, m: paramiko.Message) -> None: ...
        def _unlink_channel(self, chanid: int) -> None: ...

    class ChannelBase(paramiko.Channel):
        """paramiko.Channel with the members that its type stubs leave out."""

        def _check_add_window(self, n: int) -> int: ...
        def _event_pending(self) -> None: ...
        def _unlink(self) -> None: ...
        def _set_transport(self, transport: paramiko.Transport) -> None: ...
        def _set_window(self, window_size: int, max_packet_size: int) -> None: ...

    class PacketizerBase(Packetizer):
        """paramiko's Packetizer: its type stubs lack AEAD, and accept only a real socket."""

        REKEY_PACKETS: int
        REKEY_BYTES: int

        def __init__(self, socket: object) -> None: ...
        def set_outbound_cipher(self, block_engine: Any, *others: Any, **named: Any) -> None: ...
        def set_inbound_cipher(self, block_engine: Any, *others: Any, **named: Any) -> None: ...
        def _trigger_rekey(self) -> None: ...

    PipeBase = BufferedPipe[bytes]
else:
    PacketizerBase = Packetizer
    PipeBase = BufferedPipe
    TransportBase = paramiko.Transport
    ChannelBase = paramiko.Channel
