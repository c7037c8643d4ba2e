"""Light and dark colour themes, and the style sheet built from them. Follows the desktop by default.

Contrast is at least 4.5 : 1 for text and 3 : 1 for marks on every background where they are used (tested).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from backend.api import ContainerState, Health, Phase


class Scheme(StrEnum):
    """The user's choice of theme."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours as "#rrggbb"."""

    name: str
    window: str
    surface: str
    rail: str
    hover: str
    selected: str
    border: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    running: str
    stopped: str
    warning: str
    danger: str
    log_ground: str
    terminal: tuple[str, ...]
    """The sixteen terminal colours, readable on `log_ground`."""

    @property
    def is_dark(self) -> bool:
        """Whether text is lighter than the background."""
        return self.name == "dark"


LIGHT: Final = Theme(
    name="light",
    window="#f5f7f9",
    surface="#ffffff",
    rail="#e9eef2",
    hover="#eef3f6",
    selected="#d5e9ee",
    border="#d3dbe2",
    text="#17212b",
    muted="#536170",
    accent="#0b6b80",
    accent_hover="#095a6c",
    on_accent="#ffffff",
    running="#1a7f4b",
    stopped="#6b7885",
    warning="#855600",
    danger="#c0262d",
    log_ground="#ffffff",
    terminal=(
        *("#17212b", "#b3261e", "#1a7f37", "#7d5a00", "#0b57d0", "#9c27a5", "#00707a", "#5c6874"),
        *("#4b5763", "#c62828", "#1d7a3c", "#8a6100", "#1a66d6", "#a836b2", "#0a7480", "#17212b"),
    ),
)
DARK: Final = Theme(
    name="dark",
    window="#141a20",
    surface="#1a2128",
    rail="#10151a",
    hover="#222b34",
    selected="#1d3c47",
    border="#303b46",
    text="#e6ebf0",
    muted="#9aa8b6",
    accent="#56bdd3",
    accent_hover="#74cde0",
    on_accent="#06171c",
    running="#4cc38a",
    stopped="#8794a1",
    warning="#e0a93b",
    danger="#ff8078",
    log_ground="#10151a",
    terminal=(
        *("#8794a1", "#ff8078", "#58c98b", "#e0b04a", "#74a9ff", "#d893ea", "#56c7d6", "#d5dce3"),
        *("#a3afbb", "#ff9a93", "#7ddba6", "#f0c766", "#96beff", "#e5aff2", "#80d9e5", "#ffffff"),
    ),
)


_ORDERLY_ENDS: Final = (0, 130, 137, 143)
"""Exit codes of a program that succeeded, or that somebody ended: by Ctrl+C, a kill or a stop."""
_LENGTH: Final = re.compile(r"\b(\d+)(px|pt)\b")


class _Current:
    theme: Theme = LIGHT
    zoom: int = 100


def current() -> Theme:
    """The current theme."""
    return _Current.theme


def zoom() -> int:
    """The current zoom in per cent."""
    return _Current.zoom


def px(length: int) -> int:
    """Scale a length to pixels at the current zoom, for sizes set in code. Views are created again when it changes."""
    return (length * _Current.zoom + 50) // 100


def resolve(scheme: Scheme) -> Theme:
    """The theme for the user's choice and the desktop's current scheme."""
    if scheme is Scheme.SYSTEM:
        return DARK if QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark else LIGHT
    return DARK if scheme is Scheme.DARK else LIGHT


def apply(app: QApplication, theme: Theme, zoom: int = 100) -> None:
    """Apply colours and zoom to the application. Widgets that paint themselves call `current` when painting.

    Args:
        app: the application.
        theme: the new theme.
        zoom: per cent.
    """
    _Current.theme = theme
    _Current.zoom = zoom
    # The only style that uses a palette on every system, so there is one appearance to test.
    if app.style().name() != "fusion":
        app.setStyle("Fusion")
    app.setPalette(_palette(theme))
    app.setStyleSheet(_style_sheet(theme, zoom))


def phase_colour(theme: Theme, phase: Phase | None) -> str:
    """Colour of the machine's status mark."""
    match phase:
        case Phase.RUNNING:
            return theme.running
        case Phase.DEGRADED | Phase.PREPARING | Phase.BOOTING | Phase.CONNECTING | Phase.STOPPING:
            return theme.warning
        case Phase.FAILED:
            return theme.danger
        case Phase.SUSPENDED:
            return theme.accent
        case _:
            return theme.stopped


def container_colour(theme: Theme, state: ContainerState, health: Health, exit_code: int | None = None) -> str:
    """Colour of a container's status mark. One that ended with an error is marked as a failure."""
    if state is ContainerState.RUNNING:
        return {Health.UNHEALTHY: theme.danger, Health.STARTING: theme.warning}.get(health, theme.running)
    if state in (ContainerState.PAUSED, ContainerState.RESTARTING, ContainerState.REMOVING):
        return theme.warning
    failed = state is ContainerState.EXITED and exit_code is not None and exit_code not in _ORDERLY_ENDS
    return theme.danger if failed or state is ContainerState.DEAD else theme.stopped


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive, QPalette.ColorGroup.Disabled):
        words = theme.stopped if group is QPalette.ColorGroup.Disabled else theme.text
        for which, colour in (
            (role.Window, theme.window),
            (role.WindowText, words),
            (role.Base, theme.surface),
            (role.AlternateBase, theme.hover),
            (role.Text, words),
            (role.Button, theme.surface),
            (role.ButtonText, words),
            (role.ToolTipBase, theme.surface),
            (role.ToolTipText, theme.text),
            (role.PlaceholderText, theme.muted),
            (role.Highlight, theme.selected),
            (role.HighlightedText, theme.text),
            (role.Link, theme.accent),
            (role.LinkVisited, theme.accent),
            (role.Accent, theme.accent),
        ):
            palette.setColor(group, which, QColor(colour))
    return palette


@cache
def _style_sheet(theme: Theme, zoom: int) -> str:
    folder = resources.files("app").joinpath("resources")
    sheet = folder.joinpath("style.qss").read_text(encoding="utf-8")
    # A style sheet can refer to a picture only by file path.
    for picture in ("chevron", "chevron-up", "chevron-left", "chevron-right", "check"):
        path = Path(str(folder.joinpath(f"{picture}-{theme.name}.svg")))
        sheet = sheet.replace(f'"@{picture}"', f'"{path.as_posix()}"')
    # Longest name first: @accent is a prefix of @accent_hover.
    for name, colour in sorted(asdict(theme).items(), key=lambda item: -len(item[0])):
        if isinstance(colour, str):
            sheet = sheet.replace(f"@{name}", colour)
    return _LENGTH.sub(lambda match: f"{(int(match[1]) * zoom + 50) // 100}{match[2]}", sheet)
