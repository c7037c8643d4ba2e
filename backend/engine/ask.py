"""Asking the engine over a stream of its own, for the agent's needs: a short request, the whole answer or its lines.

What goes wrong is told as Problems; `backend.http_exchange` speaks the HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from backend.engine.types import clean_text
from backend.errors import ProblemCode, WherryError, fail
from backend.http_exchange import (
    HttpExchange,
    IncompleteResponse,
    InvalidResponse,
    ResponseTooLong,
    StreamedResponse,
    fetch,
    open_response,
)
from backend.stream import ByteStream

Dial = Callable[[], Awaitable[ByteStream]]

ANSWER_BYTES: Final = 67_108_864
MAX_LINE_BYTES: Final = 1_048_576
_ANSWER_S: Final = 30.0
_HEADERS: Final = {"Host": "docker"}


async def ask(
    dial: Dial, method: str, target: str, *, timeout_s: float = _ANSWER_S, limit_bytes: int = ANSWER_BYTES
) -> tuple[int, bytes]:
    """Send a request without a body; return the status and the body of the answer.

    Args:
        dial: opens a stream to the engine.
        method: as in "GET".
        target: path and query, without the API's version.
        timeout_s: for all of it, in seconds.
        limit_bytes: the longest answer.

    Raises:
        WherryError: ENGINE_DOWN when it does not answer in time, or breaks off; ENGINE_ERROR when its answer is no
            HTTP or too long; what `dial` raises.
    """
    exchange = _exchange(method, target)
    with _problems(exchange, timeout_s):
        async with asyncio.timeout(timeout_s), _dialled(dial) as stream:
            response = await fetch(stream, exchange, timeout_s=timeout_s, max_bytes=limit_bytes)
    return response.status, response.untrusted_body


@contextlib.asynccontextmanager
async def follow(
    dial: Dial, target: str, *, timeout_s: float = _ANSWER_S, line_bytes: int = MAX_LINE_BYTES
) -> AsyncIterator[AsyncIterator[bytes]]:
    """GET a target whose answer has no end, and give its lines as they come, while the block lasts.

    Entering the block waits for the head of the answer: what the engine tells of after that is among the lines.

    Args:
        timeout_s: until the head has come, in seconds; a line may take any time.
        line_bytes: the longest line.

    Raises:
        WherryError: as `ask`; ENGINE_ERROR with the engine's words when it refuses.
    """
    exchange = _exchange("GET", target)
    async with contextlib.AsyncExitStack() as stack:
        with _problems(exchange, timeout_s):
            async with asyncio.timeout(timeout_s):
                stream = await stack.enter_async_context(_dialled(dial))
                response = await open_response(stream, exchange, timeout_s=timeout_s)
                if response.head.status != 200:
                    raise _refused(response.head.status, await response.read(), exchange.what)
        yield _lines(response, exchange, line_bytes)


async def _lines(response: StreamedResponse, exchange: HttpExchange, line_bytes: int) -> AsyncIterator[bytes]:
    rest = b""
    while True:
        with _problems(exchange):
            data = await response.read()
            *whole, rest = (rest + data).split(b"\n")
            if len(rest) > line_bytes:
                raise ResponseTooLong(f"a line is longer than {line_bytes} bytes")
        if not data:
            return
        for line in whole:
            if line.strip():
                yield line


async def answers_ping(stream: ByteStream, *, timeout_s: float) -> bool:
    """Whether what the stream leads to answers as an engine does, in this time. The stream is used up.

    The engine accepts connections before it serves: the answer comes once it does, so nothing has to be asked twice.

    Raises:
        ConnectionError: the connection broke.
    """
    try:
        response = await fetch(stream, _exchange("GET", "/_ping"), timeout_s=timeout_s, max_bytes=65_536)
    except (TimeoutError, InvalidResponse, IncompleteResponse):
        return False
    return response.status == 200


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
    raise _refused(status, body, f"GET {target}")


def reason(untrusted_body: bytes) -> str:
    """The engine's words in an answer that refuses."""
    try:
        said = json.loads(untrusted_body)
    except ValueError:
        said = None
    text = said.get("message") if isinstance(said, dict) else None
    return clean_text(str(text or "the engine gave no reason"), 300).rstrip(".")


def _exchange(method: str, target: str) -> HttpExchange:
    try:
        return HttpExchange(method, target, _HEADERS)
    except ValueError as error:
        raise fail(
            ProblemCode.BAD_REQUEST, f"The engine cannot be asked for that: {error}.", command=f"{method} {target}"
        ) from error


@contextlib.asynccontextmanager
async def _dialled(dial: Dial) -> AsyncIterator[ByteStream]:
    stream = await dial()
    try:
        yield stream
    finally:
        with contextlib.suppress(ConnectionError):
            await stream.aclose()


@contextlib.contextmanager
def _problems(exchange: HttpExchange, timeout_s: float = 0.0) -> Iterator[None]:
    """Turn what goes wrong with an exchange into Problems."""
    try:
        yield
    except TimeoutError as error:
        raise fail(
            ProblemCode.ENGINE_DOWN,
            f"The engine did not answer within {timeout_s:g} s.",
            command=exchange.what,
            hint="Restart it with: wherry restart --engine",
            retryable=True,
        ) from error
    except IncompleteResponse as error:
        raise fail(
            ProblemCode.ENGINE_DOWN, "The engine ended before it answered.", command=exchange.what, retryable=True
        ) from error
    except ConnectionError as error:
        raise fail(
            ProblemCode.ENGINE_DOWN,
            f"The connection to the engine broke: {error}.",
            command=exchange.what,
            retryable=True,
        ) from error
    except ResponseTooLong as error:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            "The engine's answer is too long.",
            command=exchange.what,
            tail=(str(error),),
        ) from error
    except InvalidResponse as error:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            "The engine's answer was not understood.",
            command=exchange.what,
            tail=(clean_text(str(error), 300),),
            hint="Restart it with: wherry restart --engine",
            retryable=True,
        ) from error


def _refused(status: int, untrusted_body: bytes, command: str) -> WherryError:
    return fail(ProblemCode.ENGINE_ERROR, f"The engine refuses ({status}): {reason(untrusted_body)}.", command=command)
