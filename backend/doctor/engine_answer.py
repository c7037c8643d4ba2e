"""One question to the engine at our endpoint, on the shortest way: without the client library."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from backend.engine.engine_json import engine_source
from backend.errors import ProblemCode, fail
from backend.host.base import Host
from backend.http_exchange import HttpExchange, HttpResponse, InvalidResponse, fetch_blocking
from backend.json_reader import NotUnderstood, decode
from backend.messages import message

_TIMEOUT_S: Final = 15.0
_MAX_BYTES: Final = 262_144


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
    try:
        connection = host.connect_blocking(endpoint, timeout_s=_TIMEOUT_S)
        try:
            exchange = HttpExchange("GET", "/version", {"Host": "docker"})
            response = fetch_blocking(connection, exchange, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES)
        finally:
            connection.close()
    except (OSError, InvalidResponse) as error:
        raise _down(endpoint, _plain(str(getattr(error, "strerror", None) or error))[:300]) from error
    return read_answer(response, endpoint, seconds=time.monotonic() - begun, now=time.time())


def read_answer(response: HttpResponse, endpoint: Path, *, seconds: float, now: float) -> EngineAnswer:
    """Read the answer to `GET /version`. Raises as `ask_engine`.

    Args:
        response: as it came.
        endpoint: where from, for the message.
        seconds: how long it took.
        now: this computer's time when it had come, in seconds since the epoch.
    """
    try:
        content = decode(response.untrusted_body, engine_source("docker version")).object()
        said = content.text("message")
        version = content.text("Version")
    except NotUnderstood as error:
        why = error.problem.tail[0] if response.status == 200 else f"it answers {response.status} {response.reason}"
        raise _down(endpoint, _plain(why)[:300]) from error
    if response.status != 200:
        raise _down(endpoint, _plain(said or f"it answers {response.status} {response.reason}")[:300])
    ahead = None
    with contextlib.suppress(KeyError, ValueError, OverflowError, TypeError):
        ahead = parsedate_to_datetime(response.headers["date"]).timestamp() - (now - seconds / 2)
    return EngineAnswer(version=_plain(version or "?")[:60], seconds=seconds, clock_ahead_s=ahead)


def _plain(untrusted: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in untrusted).strip()


def _down(endpoint: Path, why: str) -> Exception:
    return fail(
        ProblemCode.ENGINE_DOWN,
        message("The Docker engine doesn't respond on {path}: {error}.", path=endpoint, error=why),
        hint=message("Check its log (wherry logs engine), or restart it: wherry restart --engine"),
        retryable=True,
    )
