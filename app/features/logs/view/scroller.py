"""Scrolling over the rows of a log: which line is at the top, and how it moves. Knows rows, not pixels.

A wrapped line has several rows, and their total number is not known, because that would require a layout of every line.
So the scroll bar counts lines, and rows are counted only near the visible part.
"""

from __future__ import annotations

from collections.abc import Callable

from app.features.logs.view.rows import ShownLines


class Scroller:
    """Holds the topmost line's number, and how many of its rows are above the edge."""

    def __init__(self, shown: ShownLines, rows_of: Callable[[int], int]) -> None:
        """Start at the end.

        Args:
            shown: the lines.
            rows_of: returns the number of rows of a line, by its number.
        """
        self._shown = shown
        self._rows_of = rows_of
        self.number = 0
        self.row = 0
        self.page = 1
        """Number of completely visible rows."""
        self.follows = True
        """Whether to follow new lines."""

    @property
    def position(self) -> int:
        """Position of the top line in `ShownLines`."""
        return self._shown.position(self.number)

    def normalise(self) -> None:
        """Correct the top after lines were added or dropped, or the size has changed."""
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
        """Position and row of the top when the last row is just visible."""
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
        """Whether the last row is visible."""
        return not self._shown.count or (self.position, self.row) >= self.bottom()

    def scroll(self, rows: int) -> None:
        """Scroll down by rows; negative: up. Reaching the end turns following on."""
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
        """Scroll a line to the top."""
        if self._shown.count:
            self._go(max(0, min(position, self._shown.count - 1)), 0)

    def go_to_end(self) -> None:
        """Scroll to the end and follow."""
        self.follows = True
        self.normalise()

    def show(self, number: int, row: int = 0) -> None:
        """Scroll, if needed, until a row of a line is visible with some rows around it."""
        shown = self._shown
        if not shown.count:
            return
        at = shown.position(number)
        left = self.page
        position, first_row = min(self.position, shown.count - 1), self.row
        while left > 0 and position < shown.count:
            rows = self._rows_of(shown.number(position)) - first_row
            if position == at:
                if first_row <= row < first_row + min(rows, left):
                    return
                break
            left -= rows
            first_row = 0
            position += 1
        self.number, self.row = number, row
        self.follows = False
        self.scroll(-(self.page // 3) or -1)

    def _go(self, at: int, row: int) -> None:
        bottom = self.bottom()
        self.follows = (at, row) >= bottom
        if self.follows:
            at, row = bottom
        self.number, self.row = self._shown.number(at), row
