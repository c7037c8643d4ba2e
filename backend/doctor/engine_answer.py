"""One question to the engine at our endpoint, on the shortest way: no client library, no chunks."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, fail
from backend.host.base import Host

_TIMEOUT_S: Final = 15.0
_MAX_BYTES: Final = 262_144
_QUESTION: Final = b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n"
"""The old version of HTTP, whose answers end with the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """What came back."""

    version: str
    seconds: float
    """How long it took."""
    clock_ahead_s: float | None
    """How far the engine's clock is before ours, to the second; None: it did not say."""


def ask_engine(host: Host, endpoint: Path) -> EngineAnswer:
    """Ask for its version.

    Raises:
        WherryError: ENGINE_DOWN.
    """
    begun = time.monotonic()
    answer = bytearray()
    try:
        connection = host.connect_blocking(endpoint, timeout_s=_TIMEOUT_S)
        try:
            connection.sendall(_QUESTION)
            while len(answer) < _MAX_BYTES:
                left = begun + _TIMEOUT_S - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no whole answer within {_TIMEOUT_S:g} s")
                connection.settimeout(left)
                part = connection.recv(65_536)
                if not part:
                    break
                answer += part
        finally:
            connection.close()
    except OSError as error:
        raise _down(endpoint, str(error.strerror or error)) from error
    return read_answer(bytes(answer), endpoint, seconds=time.monotonic() - begun, now=time.time())


def read_answer(untrusted_answer: bytes, endpoint: Path, *, seconds: float, now: float) -> EngineAnswer:
    """Read a whole HTTP answer. Raises as `ask_engine`."""
    head, _, body = untrusted_answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")[1:2]
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if status != ["200"] or not isinstance(content, dict):
        said = content.get("message") if isinstance(content, dict) else None
        raise _down(endpoint, _plain(str(said or lines[0]))[:300] or "it answered nothing")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    ahead = None
    with contextlib.suppress(KeyError, ValueError, OverflowError, TypeError):
        ahead = parsedate_to_datetime(fields["date"]).timestamp() - (now - seconds / 2)
    return EngineAnswer(version=_plain(str(content.get("Version") or "?"))[:60], seconds=seconds, clock_ahead_s=ahead)


def _plain(untrusted: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in untrusted).strip()


def _down(endpoint: Path, why: str) -> Exception:
    return fail(
        ProblemCode.ENGINE_DOWN,
        f"The engine does not answer on {endpoint}: {why}.",
        hint="See its own words: wherry logs engine. Start it anew with: wherry restart --engine",
        retryable=True,
    )
