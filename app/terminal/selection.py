"""Selection of a terminal's text. Line numbers count scrollback and screen together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.terminal.screen import Screen

_WORD_MARKS = "_-./~:@%+=?&#"


class CellPosition(NamedTuple):
    """A position between letters."""

    line: int
    """Line number in the whole text, as counted by `Screen.pushed`."""
    column: int


@dataclass(frozen=True, slots=True)
class TerminalSelection:
    """A selection from its anchor to the current position."""

    anchor: CellPosition
    head: CellPosition

    def to(self, head: CellPosition) -> TerminalSelection:
        """The same with another end."""
        return TerminalSelection(self.anchor, head)

    def columns(self, line: int, width: int) -> tuple[int, int] | None:
        """The selected columns of a line; None when nothing is selected."""
        first, last = sorted((self.anchor, self.head))
        if first == last or not first.line <= line <= last.line:
            return None
        start = first.column if line == first.line else 0
        stop = last.column if line == last.line else width
        return (start, stop) if stop > start else None


def line_cells(screen: Screen, number: int) -> list[str]:
    """The cells of a line, with "" for the second cell of a wide letter; empty for a line that was removed."""
    if number >= screen.pushed:
        line = screen.buffer.get(number - screen.pushed)
        return [line[x].data for x in range(min(max(line) + 1, screen.columns))] if line else []
    at = number - (screen.pushed - len(screen.history))
    if not 0 <= at < len(screen.history):
        return []
    cells: list[str] = []
    from app.terminal.picture import split_cells

    for run in screen.history[at].runs:
        for letters, width in split_cells(run.text):
            cells.append(letters)
            cells.extend([""] * (width - 1))
    return cells


def _goes_on(screen: Screen, number: int) -> bool:
    if number >= screen.pushed:
        return screen.is_wrapped(number - screen.pushed)
    at = number - (screen.pushed - len(screen.history))
    return 0 <= at < len(screen.history) and screen.history[at].wrapped


def text_of(screen: Screen, selection: TerminalSelection) -> str:
    """The selected text; lines wrapped only because of the terminal's width are joined."""
    first, last = sorted((selection.anchor, selection.head))
    parts: list[str] = []
    oldest = screen.pushed - len(screen.history)
    for number in range(max(first.line, oldest), min(last.line, screen.pushed + screen.lines - 1) + 1):
        chosen = selection.columns(number, screen.columns)
        words = "".join(line_cells(screen, number)[chosen[0] : chosen[1]]) if chosen else ""
        if _goes_on(screen, number):
            parts.append(words)
        else:
            parts.append(words.rstrip() + ("\n" if number < last.line else ""))
    return "".join(parts)


def word_at(screen: Screen, place: CellPosition) -> TerminalSelection:
    """The word, path or address at a position."""
    cells = line_cells(screen, place.line)

    def belongs(column: int) -> bool:
        return column < len(cells) and all(letter.isalnum() or letter in _WORD_MARKS for letter in cells[column])

    first = stop = place.column
    if belongs(place.column):
        while first > 0 and belongs(first - 1):
            first -= 1
        while belongs(stop):
            stop += 1
    else:
        stop += 1
    return TerminalSelection(CellPosition(place.line, first), CellPosition(place.line, stop))
