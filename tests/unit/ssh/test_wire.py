"""The socket that paramiko is given: sends never wait, order is kept, the end wakes everybody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from backend.ssh.internals import ChannelBase, TransportBase
from backend.ssh.wire import BACKLOG_LOW_BYTES, WireSocket


@pytest.fixture
def pair() -> Iterator[tuple[WireSocket, socket.socket, threading.Event]]:
    """A wire, its peer, and the event that its draining sets."""
    ours, theirs = socket.socketpair()
    drained = threading.Event()
    wire = WireSocket(ours, drained.set)
    theirs.settimeout(20)
    yield wire, theirs, drained
    wire.close()
    assert wire.release(5)
    theirs.close()


def read_all(peer: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        data += peer.recv(1 << 20)
    return bytes(data)


def test_sends_take_everything_at_once_and_keep_the_order(
    pair: tuple[WireSocket, socket.socket, threading.Event],
) -> None:
    wire, peer, drained = pair
    pieces = [bytes([number]) * 100_000 for number in range(100)]
    begun = time.monotonic()
    for piece in pieces:
        assert wire.send(piece) == len(piece)
    assert time.monotonic() - begun < 5  # nobody has read a byte yet
    assert wire.backlog_bytes > BACKLOG_LOW_BYTES
    assert read_all(peer, 10_000_000) == b"".join(pieces)
    assert drained.wait(10)
    assert wire.backlog_bytes <= BACKLOG_LOW_BYTES


def test_close_wakes_a_waiting_reader(pair: tuple[WireSocket, socket.socket, threading.Event]) -> None:
    wire, _, _ = pair
    got: list[bytes] = []

    def read() -> None:
        while True:
            try:
                got.append(wire.recv(16))
                return
            except TimeoutError:
                continue

    reader = threading.Thread(target=read)
    reader.start()
    wire.close()
    reader.join(10)
    assert got == [b""]
    with pytest.raises(OSError, match="closed"):
        wire.send(b"x")


def test_a_broken_connection_ends_the_flusher(pair: tuple[WireSocket, socket.socket, threading.Event]) -> None:
    wire, peer, _ = pair
    for _ in range(100):
        wire.send(bytes(100_000))
    peer.close()
    deadline = time.monotonic() + 10
    with pytest.raises(OSError, match=r"closed|Broken pipe|reset"):
        while time.monotonic() < deadline:
            wire.send(b"x")


def test_a_packet_is_whole_or_not_there(pair: tuple[WireSocket, socket.socket, threading.Event]) -> None:
    wire, peer, _ = pair
    packet = (32).to_bytes(4) + bytes(range(32)) + bytes(16)
    peer.sendall(packet[:3])
    wire.fill()
    assert wire.next_packet() is None
    peer.sendall(packet[3:30])
    wire.fill()
    assert wire.next_packet() is None
    peer.sendall(packet[30:] + packet[:7])
    wire.fill()
    packet_parts = wire.next_packet()
    assert packet_parts is not None
    assert b"".join(packet_parts) == packet
    assert wire.next_packet() is None
    peer.sendall(packet[7:] + packet)
    for _ in range(2):
        assert b"".join(wire.wait_packet()) == packet


def test_fill_neither_waits_nor_invents(pair: tuple[WireSocket, socket.socket, threading.Event]) -> None:
    wire, peer, _ = pair
    wire.fill()
    assert (wire.reads, wire.next_packet()) == (0, None)
    peer.sendall(b"x" * 100)
    with pytest.raises(EOFError):
        while True:
            wire.fill()
            wire.next_packet()  # "xxxx" as a length is more than any packet may be


def test_what_is_corked_goes_out_in_order_and_at_once(pair: tuple[WireSocket, socket.socket, threading.Event]) -> None:
    wire, peer, _ = pair
    wire.cork()
    wire.send(b"one ")
    wire.send_parts(b"two ", b"three ")
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(100)
    wire.uncork()
    wire.send(b"four")
    assert peer.recv(100) == b"one two three four"


def test_paramiko_has_what_we_stand_on() -> None:
    transport = (
        "_next_channel",
        "_send_message",
        "_send_user_message",
        "_parse_newkeys",
        "_parse_channel_open_success",
    )
    more = ("_parse_channel_open_failure", "_unlink_channel", "_check_banner", "_enforce_strict_kex")
    yet_more = ("_expect_packet", "_parse_debug", "_parse_disconnect", "_send_kex_init", "_channel_handler_table")
    channel = ("_check_add_window", "_event_pending", "_set_transport", "_set_window", "_unlink")
    assert [name for name in (*transport, *more, *yet_more) if not hasattr(TransportBase, name)] == []
    assert [name for name in channel if not hasattr(ChannelBase, name)] == []
