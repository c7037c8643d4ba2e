"""An event loop with virtual time, and scripted streams in memory.

Time advances only when no task is ready, so that a deadline of an hour passes at once. A hang is detected with
certainty: all tasks wait, and no timer is left.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

LONGEST_S = 24 * 3600.0
"""Time limit of a run, in virtual seconds."""


class HangError(AssertionError):
    """All tasks wait, and no timer is left."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise HangError("everything waits, and no deadline is left")
        self.now += max(timeout, 1e-6)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.defects: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, what: self.defects.append(what))

    def time(self) -> float:
        return self._virtual.now

    def play(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine. Raises its exception, HangError, or AssertionError for tasks left or unhandled errors."""

        async def whole() -> None:
            async with asyncio.timeout(LONGEST_S):
                await work
            for _ in range(20):
                if len(asyncio.all_tasks()) == 1:
                    break
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"

        self.defects.clear()
        self.run_until_complete(whole())
        assert not self.defects, self.defects


class Scripted:
    """A ByteStream that returns scripted data and records what is written."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        ending: str = "eof",
        wait_for_write: bool = False,
        write_fails_after: int | None = None,
        pause_s: float = 0.0,
    ) -> None:
        """
        Args:
            pieces: results of `read`, in order.
            ending: what follows: "eof", "reset", or "silence" until the stream is closed.
            wait_for_write: whether the first read waits for a write, as an engine does.
            write_fails_after: number of bytes after which writing fails.
            pause_s: delay before each piece.
        """
        self._pieces = list(reversed([piece for piece in pieces if piece]))
        self._ending = ending
        self._written_to = asyncio.Event()
        self._closed_event = asyncio.Event()
        if not wait_for_write:
            self._written_to.set()
        self._fails_after = write_fails_after
        self._pause_s = pause_s
        self.closed = False
        self.read_bytes = 0
        self.written = bytearray()
        self.ended = False

    async def read(self, max_bytes: int = 262_144) -> bytes:
        if not self._written_to.is_set():
            await self._first_of(self._written_to)
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        if self.closed:
            raise ConnectionResetError("closed on this side")
        if not self._pieces:
            if self._ending == "reset":
                raise ConnectionResetError("the peer broke off")
            if self._ending == "silence":
                await self._closed_event.wait()
                raise ConnectionResetError("closed on this side")
            return b""
        piece = self._pieces.pop()
        if len(piece) > max_bytes:
            self._pieces.append(piece[max_bytes:])
            piece = piece[:max_bytes]
        self.read_bytes += len(piece)
        await asyncio.sleep(0)
        return piece

    async def _first_of(self, event: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._closed_event.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)

    async def write(self, data: bytes) -> None:
        if self.closed or self.ended:
            raise BrokenPipeError("closed")
        self.written += data
        self._written_to.set()
        if self._fails_after is not None and len(self.written) > self._fails_after:
            raise BrokenPipeError("the peer reads no more")
        await asyncio.sleep(0)

    async def write_eof(self) -> None:
        self.ended = True
        self._written_to.set()

    async def aclose(self) -> None:
        self.closed = True
        self._closed_event.set()

    def peer_is_gone(self) -> bool:
        return self._ending == "reset" and not self._pieces


def virtual(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a new VirtualLoop."""
    loop = VirtualLoop()
    try:
        loop.play(work())
    finally:
        loop.close()
