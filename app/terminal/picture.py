"""Drawing a row of cells. Every letter is drawn in its own cell, whatever font it comes from."""

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
    """Size of a cell in pixels, and fonts that fit into it."""

    width: int
    height: int
    ascent: float
    fonts: tuple[QFont, QFont, QFont, QFont]
    """Regular, bold, italic, bold italic."""


def measure(point_size: float) -> Cell:
    """The cell for the desktop's monospaced font at a point size."""
    fonts: list[QFont] = []
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
        if not fonts:
            width = max(_MIN_CELL, round(advance))
            height = max(_MIN_CELL, round(metrics.height()))
            ascent = metrics.ascent()
        # Cells have integer widths: the fraction is added as letter spacing.
        font.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, width - advance)
        fonts.append(font)
    return Cell(width, height, ascent, (fonts[0], fonts[1], fonts[2], fonts[3]))


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
    """Draw the runs of a line. The background is already drawn."""
    column = 0
    for run in runs:
        width = cells_of(run)
        x = left + column * cell.width
        draw_run(painter, cell, theme, run, x=x, top=top, width=width, reversed_screen=reversed_screen)
        column += width


def draw_run(
    painter: QPainter, cell: Cell, theme: Theme, run: StyledRun, *, x: int, top: int, width: int, reversed_screen: bool
) -> None:
    """Draw a run that is `width` cells wide."""
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
    """Draw letters of unknown width, each clipped to its cells."""
    painter.save()
    painter.setClipRect(QRectF(x, top, width * cell.width, cell.height), Qt.ClipOperation.IntersectClip)
    for letters, cells in split_cells(text):
        if letters != " ":
            painter.drawText(QPointF(x, top + cell.ascent), letters)
        x += cells * cell.width
    painter.restore()


def split_cells(text: str) -> list[tuple[str, int]]:
    """Split a run into letters with their combining marks, each with its number of cells."""
    cells: list[tuple[str, int]] = []
    for letter in text:
        width = 1 if letter.isascii() else letter_width(letter)
        if width == 0 and cells:
            cells[-1] = (cells[-1][0] + letter, cells[-1][1])
        else:
            cells.append((letter, max(1, width)))
    return cells


def letter_width(letter: str) -> int:
    """Number of cells of a letter: 0 for a combining mark."""
    from pyte.screens import wcwidth

    return max(0, int(wcwidth(letter)))


def cells_of(run: StyledRun) -> int:
    """Width of a run in cells."""
    return len(run.text) if run.text.isascii() else sum(width for _, width in split_cells(run.text))


def _plain(style: Char) -> Char:
    """The style without its letter: the key for colours."""
    return style if style.data == " " else style._replace(data=" ")
