"""One line of cells, and the same in runs of one style, as it is kept and drawn. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pyte.screens import Char, StaticDefaultDict, wcwidth

Line = StaticDefaultDict[int, Char]


class StyledRun(NamedTuple):
    """Neighbouring cells of one style, as the scrollback keeps them."""

    text: str
    style: Char


class HistoryLine(NamedTuple):
    """A line that left the screen at its top."""

    runs: tuple[StyledRun, ...]
    wrapped: bool
    """Whether the next line goes on with it."""


def set_wrapped(line: Line, *, wrapped: bool) -> None:
    """Note whether the next line goes on with this one."""
    # On the line itself, for it moves from row to row.
    vars(line)["wrapped"] = wrapped


def is_wrapped(line: Line | None) -> bool:
    """Whether the next line goes on with this one."""
    return bool(getattr(line, "wrapped", False))


def runs_of(line: Line | None, columns: int) -> tuple[StyledRun, ...]:
    """A line's cells up to the last that was written, in runs whose text is as wide as they are."""
    if not line:
        return ()
    blank = line.default
    cells = [line.get(x, blank) for x in range(min(max(line) + 1, columns))]
    whole = "".join([cell[0] for cell in cells])
    if whole.isascii() and len(whole) == len(cells) and len({cell[1:] for cell in cells}) == 1:
        return (StyledRun(whole, cells[0]),)
    runs: list[StyledRun] = []
    letters: list[str] = []
    style: Char | None = None
    after_wide = False
    for x, plain in enumerate(cells):
        cell, data = plain, plain.data
        if not data.isascii() or not data:
            # Half of a wide letter that was written over is a blank: the text's width is that of its cells.
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
