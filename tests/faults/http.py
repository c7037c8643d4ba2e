"""Requests to the engine's API over its socket, with a timeout."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except BaseException:
            self.sock.close()
            raise


def ask(path: Path, method: str, target: str, *, timeout_s: float) -> tuple[int, bytes]:
    """Send a request to the engine on the socket `path`. Returns status and body. Raises OSError."""
    connection = _Connection(path, timeout_s)
    try:
        connection.request(method, target, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {target}: {error!r}") from error
    finally:
        connection.close()


def listing(path: Path, target: str, *, timeout_s: float) -> Any:
    """The engine's JSON answer to GET. Raises OSError, or AssertionError for another status than 200."""
    status, body = ask(path, "GET", target, timeout_s=timeout_s)
    assert status == 200, f"GET {target}: {status} {body[:500]!r}"
    return json.loads(body)


def answers(path: Path, *, timeout_s: float) -> bool:
    """Whether the engine answers a ping on this socket."""
    try:
        return ask(path, "GET", "/_ping", timeout_s=timeout_s)[0] == 200
    except OSError:
        return False


@contextlib.contextmanager
def stream(path: Path, target: str, *, timeout_s: float) -> Iterator[http.client.HTTPResponse]:
    """GET an endless answer, which can be read during the block. Raises OSError."""
    connection = _Connection(path, timeout_s)
    try:
        connection.request("GET", target)
        yield connection.getresponse()
    except http.client.HTTPException as error:
        raise ConnectionError(f"GET {target}: {error!r}") from error
    finally:
        connection.close()
