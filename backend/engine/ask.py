"""Requests of the agent to the engine: a short request on a new stream, with the whole answer or a stream of objects.

Failures are raised as Problems; `backend.http_exchange` implements HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final

from backend.engine.engine_json import engine_source, read_answer, refusal
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
from backend.json_reader import Json, JsonLines, JsonObject
from backend.messages import message
from backend.stream import ByteStream, Dial

ANSWER_BYTES: Final = 67_108_864
_ANSWER_S: Final = 30.0
_HEADERS: Final = {"Host": "docker"}


async def ask(
    dial: Dial, method: str, target: str, *, timeout_s: float = _ANSWER_S, limit_bytes: int = ANSWER_BYTES
) -> tuple[int, bytes]:
    """Send a request without a body. Returns the status and the body of the answer.

    Args:
        dial: opens a stream to the engine.
        method: as in "GET".
        target: path and query, without the API's version.
        timeout_s: deadline for everything, in seconds.
        limit_bytes: size limit of the answer.

    Raises:
        WherryError: ENGINE_SLOW when it does not answer in time, ENGINE_DOWN when it closes the connection;
            ENGINE_ERROR when its answer is not HTTP or too long; errors of `dial`.
    """
    exchange = _exchange(method, target)
    with _problems(exchange, timeout_s):
        async with asyncio.timeout(timeout_s), _dialled(dial) as stream:
            response = await fetch(stream, exchange, timeout_s=timeout_s, max_bytes=limit_bytes)
    return response.status, response.untrusted_body


@contextlib.asynccontextmanager
async def follow(dial: Dial, target: str, *, timeout_s: float = _ANSWER_S) -> AsyncIterator[AsyncIterator[JsonObject]]:
    """GET a target with an endless answer, and yield the JSON objects in it while the block lasts.

    Entering the block waits for the head of the answer: events after that moment are among the objects.

    Args:
        dial: opens a stream to the engine.
        target: path and query, without the API's version.
        timeout_s: deadline for the head, in seconds; there is none for the objects.

    Raises:
        WherryError: as `ask`; ENGINE_ERROR with the engine's message when it refuses, and for invalid JSON.
    """
    exchange = _exchange("GET", target)
    async with contextlib.AsyncExitStack() as stack:
        with _problems(exchange, timeout_s):
            async with asyncio.timeout(timeout_s):
                stream = await stack.enter_async_context(_dialled(dial))
                response = await open_response(stream, exchange, timeout_s=timeout_s)
                if response.head.status != 200:
                    raise _refused(response.head.status, await response.read(), exchange.what)
        yield await stack.enter_async_context(contextlib.aclosing(_objects(response, exchange)))


async def _objects(response: StreamedResponse, exchange: HttpExchange) -> AsyncGenerator[JsonObject, None]:
    lines = JsonLines(engine_source(exchange.what))
    while True:
        with _problems(exchange):
            data = await response.read()
        if not data:
            return
        for item in lines.feed(data):
            yield item


async def answers_ping(stream: ByteStream, *, timeout_s: float) -> bool:
    """Whether an engine answers on the stream within the time. The stream cannot be used afterwards.

    The engine accepts connections before it serves them and answers when it is ready, so there is no need to retry.

    Raises:
        ConnectionError: the connection broke.
    """
    try:
        response = await fetch(stream, _exchange("GET", "/_ping"), timeout_s=timeout_s, max_bytes=65_536)
    except (TimeoutError, InvalidResponse, IncompleteResponse):
        return False
    return response.status == 200


async def ask_json(dial: Dial, target: str, *, timeout_s: float = _ANSWER_S) -> Json | None:
    """GET a target and return the JSON answer; None for a 404.

    Raises:
        WherryError: as `ask`; ENGINE_ERROR with the engine's message for any other status, and for invalid JSON.
    """
    status, body = await ask(dial, "GET", target, timeout_s=timeout_s)
    if status == 404:
        return None
    if status == 200:
        return read_answer(body, f"GET {target}")
    raise _refused(status, body, f"GET {target}")


def _exchange(method: str, target: str) -> HttpExchange:
    try:
        return HttpExchange(method, target, _HEADERS)
    except ValueError as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("The request to the Docker engine isn't valid: {error}.", error=str(error)),
            command=f"{method} {target}",
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
    """Convert the errors of an exchange into Problems."""
    try:
        yield
    except TimeoutError as error:
        # Slow is not gone: whether the engine answers at all is for the watchdog to say.
        raise fail(
            ProblemCode.ENGINE_SLOW,
            message("The Docker engine is still busy with this request after {seconds:g} s.", seconds=timeout_s),
            command=exchange.what,
            hint=message("It may finish later. Wait a moment, then check the result or try again."),
            retryable=True,
        ) from error
    except IncompleteResponse as error:
        raise fail(
            ProblemCode.ENGINE_DOWN,
            message("The Docker engine closed the connection before answering."),
            command=exchange.what,
            retryable=True,
        ) from error
    except ConnectionError as error:
        raise fail(
            ProblemCode.ENGINE_DOWN,
            message("The connection to the Docker engine was lost: {error}.", error=str(error)),
            command=exchange.what,
            retryable=True,
        ) from error
    except ResponseTooLong as error:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("The Docker engine's answer is too long."),
            command=exchange.what,
            tail=(str(error),),
        ) from error
    except InvalidResponse as error:
        raise fail(
            ProblemCode.ENGINE_ERROR,
            message("The Docker engine's answer wasn't understood."),
            command=exchange.what,
            tail=(clean_text(str(error), 300),),
            hint=message("Restart it: wherry restart --engine"),
            retryable=True,
        ) from error


def _refused(status: int, untrusted_body: bytes, command: str) -> WherryError:
    return fail(
        ProblemCode.ENGINE_ERROR,
        message("The Docker engine refused ({status}): {reason}.", status=status, reason=refusal(untrusted_body)),
        command=command,
    )
