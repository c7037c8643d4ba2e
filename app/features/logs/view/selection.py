"""What is selected in a log: from one place to another, over any number of lines. Pure."""

from __future__ import annotations

from typing import NamedTuple


class LogPosition(NamedTuple):
    """Between two characters. Places compare as they follow each other."""

    number: int
    """Of the line."""
    at: int
    """UTF-16 units from the line's beginning."""


class LogSelection:
    """An anchor that stays, and a cursor that moves."""

    def __init__(self) -> None:
        self.anchor: LogPosition | None = None
        self.cursor: LogPosition | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is selected."""
        return self.anchor is None or self.anchor == self.cursor

    @property
    def ends(self) -> tuple[LogPosition, LogPosition] | None:
        """The first and the last place; None for nothing."""
        if self.anchor is None or self.cursor is None or self.anchor == self.cursor:
            return None
        return min(self.anchor, self.cursor), max(self.anchor, self.cursor)

    def clear(self) -> None:
        """Select nothing, and have no cursor."""
        self.anchor = self.cursor = None

    def set(self, anchor: LogPosition, cursor: LogPosition) -> None:
        """Select from one to the other."""
        self.anchor, self.cursor = anchor, cursor

    def extend(self, cursor: LogPosition) -> None:
        """Move the cursor; the anchor stays, or is there if there was none."""
        self.anchor = cursor if self.anchor is None else self.anchor
        self.cursor = cursor

    def part(self, number: int, length: int) -> tuple[int, int] | None:
        """Start and end of what is selected of a line of `length`; None for nothing of it."""
        if (ends := self.ends) is None:
            return None
        low, high = ends
        if not low.number <= number <= high.number:
            return None
        start = min(low.at, length) if number == low.number else 0
        stop = min(high.at, length) if number == high.number else length
        return (start, stop) if start < stop or number < high.number else None
