"""QtAwesome's Material Design glyphs, from its font file alone.

The package itself is not imported: it reads the tables of all its fonts and, through qtpy, all of Qt, which costs a
window 40 MiB and 0.15 s at its start. The font and its table of names are data that lie in the package's folder.
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
"""Of an icon's height, the part that the glyph's em square takes: the room around it is the font's own measure."""


def icon(name: str, colour: str, disabled: str) -> QIcon:
    """A glyph as an icon of any size.

    Args:
        name: as in Material Design Icons, "trash-can-outline". An unknown one is a defect and raises KeyError.
        colour: "#rrggbb".
        disabled: the colour of the disabled icon.
    """
    return QIcon(_Engine(_character(name), colour, disabled))


class _Engine(QIconEngine):
    """Paints one character."""

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
        made = QPixmap(size)
        if made.isNull():  # a widget that has no size yet asks too
            return made
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return made

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
    # Looked up in the text: a dictionary of its seven thousand names would be ten times as large.
    _, found, rest = _table().partition(f'"{name}": "0x')
    if not found:
        raise KeyError(name)
    return chr(int(rest[: rest.index('"')], 16))


def _file(pattern: str) -> Path:
    package = find_spec("qtawesome")
    assert package is not None, "the dependency qtawesome is not installed"
    assert package.origin is not None
    return next((Path(package.origin).parent / "fonts").glob(pattern))
