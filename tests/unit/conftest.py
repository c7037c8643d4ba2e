"""Fixtures of several modules' tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Three free ports, on IPv4 and IPv6."""
    numbers: list[int] = []
    while len(numbers) < 3:
        with socket.create_server(("127.0.0.1", 0)) as held:
            numbers.append(held.getsockname()[1])
    yield numbers
