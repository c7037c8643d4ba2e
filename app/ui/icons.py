"""Icons: our boat (SVG), and Material Design glyphs in the theme's colours."""

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
    """A Material Design glyph, such as "play", in `colour` or the text colour."""
    current = theme.current()
    return _glyph(name, colour or current.text, current.stopped)


_glyph = cache(glyphs.icon)


@cache
def boat(name: str = "wherry") -> QIcon:
    """One of our drawings, as pixmaps of common sizes: tray hosts choose one, and not all support SVG."""
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
    """The tray icon for a phase: sail down, half up, up, or with a mark for danger or pause. The shape tells."""
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
