"""Icons: the boat (ours, SVG) and QtAwesome's glyphs in the theme's colours."""

from __future__ import annotations

from functools import cache
from importlib import resources

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app.ui import glyphs, theme
from backend.api import Phase

_TRAY_SIZES = (16, 22, 24, 32, 48, 64)
_APP_SIZES = (16, 24, 32, 48, 64, 128, 256)


def glyph(name: str, colour: str | None = None) -> QIcon:
    """A Material Design glyph, "play" or "trash-can-outline", in `colour` or the colour of text."""
    current = theme.current()
    return _glyph(name, colour or current.text, current.stopped)


_glyph = cache(glyphs.icon)


@cache
def boat(name: str = "wherry") -> QIcon:
    """One of our own drawings, as pixmaps of the usual sizes: tray hosts pick one and do not all know SVG."""
    data = resources.files("app").joinpath(f"resources/{name}.svg").read_bytes()
    renderer = QSvgRenderer(QByteArray(data))
    icon = QIcon()
    for size in _APP_SIZES if name == "wherry" else _TRAY_SIZES:
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size, size))
        painter.end()
        icon.addPixmap(pixmap)
    return icon


def tray(phase: Phase | None) -> QIcon:
    """The boat as the machine is: sail down, half up, up, marked as in danger or paused. The shape tells."""
    match phase:
        case Phase.RUNNING:
            return boat("tray-running")
        case Phase.PREPARING | Phase.BOOTING | Phase.CONNECTING | Phase.STOPPING:
            return boat("tray-starting")
        case Phase.FAILED | Phase.DEGRADED:
            return boat("tray-problem")
        case Phase.SUSPENDED:
            return boat("tray-suspended")
        case _:
            return boat("tray-stopped")
