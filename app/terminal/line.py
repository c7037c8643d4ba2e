"""A line of cells, and its conversion into runs of one style for storing and drawing. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pyte.screens import Char, StaticDefaultDict, wcwidth

Line = StaticDefaultDict[int, Char]


class StyledRun(NamedTuple):
    """Adjacent cells with the same style."""

    text: str
    style: Char


class HistoryLine(NamedTuple):
    """A line in the scrollback."""

    runs: tuple[StyledRun, ...]
    wrapped: bool
    """Whether the next line continues it."""


def set_wrapped(line: Line, *, wrapped: bool) -> None:
    """Store whether the next line continues this one."""
    # Stored in the line itself, because lines move between rows.
    vars(line)["wrapped"] = wrapped


def is_wrapped(line: Line | None) -> bool:
    """Whether the next line continues this one."""
    return bool(getattr(line, "wrapped", False))


def runs_of(line: Line | None, columns: int) -> tuple[StyledRun, ...]:
    """The cells up to the last written one, as runs; each run's text is as wide as its cells."""
    if not line:
        return ()
    blank = line.default
    cells = [line.get(x, blank) for x in range(min(max(line) + 1, columns))]
    text = "".join([cell[0] for cell in cells])
    if text.isascii() and len(text) == len(cells) and len({cell[1:] for cell in cells}) == 1:
        return (StyledRun(text, cells[0]),)
    runs: list[StyledRun] = []
    letters: list[str] = []
    style: Char | None = None
    after_wide = False
    for x, plain in enumerate(cells):
        cell, data = plain, plain.data
        if not data.isascii() or not data:
            # A wide letter that was half overwritten becomes a blank, to keep the width.
            wide = bool(data) and wcwidth(data[0]) == 2
            if (not data and not after_wide) or (wide and line.get(x + 1, blank).data):
                cell, wide = cell._replace(data=" "), False
            after_wide = wide
        else:
            after_wide = False
        if style is None or cell[1:] != style[1:]:
            if style is not None:
                runs.append(StyledRun("".join(letters), style))
            style, letters = cell, []
        letters.append(cell.data)
    if style is not None:
        runs.append(StyledRun("".join(letters), style))
    return tuple(runs)
