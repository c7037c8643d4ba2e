"""Contrast, the style sheet, and compatibility of Qt and Python."""

from __future__ import annotations

import re
import sys

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from app.ui import icons, theme
from backend.engine.types import ContainerState, Health
from backend.model import Phase

THEMES = pytest.mark.parametrize("chosen", [theme.LIGHT, theme.DARK], ids=lambda chosen: chosen.name)


@THEMES
def test_text_is_readable_on_every_ground(chosen: theme.Theme) -> None:
    for ground in (chosen.window, chosen.surface, chosen.rail, chosen.hover, chosen.selected):
        for words in (chosen.text, chosen.muted):
            assert theme.contrast(words, ground) >= 4.5, (words, ground)
    for ground in (chosen.window, chosen.surface, chosen.selected):
        for words in (chosen.accent, chosen.warning, chosen.danger):
            assert theme.contrast(words, ground) >= 4.5, (words, ground)
    assert theme.contrast(chosen.on_accent, chosen.accent) >= 4.5
    assert theme.contrast(chosen.on_accent, chosen.accent_hover) >= 4.5


@THEMES
def test_terminal_colours_are_readable(chosen: theme.Theme) -> None:
    assert len(chosen.terminal) == 16
    for colour in chosen.terminal:
        assert theme.contrast(colour, chosen.log_ground) >= 4.5, colour


@THEMES
def test_marks_can_be_seen(chosen: theme.Theme) -> None:
    colours = {theme.phase_colour(chosen, phase) for phase in (None, *Phase)}
    colours |= {theme.container_colour(chosen, state, health) for state in ContainerState for health in Health}
    for colour in colours:
        assert theme.contrast(colour, chosen.surface) >= 3


@THEMES
def test_the_style_sheet_knows_all_its_colours(qapp: QApplication, chosen: theme.Theme) -> None:
    theme.apply(qapp, chosen)
    assert not re.search(r"@\w+", qapp.styleSheet().split("*/", 1)[1])
    assert theme.current() is chosen


def test_contrast_of_the_extremes() -> None:
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#777777") == pytest.approx(1)


def test_every_phase_has_a_tray_icon_and_running_looks_unlike_stopped(qapp: QApplication) -> None:
    for phase in (None, *Phase):
        assert not icons.tray(phase).isNull()
    running = icons.tray(Phase.RUNNING).pixmap(22).toImage()
    assert running != icons.tray(Phase.STOPPED).pixmap(22).toImage()
    assert running != icons.tray(Phase.FAILED).pixmap(22).toImage()


def test_this_qt_keeps_count_of_none(qapp: QApplication) -> None:
    """PySide6 6.12.0 drops a reference to None in every call on Python below 3.12, until the process dies."""
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        thing.setObjectName("x")
    assert sys.getrefcount(None) > before - 500, "this PySide6 crashes on this Python: use another of either"
