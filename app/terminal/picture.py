"""One row of cells to strokes of a painter. Every letter is drawn in its own cell, whatever font it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter
from pyte.screens import Char

from app.terminal.line import StyledRun
from app.terminal.palette import colours
from app.ui.theme import Theme
from app.ui.widgets import MONOSPACE

_MIN_CELL: Final = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """The size of a cell in pixels, and the four fonts that fit in it."""

    width: int
    height: int
    ascent: float
    fonts: tuple[QFont, QFont, QFont, QFont]
    """Plain, bold, italic, both."""


def measure(point_size: float) -> Cell:
    """The cell of the desktop's monospaced font in a size."""
    made: list[QFont] = []
    width = 0
    for bold, italic in ((False, False), (True, False), (False, True), (True, True)):
        font = QFont()
        font.setFamilies(MONOSPACE)
        font.setStyleHint(QFont.StyleHint.Monospace)
        font.setFixedPitch(True)
        font.setPointSizeF(point_size)
        font.setBold(bold)
        font.setItalic(italic)
        font.setKerning(False)
        font.setHintingPreference(QFont.HintingPreference.PreferFullHinting)
        metrics = QFontMetricsF(font)
        advance = metrics.horizontalAdvance("M")
        if not made:
            width = max(_MIN_CELL, round(advance))
            height = max(_MIN_CELL, round(metrics.height()))
            ascent = metrics.ascent()
        # Cells are whole pixels: the rest of a letter's width is made up between letters.
        font.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, width - advance)
        made.append(font)
    return Cell(width, height, ascent, (made[0], made[1], made[2], made[3]))


def draw_row(
    painter: QPainter,
    cell: Cell,
    theme: Theme,
    runs: Sequence[StyledRun],
    *,
    left: int,
    top: int,
    reversed_screen: bool,
) -> None:
    """Draw one line's runs. The painter's ground is drawn already."""
    column = 0
    for run in runs:
        width = cells_of(run)
        x = left + column * cell.width
        draw_run(painter, cell, theme, run, x=x, top=top, width=width, reversed_screen=reversed_screen)
        column += width


def draw_run(
    painter: QPainter, cell: Cell, theme: Theme, run: StyledRun, *, x: int, top: int, width: int, reversed_screen: bool
) -> None:
    """Draw one run that is `width` cells wide."""
    style = run.style
    fore, ground = colours(_plain(style), theme, reversed_screen)
    if ground is not None:
        painter.fillRect(x, top, width * cell.width, cell.height, ground)
    text = run.text
    if text.strip():
        painter.setFont(cell.fonts[style.bold + 2 * style.italics])
        painter.setPen(fore)
        if text.isascii() and len(text) == width:
            painter.drawText(QPointF(x, top + cell.ascent), text)
        else:
            _draw_letters(painter, cell, text, x=x, top=top, width=width)
    if style.underscore:
        painter.fillRect(x, top + cell.height - 2, width * cell.width, 1, fore)
    if style.strikethrough:
        painter.fillRect(x, top + cell.height // 2, width * cell.width, 1, fore)


def _draw_letters(painter: QPainter, cell: Cell, text: str, *, x: int, top: int, width: int) -> None:
    """Letters of unknown width, each held in its cells."""
    painter.save()
    painter.setClipRect(QRectF(x, top, width * cell.width, cell.height), Qt.ClipOperation.IntersectClip)
    for letters, cells in split_cells(text):
        if letters != " ":
            painter.drawText(QPointF(x, top + cell.ascent), letters)
        x += cells * cell.width
    painter.restore()


def split_cells(text: str) -> list[tuple[str, int]]:
    """A run's letters with the marks that belong to them, and how many cells each takes."""
    found: list[tuple[str, int]] = []
    for letter in text:
        width = 1 if letter.isascii() else letter_width(letter)
        if width == 0 and found:
            found[-1] = (found[-1][0] + letter, found[-1][1])
        else:
            found.append((letter, max(1, width)))
    return found


def letter_width(letter: str) -> int:
    """Cells of one letter: 0 for a mark that joins the one before."""
    from pyte.screens import wcwidth

    return max(0, int(wcwidth(letter)))


def cells_of(run: StyledRun) -> int:
    """How many cells a run is wide."""
    return len(run.text) if run.text.isascii() else sum(width for _, width in split_cells(run.text))


def _plain(style: Char) -> Char:
    """The style without its letter: what a colour depends on."""
    return style if style.data == " " else style._replace(data=" ")
