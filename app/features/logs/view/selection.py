"""Selection in a log, over any number of lines. Pure."""

from __future__ import annotations

from typing import NamedTuple


class LogPosition(NamedTuple):
    """A position between two characters. Positions compare in text order."""

    number: int
    """Line number."""
    at: int
    """Offset in the line in UTF-16 units."""


class LogSelection:
    """A fixed anchor, and a cursor that moves."""

    def __init__(self) -> None:
        self.anchor: LogPosition | None = None
        self.cursor: LogPosition | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is selected."""
        return self.anchor is None or self.anchor == self.cursor

    @property
    def ends(self) -> tuple[LogPosition, LogPosition] | None:
        """First and last position; None without a selection."""
        if self.anchor is None or self.cursor is None or self.anchor == self.cursor:
            return None
        return min(self.anchor, self.cursor), max(self.anchor, self.cursor)

    def clear(self) -> None:
        """Clear selection and cursor."""
        self.anchor = self.cursor = None

    def set(self, anchor: LogPosition, cursor: LogPosition) -> None:
        """Select from one position to another."""
        self.anchor, self.cursor = anchor, cursor

    def extend(self, cursor: LogPosition) -> None:
        """Move the cursor; without an anchor, it becomes the anchor too."""
        self.anchor = cursor if self.anchor is None else self.anchor
        self.cursor = cursor

    def part(self, number: int, length: int) -> tuple[int, int] | None:
        """Start and end of the selected part of a line of `length`; None when nothing is selected."""
        if (ends := self.ends) is None:
            return None
        low, high = ends
        if not low.number <= number <= high.number:
            return None
        start = min(low.at, length) if number == low.number else 0
        stop = min(high.at, length) if number == high.number else length
        return (start, stop) if start < stop or number < high.number else None
