"""Frames around the focused control only for those who use the keyboard: a click on a button draws none.

A control has the property `keys` while the focus came to it by the keyboard; the style sheet draws the frame for it.
Text fields, lists and tables show the focus always.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QGuiApplication, QWindow
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QListWidget,
    QScrollBar,
    QTabBar,
    QWidget,
)

_KINDS: Final = (QAbstractButton, QAbstractSlider, QComboBox, QListWidget, QTabBar)


class FocusFrames(QObject):
    """Marks the focused control while it lives. One for each application."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._keys = False
        app.focusChanged.connect(self._on_focus)
        # Only the windows are watched, which get the events before any widget: a filter for the application would
        # be called for every event of every widget.
        app.focusWindowChanged.connect(self._watch)
        self._watch(QGuiApplication.focusWindow())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.KeyPress:
            self._set(keys=True)
        elif event.type() is QEvent.Type.MouseButtonPress:
            self._set(keys=False)
        return super().eventFilter(watched, event)

    def _watch(self, window: QWindow | None) -> None:
        if window is not None:
            window.installEventFilter(self)  # once, however often it is installed

    def _set(self, *, keys: bool) -> None:
        if keys is not self._keys:
            self._keys = keys
            self._on_focus(None, QApplication.focusWidget())

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        if isinstance(now, _KINDS) and not isinstance(now, QScrollBar) and bool(now.property("keys")) is not self._keys:
            now.setProperty("keys", self._keys)
            style = now.style()
            style.unpolish(now)
            style.polish(now)
