"""A window over the rows of a log: which line is at the top, and how it moves. Knows rows, not pixels.

Where lines wrap, a line has several rows, and nobody knows how many rows there are in all: that would mean to lay out
every line. So the scroll bar counts lines, and rows are only counted around the place that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from app.features.logs.view.rows import ShownLines


class Scroller:
    """Holds the top: a line's number, and how many of its rows are above the edge."""

    def __init__(self, shown: ShownLines, rows_of: Callable[[int], int]) -> None:
        """
        Args:
            rows_of: how many rows a line has, by its number.
        """
        self._shown = shown
        self._rows_of = rows_of
        self.number = 0
        self.row = 0
        self.page = 1
        """Rows that are wholly visible."""
        self.follows = True
        """Whether the last line stays in sight."""

    @property
    def position(self) -> int:
        """The top line's, in `ShownLines`."""
        return self._shown.position(self.number)

    def settle(self) -> None:
        """Bring the top to where it may be, after lines came or went, or the size changed."""
        shown = self._shown
        if not shown.count:
            self.number, self.row = shown.first, 0
            return
        bottom = self.bottom()
        if self.follows:
            self.number, self.row = shown.number(bottom[0]), bottom[1]
            return
        at = min(shown.position(self.number), shown.count - 1)
        number = shown.number(at)
        if number != self.number:
            self.number, self.row = number, 0
        self.row = min(self.row, self._rows_of(number) - 1)
        if (at, self.row) > bottom:
            self.number, self.row = shown.number(bottom[0]), bottom[1]

    def bottom(self) -> tuple[int, int]:
        """Position and row of the top when the last row is just in sight."""
        left = self.page
        at = self._shown.count
        while at > 0:
            at -= 1
            rows = self._rows_of(self._shown.number(at))
            if rows >= left:
                return at, rows - left
            left -= rows
        return 0, 0

    def is_at_bottom(self) -> bool:
        """Whether the last row is in sight."""
        return not self._shown.count or (self.position, self.row) >= self.bottom()

    def scroll(self, rows: int) -> None:
        """Move down, or up by a negative number. Coming to the end is following."""
        shown = self._shown
        if not shown.count or not rows:
            return
        at, row = min(self.position, shown.count - 1), self.row + rows
        while row < 0 and at > 0:
            at -= 1
            row += self._rows_of(shown.number(at))
        row = max(0, row)
        while row >= (height := self._rows_of(shown.number(at))) and at + 1 < shown.count:
            row -= height
            at += 1
        self._go(at, min(row, self._rows_of(shown.number(at)) - 1))

    def go_to_position(self, position: int) -> None:
        """Bring a line to the top."""
        if self._shown.count:
            self._go(max(0, min(position, self._shown.count - 1)), 0)

    def go_to_end(self) -> None:
        """Follow."""
        self.follows = True
        self.settle()

    def show(self, number: int, row: int = 0) -> None:
        """Scroll, if need be, until a row of a line is in sight, with some around it."""
        shown = self._shown
        if not shown.count:
            return
        at = shown.position(number)
        left = self.page
        seen, first_row = min(self.position, shown.count - 1), self.row
        while left > 0 and seen < shown.count:
            rows = self._rows_of(shown.number(seen)) - first_row
            if seen == at:
                if first_row <= row < first_row + min(rows, left):
                    return
                break
            left -= rows
            first_row = 0
            seen += 1
        self.number, self.row = number, row
        self.follows = False
        self.scroll(-(self.page // 3) or -1)

    def _go(self, at: int, row: int) -> None:
        bottom = self.bottom()
        self.follows = (at, row) >= bottom
        if self.follows:
            at, row = bottom
        self.number, self.row = self._shown.number(at), row
