"""The colours of a terminal: the theme's sixteen and the program's own, with a minimum contrast."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PySide6.QtGui import QColor
from pyte.screens import Char

from app.ui.theme import Theme, contrast

MIN_CONTRAST: Final = 1.6
"""Text with less contrast is drawn in the default colour: black on black is not intended."""


@lru_cache(maxsize=4096)
def colours(style: Char, theme: Theme, reversed_screen: bool) -> tuple[QColor, QColor | None]:
    """The text colour, and the background colour, or None for the default background."""
    fore = _named(style.fg, theme, bold=style.bold) or theme.text
    ground = _named(style.bg, theme, bold=False)
    if style.reverse != reversed_screen:
        fore, ground = ground or theme.log_ground, fore
    under = ground or theme.log_ground
    # The default colour suits the default background: on another one, use the more readable of the two.
    unchosen = style.fg == "default" and ground is not None and not style.reverse
    if unchosen or contrast(fore, under) < MIN_CONTRAST:
        fore = max(theme.text, theme.log_ground, key=lambda colour: contrast(colour, under))
    return QColor(fore), QColor(ground) if ground else None


def _named(name: str, theme: Theme, *, bold: bool) -> str | None:
    if name == "default":
        return None
    if len(name) <= 2:
        number = int(name)
        # Early colour terminals showed bold as a bright colour, and programs still rely on it.
        return theme.terminal[number + 8 if bold and number < 8 else number]
    return f"#{name}"
