"""Applies theme, zoom and language, as set in the preferences or by the desktop, to the whole window at once."""

from __future__ import annotations

from PySide6.QtCore import QLocale, QObject
from PySide6.QtWidgets import QApplication

from app import texts
from app.frame.main_window import MainWindow
from app.frame.tray import Tray
from app.state.parts import Parts
from app.state.preferences import Preferences
from app.ui import theme


def apply_theme(app: QApplication, preferences: Preferences) -> None:
    """Apply the preferred theme and zoom to the application."""
    theme.apply(app, theme.resolve(preferences.theme), preferences.zoom)


def apply_language(preferences: Preferences) -> None:
    """Select the preferred language for new texts; texts that are visible already do not change."""
    chosen = preferences.language
    texts.choose_language(QLocale.system().name() if chosen == "system" else chosen)


class AppearanceWiring(QObject):
    """Follows changes of the preferences and of the desktop's color scheme."""

    def __init__(self, parts: Parts, window: MainWindow, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._window = window
        self._tray = tray
        parts.app.styleHints().colorSchemeChanged.connect(self._recolour)
        parts.store.preferences.changed.connect(self._on_changed)

    def _recolour(self) -> None:
        apply_theme(self._parts.app, self._parts.store.preferences)

    def _on_changed(self, name: str) -> None:
        if name in ("theme", "zoom"):
            self._recolour()
        if name == "language":
            apply_language(self._parts.store.preferences)
        if name in ("language", "zoom"):
            self._window.rebuild()
            self._tray.refresh()
