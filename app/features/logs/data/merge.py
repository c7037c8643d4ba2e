"""The lines of several containers in one order: that of their times, as far as waiting for it makes sense.

Each container's own lines keep their order, whatever times they have. Between containers a line is let go when nothing
earlier can be expected: every container that is pouring lines has come further, or is quiet. No line is held longer
than `HOLD_S`, nor more than `HOLD_LINES` of them; one that comes later still is put where it comes.
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
"""Lines of one moment reach us over several connections within such a time."""
QUIET_S: Final = 0.25
"""A container that has sent nothing for so long is not waited for."""
HOLD_S: Final = 2.0
HOLD_LINES: Final = 100_000


@dataclass(slots=True)
class _Source:
    last_key: bytes = b""
    last_at: float = 0.0
    answered: bool = False


class Merger:
    """Pure: the clock is the caller's."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._pending: list[tuple[bytes, int]] = []
        self._pushes: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        """How many lines are held."""
        return len(self._pending)

    def open(self, source: int, now: float) -> None:
        """Lines of `source` are asked for: it is waited for."""
        known = self._sources.setdefault(source, _Source())
        known.answered, known.last_at = False, now

    def end(self, source: int) -> None:
        """No more lines of `source` for now."""
        if (known := self._sources.get(source)) is not None:
            known.answered, known.last_at = True, 0.0

    def push(self, source: int, keys: Sequence[bytes], entries: Sequence[int], now: float) -> None:
        """Take lines. `keys`: their times, which compare as bytes; empty for a line without one."""
        if not keys:
            return
        known = self._sources.setdefault(source, _Source())
        if keys[0] < known.last_key or any(map(bytes.__gt__, keys, keys[1:])):
            keys = list(accumulate(keys, max, initial=known.last_key))[1:]
        known.last_key, known.last_at, known.answered = keys[-1], now, True
        self._pending.extend(zip(keys, entries, strict=True))
        self._pushes.append((now, known.last_key))

    def take(self, now: float) -> list[int]:
        """The entries whose turn has come."""
        if not self._pending:
            self._pushes.clear()
            return []
        limit = self._limit(now)
        # Equal times: in the order in which they came, which is that of the entries.
        self._pending.sort()
        count = bisect_right(self._pending, limit, key=itemgetter(0))
        if len(self._pending) - count > HOLD_LINES:
            count = len(self._pending) // 2
        taken = [entry for _, entry in self._pending[:count]]
        del self._pending[:count]
        return taken

    def _limit(self, now: float) -> bytes:
        """Lines up to this time may go."""
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
