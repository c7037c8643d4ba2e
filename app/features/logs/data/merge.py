"""Merging the lines of several containers by time.

Each container's lines keep their order, whatever their times. A line is released when no earlier one is expected: every
active container has sent a later line, or is quiet. No line is held longer than `HOLD_S`, and no more than `HOLD_LINES`
are held; a line that arrives later is inserted out of order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Final

REORDER_S: Final = 0.15
"""Delay within which lines with the same time arrive over several connections."""
QUIET_S: Final = 0.25
"""A container that has sent nothing for this long is not waited for."""
HOLD_S: Final = 2.0
HOLD_LINES: Final = 100_000


@dataclass(slots=True)
class _Source:
    last_key: bytes = b""
    last_at: float = 0.0
    answered: bool = False


class Merger:
    """The merger. Pure: the caller passes the time."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._pending: list[tuple[bytes, int]] = []
        self._pushes: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        """Number of held lines."""
        return len(self._pending)

    def open(self, source: int, now: float) -> None:
        """Reading of `source` has started: wait for its lines."""
        known = self._sources.setdefault(source, _Source())
        known.answered, known.last_at = False, now

    def end(self, source: int) -> None:
        """Reading of `source` has ended."""
        if (known := self._sources.get(source)) is not None:
            known.answered, known.last_at = True, 0.0

    def push(self, source: int, keys: Sequence[bytes], entries: Sequence[int], now: float) -> None:
        """Add lines. `keys`: their times, compared as bytes; empty for a line without one."""
        if not keys:
            return
        known = self._sources.setdefault(source, _Source())
        if keys[0] < known.last_key or any(map(bytes.__gt__, keys, keys[1:])):
            keys = list(accumulate(keys, max, initial=known.last_key))[1:]
        known.last_key, known.last_at, known.answered = keys[-1], now, True
        self._pending.extend(zip(keys, entries, strict=True))
        self._pushes.append((now, known.last_key))

    def take(self, now: float) -> list[int]:
        """Remove and return the entries to release."""
        if not self._pending:
            self._pushes.clear()
            return []
        limit = self._limit(now)
        # Equal times: in order of arrival, which is the order of entries.
        self._pending.sort()
        count = bisect_right(self._pending, limit, key=itemgetter(0))
        if len(self._pending) - count > HOLD_LINES:
            count = len(self._pending) // 2
        released = [entry for _, entry in self._pending[:count]]
        del self._pending[:count]
        return released

    def _limit(self, now: float) -> bytes:
        """Lines up to this time may be released."""
        aged, overdue = b"", b""
        while self._pushes and now - self._pushes[0][0] >= HOLD_S:
            overdue = max(overdue, self._pushes.popleft()[1])
        for at, key in self._pushes:
            if now - at < REORDER_S:
                break
            aged = max(aged, key)
        aged = max(aged, overdue)
        frontiers = [
            known.last_key if known.answered else b""
            for known in self._sources.values()
            if now - known.last_at < (QUIET_S if known.answered else HOLD_S)
        ]
        return max(overdue, min(aged, *frontiers)) if frontiers else aged
