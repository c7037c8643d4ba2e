"""Theme, zoom and language: what the user chose and what the desktop says, applied at once to all that is shown."""

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
    """Colours and sizes, as chosen."""
    theme.apply(app, theme.resolve(preferences.theme), preferences.zoom)


def apply_language(preferences: Preferences) -> None:
    """The words, as chosen; what is shown already stays as it is."""
    chosen = preferences.language
    texts.choose_language(QLocale.system().name() if chosen == "system" else chosen)


class AppearanceWiring(QObject):
    """Lives as long as the window."""

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
