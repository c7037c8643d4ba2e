"""The colours of a terminal: the theme's sixteen, the program's own, and no text that vanishes in its ground."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtGui import QColor
from pyte.screens import Char

from app.ui.theme import Theme, contrast

MIN_CONTRAST: Final = 1.6
"""Below it letters are drawn in the usual colour: black on black is a program's mistake about the theme."""


@lru_cache(maxsize=4096)
def colours(style: Char, theme: Theme, reversed_screen: bool) -> tuple[QColor, QColor | None]:
    """Of the letters, and of the ground where it is not the usual one."""
    fore = _named(style.fg, theme, bold=style.bold) or theme.text
    ground = _named(style.bg, theme, bold=False)
    if style.reverse != reversed_screen:
        fore, ground = ground or theme.log_ground, fore
    under = ground or theme.log_ground
    # The usual colour belongs to the usual ground: on another one it is whichever of the two is read better.
    unchosen = style.fg == "default" and ground is not None and not style.reverse
    if unchosen or contrast(fore, under) < MIN_CONTRAST:
        fore = max(theme.text, theme.log_ground, key=lambda colour: contrast(colour, under))
    return QColor(fore), QColor(ground) if ground else None


def _named(name: str, theme: Theme, *, bold: bool) -> str | None:
    if name == "default":
        return None
    if len(name) <= 2:
        number = int(name)
        # Bold was how the first colour terminals made a colour bright, and programs still count on it.
        return theme.terminal[number + 8 if bold and number < 8 else number]
    return f"#{name}"
