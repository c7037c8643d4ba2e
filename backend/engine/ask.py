"""One question to the engine over a stream of its own, for the agent's needs: a short request, the whole answer.

HTTP/1.0, so that the engine answers without chunks and closes: nothing is left to be framed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from backend.engine.types import clean_text
from backend.errors import ProblemCode, fail
from backend.stream import ByteStream

Dial = Callable[[], Awaitable[ByteStream]]

ANSWER_BYTES: Final = 67_108_864
_ANSWER_S: Final = 30.0


async def ask(
    dial: Dial, method: str, target: str, *, timeout_s: float = _ANSWER_S, limit_bytes: int = ANSWER_BYTES
) -> tuple[int, bytes]:
    """Send a request without a body; return the status and the body of the answer.

    Args:
        dial: opens a stream to the engine.
        method: as in "GET".
        target: path and query, without the API's version.
        timeout_s: for all of it.
        limit_bytes: the longest answer.

    Raises:
        WherryError: ENGINE_DOWN when it does not answer in time, or breaks off; ENGINE_ERROR when its answer is no
            HTTP or too long; what `dial` raises.
    """
    what = f"{method} {target}"
    try:
        async with asyncio.timeout(timeout_s):
            stream = await dial()
            try:
                await stream.write(f"{method} {target} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
                answer = bytearray()
                while chunk := await stream.read():
                    answer += chunk
                    if len(answer) > limit_bytes:
                        raise fail(ProblemCode.ENGINE_ERROR, "The engine's answer is too long.", command=what)
            finally:
                with contextlib.suppress(ConnectionError):
                    await stream.aclose()
    except TimeoutError as error:
        raise fail(
            ProblemCode.ENGINE_DOWN,
            f"The engine did not answer within {timeout_s:g} s.",
            command=what,
            hint="Restart it with: wherry restart --engine",
            retryable=True,
        ) from error
    except ConnectionError as error:
        raise fail(
            ProblemCode.ENGINE_DOWN, f"The engine broke off its answer: {error}.", command=what, retryable=True
        ) from error
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if not separator or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise fail(ProblemCode.ENGINE_DOWN, "The engine ended before it answered.", command=what, retryable=True)
    return int(words[1]), body


async def ask_json(dial: Dial, target: str, *, timeout_s: float = _ANSWER_S) -> Any:
    """GET a target and return what it answers, as JSON; None for a 404.

    Raises:
        WherryError: as `ask`; ENGINE_ERROR with the engine's words for any other status.
    """
    status, body = await ask(dial, "GET", target, timeout_s=timeout_s)
    if status == 404:
        return None
    if status == 200:
        try:
            return json.loads(body)
        except ValueError as error:
            raise fail(ProblemCode.ENGINE_ERROR, "The engine's answer is no JSON.", command=f"GET {target}") from error
    raise fail(ProblemCode.ENGINE_ERROR, f"The engine does not tell: {reason(body)}.", command=f"GET {target}")


def reason(untrusted_body: bytes) -> str:
    """The engine's words in an answer that refuses."""
    try:
        said = json.loads(untrusted_body)
    except ValueError:
        said = None
    text = said.get("message") if isinstance(said, dict) else None
    return clean_text(str(text or "the engine gave no reason"), 300).rstrip(".")
