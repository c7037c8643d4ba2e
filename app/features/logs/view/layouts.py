"""Layouts of lines, created when first needed and cached."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QTextCharFormat, QTextLayout, QTextOption

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.levels import Level
from app.features.logs.data.lines import LogLine, local_time, log_line
from app.texts import _
from app.ui import theme
from app.ui.safe_text import Style

KEPT_LINES: Final = 1_000
_FETCHED: Final = 64
"""Lines are read from disk in groups of this size."""
_NO_WRAP_WIDTH: Final = 16_000_000.0
NAME_CHARS: Final = 24
_COLOURS: Final = (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14)


@dataclass(slots=True)
class LaidLine:
    """A laid out line."""

    line: LogLine
    words: str
    """The drawn text, with a note if it was cut."""
    layout: QTextLayout
    rows: int
    width: float
    """Width of its longest row."""
    time: str
    """In this computer's time zone; empty for none."""


class Layouts:
    """Creates and caches the layouts of one buffer's lines."""

    def __init__(self) -> None:
        self._buffer: LogBuffer | None = None
        self._names: tuple[str, ...] = ()
        self._kept: OrderedDict[int, LaidLine] = OrderedDict()
        self._lines: OrderedDict[int, LogLine] = OrderedDict()
        self._font = QFont()
        self._wrap_width: float | None = None
        self.row_height = 16
        self.char_width = 8.0

    def set_log(self, buffer: LogBuffer | None) -> None:
        """Use another buffer."""
        self._buffer = buffer
        self._lines.clear()
        self._kept.clear()

    def set_font(self, font: QFont) -> None:
        """Set the font of all lines."""
        self._font = font
        metrics = QFontMetricsF(font)
        self.row_height = max(1, round(metrics.lineSpacing() * 1.15))
        self.char_width = max(1.0, metrics.horizontalAdvance("0"))
        self._kept.clear()

    def set_wrap_width(self, width: float | None) -> None:
        """Wrap lines at this width in pixels; None: never."""
        if width != self._wrap_width:
            self._wrap_width = width
            self._kept.clear()

    def recolour(self) -> None:
        """Update after the theme has changed."""
        self._kept.clear()

    def line(self, number: int) -> LogLine:
        """A line's text."""
        known = self._lines.get(number)
        if known is not None:
            self._lines.move_to_end(number)
            return known
        assert self._buffer is not None
        start = max(self._buffer.first, number - number % _FETCHED)
        for at, record in enumerate(self._buffer.records(start, start + _FETCHED), start):
            self._lines[at] = log_line(record)
        while len(self._lines) > KEPT_LINES + _FETCHED:
            self._lines.popitem(last=False)
        if number not in self._lines:
            # It was dropped at this moment.
            self._lines[number] = log_line(self._buffer.record(number))
        return self._lines[number]

    def laid(self, number: int) -> LaidLine:
        """The layout of a line."""
        known = self._kept.get(number)
        if known is None:
            known = self._kept[number] = self._lay_out(self.line(number))
            if len(self._kept) > KEPT_LINES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(number)
        return known

    def _lay_out(self, line: LogLine) -> LaidLine:
        words = line.text
        formats = []
        plain = level_colour(line.level)
        at = 0
        for span in line.spans:
            length = utf16_length(span.text)
            formats.append(format_range(at, length, _format(span.style, plain)))
            at += length
        if line.cut_bytes:
            note = _("… {count:,} bytes truncated", count=line.cut_bytes)
            words += note
            muted = QTextCharFormat()
            muted.setForeground(QBrush(QColor(theme.current().muted)))
            muted.setFontItalic(True)
            formats.append(format_range(at, utf16_length(note), muted))
        layout = QTextLayout(words, self._font)
        layout.setCacheEnabled(True)
        option = QTextOption(Qt.AlignmentFlag.AlignLeft)
        # A right-to-left line must not move to the other side of the pane.
        option.setTextDirection(Qt.LayoutDirection.LeftToRight)
        wrap = self._wrap_width is not None
        option.setWrapMode(QTextOption.WrapMode.WrapAnywhere if wrap else QTextOption.WrapMode.NoWrap)
        option.setTabStopDistance(self.char_width * 8)
        layout.setTextOption(option)
        layout.setFormats(formats)
        rows, width = 0, 0.0
        layout.beginLayout()
        while (row := layout.createLine()).isValid():
            row.setLineWidth(max(self.char_width, self._wrap_width) if self._wrap_width is not None else _NO_WRAP_WIDTH)
            # All rows have the same height, whatever fonts its letters come from.
            row.setPosition(QPointF(0, rows * self.row_height))
            width = max(width, row.naturalTextWidth())
            rows += 1
        layout.endLayout()
        return LaidLine(line, words, layout, max(1, rows), width, local_time(line.time) if line.time else "")


def utf16_length(words: str) -> int:
    """Length in UTF-16 units, as in Qt."""
    return len(words) if words.isascii() else len(words.encode("utf-16-le", "surrogatepass")) // 2


def utf16_slice(words: str, start: int, stop: int | None = None) -> str:
    """Slice of a text by UTF-16 units, as in Qt."""
    if words.isascii():
        return words[start:stop]
    data = words.encode("utf-16-le", "surrogatepass")
    return data[2 * start : None if stop is None else 2 * stop].decode("utf-16-le", "replace")


def level_colour(level: Level) -> str:
    """Colour as "#rrggbb", for text and marks."""
    current = theme.current()
    match level:
        case Level.ERROR:
            return current.danger
        case Level.WARNING:
            return current.warning
        case Level.DEBUG | Level.TRACE:
            return current.muted
        case _:
            return current.text


def source_colours(container_ids: tuple[str, ...]) -> list[int]:
    """A terminal colour for each container: always the same one, unless two in a log would share it."""
    used: set[int] = set()
    chosen = []
    for container_id in container_ids:
        preferred = zlib.crc32(container_id.encode()) % len(_COLOURS)
        if len(used) < len(_COLOURS):
            while preferred in used:
                preferred = (preferred + 1) % len(_COLOURS)
        used.add(preferred)
        chosen.append(_COLOURS[preferred])
    return chosen


def format_range(start: int, length: int, style: QTextCharFormat) -> QTextLayout.FormatRange:
    """A format range of a layout."""
    result = QTextLayout.FormatRange()
    result.start, result.length, result.format = start, length, style
    return result


def _format(style: Style, plain: str) -> QTextCharFormat:
    result = QTextCharFormat()
    colour = plain
    if isinstance(style.colour, int):
        colour = theme.current().terminal[style.colour]
    elif isinstance(style.colour, str):
        colour = readable(style.colour)
    result.setForeground(QBrush(QColor(colour)))
    if style.bold:
        result.setFontWeight(QFont.Weight.Bold)
    return result


def readable(colour: str) -> str:
    """A container's colour, changed towards the text colour until it is readable."""
    current = theme.current()
    chosen, target = QColor(colour), QColor(current.text)
    for part in range(0, 11, 2):
        mixed = QColor(
            (chosen.red() * (10 - part) + target.red() * part) // 10,
            (chosen.green() * (10 - part) + target.green() * part) // 10,
            (chosen.blue() * (10 - part) + target.blue() * part) // 10,
        ).name()
        if theme.contrast(mixed, current.log_ground) >= 4.5:
            return mixed
    return current.text
