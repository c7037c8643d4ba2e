"""A listening socket of a process is given another backlog from outside; this process stands for the other one."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("pidfd_getfd is Linux's", allow_module_level=True)

from backend.host.systems.linux_sockets import listen_again

_MAX_BACKLOG_AT = 28
"""Of tcpi_sacked in tcp_info, which is a listener's greatest backlog."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as made:
        yield made


def backlog_of(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("=I", info, _MAX_BACKLOG_AT)[0])


def test_a_listener_gets_the_backlog_and_stays_open(listener: socket.socket) -> None:
    assert backlog_of(listener) == 1
    if not listen_again(os.getpid(), listener.fileno(), 100):
        pytest.skip("this system does not let a process have descriptors of another")
    assert backlog_of(listener) == 100
    with socket.create_connection(listener.getsockname()[:2]):
        listener.accept()[0].close()


def test_what_is_no_listener_is_left_alone(listener: socket.socket) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        Path(os.devnull).open("rb") as file,
        socket.create_connection(listener.getsockname()[:2]) as connected,
    ):
        for descriptor in (datagrams.fileno(), file.fileno(), connected.fileno(), 9999):
            assert not listen_again(os.getpid(), descriptor, 100)
    assert not listen_again(2**22 + 1, listener.fileno(), 100), "there is no such process"


def test_a_python_without_pidfd_open_has_no_way_to(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert not listen_again(os.getpid(), listener.fileno(), 100)
