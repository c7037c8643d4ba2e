"""Glyphs of Material Design Icons, drawn with QtAwesome's font file.

The package itself is not imported: it reads the tables of all its fonts and, through qtpy, all of Qt, which costs 40
MiB and 0.15 s at start. Only the font and its table of names in the package's directory are used.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

_FONT: Final = "materialdesignicons6-webfont-*.ttf"
_TABLE: Final = "materialdesignicons6-webfont-charmap-*.json"
_SHARE: Final = 0.875
"""Height of the glyph's em square relative to the icon: the font's own margin."""


def icon(name: str, colour: str, disabled: str) -> QIcon:
    """Create an icon that scales to any size.

    Args:
        name: name in Material Design Icons, "trash-can-outline". Raises KeyError for an unknown one.
        colour: "#rrggbb".
        disabled: colour of the disabled icon.
    """
    return QIcon(_Engine(_character(name), colour, disabled))


class _Engine(QIconEngine):
    """Paints one character of the font."""

    def __init__(self, character: str, colour: str, disabled: str) -> None:
        super().__init__()
        self._character = character
        self._colours = (colour, disabled)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        font = QFont(_family())
        font.setPixelSize(max(1, round(rect.height() * _SHARE)))
        painter.save()
        painter.setFont(font)
        painter.setPen(QColor(self._colours[mode is QIcon.Mode.Disabled]))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._character)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        result = QPixmap(size)
        if result.isNull():  # a widget without a size calls this too
            return result
        result.fill(Qt.GlobalColor.transparent)
        painter = QPainter(result)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return result

    def clone(self) -> QIconEngine:
        return _Engine(self._character, *self._colours)


@cache
def _family() -> str:
    number = QFontDatabase.addApplicationFont(str(_file(_FONT)))
    return QFontDatabase.applicationFontFamilies(number)[0]


@cache
def _table() -> str:
    return _file(_TABLE).read_text(encoding="ascii")


@cache
def _character(name: str) -> str:
    # Searched in the text: a dictionary of its seven thousand names would take ten times the memory.
    _, separator, rest = _table().partition(f'"{name}": "0x')
    if not separator:
        raise KeyError(name)
    return chr(int(rest[: rest.index('"')], 16))


def _file(pattern: str) -> Path:
    package = find_spec("qtawesome")
    assert package is not None, "the dependency qtawesome is not installed"
    assert package.origin is not None
    return next((Path(package.origin).parent / "fonts").glob(pattern))
