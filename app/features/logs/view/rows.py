"""The lines of a log that are shown: all from some number on, or those that match a search."""

from __future__ import annotations

from bisect import bisect_left

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.search import LogSearch


class ShownLines:
    """Maps positions, from 0 to before `count`, to line numbers. Both ends change as lines are added and dropped."""

    def __init__(self) -> None:
        self.buffer: LogBuffer | None = None
        self.start = 0
        """Lines before this number were hidden by the user."""
        self.search: LogSearch | None = None
        """Only its matches are shown; None: all lines."""

    @property
    def first(self) -> int:
        """Number of the oldest line that can be shown."""
        return max(self.start, self.buffer.first) if self.buffer else 0

    @property
    def count(self) -> int:
        """Number of shown lines."""
        if self.buffer is None:
            return 0
        if self.search is not None:
            return len(self.search.matches) - bisect_left(self.search.matches, self.first)
        return max(0, self.buffer.end - self.first)

    def number(self, position: int) -> int:
        """The line number at a position below `count`."""
        if self.search is not None:
            return self.search.matches[bisect_left(self.search.matches, self.first) + position]
        return self.first + position

    def position(self, number: int) -> int:
        """Position of a line, or of the next one if it is not shown: at most `count`."""
        if self.search is not None:
            base = bisect_left(self.search.matches, self.first)
            return max(0, bisect_left(self.search.matches, number) - base)
        return min(max(0, number - self.first), self.count)

    def numbers(self, low: int, high: int) -> list[int] | range:
        """The shown lines from number `low` to `high`, both included."""
        low = max(low, self.first)
        if self.search is not None:
            matches = self.search.matches
            return list(matches[bisect_left(matches, low) : bisect_left(matches, high + 1)])
        return range(low, min(high + 1, self.buffer.end if self.buffer else 0))
