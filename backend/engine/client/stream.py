"""An endless answer of the engine. Part of `engine_client.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import requests
import urllib3

from backend.engine.client.answers import NOT_UNDERSTOOD, not_understood
from backend.engine.types import clean_text
from backend.errors import ProblemCode, WherryError, fail
from backend.messages import message

_BLOCK_BYTES: Final = 65_536
_BROKEN: Final = (OSError, ValueError, AttributeError, urllib3.exceptions.HTTPError)
"""Errors of docker-py and urllib3 when a connection breaks or is closed while they read."""
_Result = TypeVar("_Result")


class EngineStream(Iterator[_Result]):
    """An endless answer. Iterate in one thread; `close()` from any thread ends the iteration without an error."""

    def __init__(
        self,
        response: requests.Response,
        items: Callable[[Iterator[bytes]], Iterator[_Result]],
        command: str,
        blocks: Iterator[bytes] | None = None,
    ):
        self._response = response
        self._command = command
        self._closed = False
        self._items = items(self._received(self._blocks() if blocks is None else blocks))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Result:
        """Wait for the next item.

        Raises:
            StopIteration: the engine ended the answer, or `close` was called.
            WherryError: ENGINE_DOWN, the connection broke; ENGINE_ERROR, the data was invalid.
        """
        try:
            return next(self._items)
        except StopIteration:
            raise
        except OSError as error:
            if self._closed:
                raise StopIteration from None
            raise down(self._command, error) from error
        except NOT_UNDERSTOOD as error:
            if self._closed:
                raise StopIteration from None
            raise not_understood(self._command, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream and wake the thread that reads it. Idempotent."""
        self._closed = True
        with contextlib.suppress(*_BROKEN, RuntimeError):
            self._response.raw.shutdown()

    def release(self) -> None:
        """Free the connection. MUST be called in the reading thread, after the iteration."""
        self._closed = True
        with contextlib.suppress(*_BROKEN):
            self._response.close()

    def _received(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks; converts connection errors, so that they are not mistaken for invalid data."""
        try:
            yield from blocks
        except _BROKEN as error:
            if not self._closed:
                raise down(self._command, error) from error

    def _blocks(self) -> Iterator[bytes]:
        raw = self._response.raw
        if raw.chunked:
            # Yields each chunk as it arrives; read(n) would wait for n bytes.
            yield from raw.stream(_BLOCK_BYTES, decode_content=False)
            return
        while block := raw.read1(_BLOCK_BYTES):
            yield block


def down(command: str, error: Exception) -> WherryError:
    """The error for a call that got no answer: ENGINE_SLOW when its time ran out, else ENGINE_DOWN.

    An engine that is slow is not an engine that is gone, so the first does not advise a restart.
    """
    late = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    # While a body is read, requests wraps urllib3's timeout in an error of the connection.
    if isinstance(error, late) or (error.args and isinstance(error.args[0], late)):
        return fail(
            ProblemCode.ENGINE_SLOW,
            message("The Docker engine is still busy with this request."),
            command=command,
            hint=message("It may finish later. Wait a moment, then check the result or try again."),
            retryable=True,
        )
    return fail(
        ProblemCode.ENGINE_DOWN,
        message("The Docker engine can't be reached."),
        command=command,
        tail=(clean_text(str(error), 300),),
        hint=message("Check that the machine is running. If it is, restart it."),
        retryable=True,
    )
