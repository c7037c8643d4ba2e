"""Differences between desktops that are visible only through Qt."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication, QWindow
from PySide6.QtWidgets import QSystemTrayIcon, QWidget

DESKTOP_ID = "wherry"
"""Base name of the .desktop file. Wayland compositors use it to find the window's icon."""


def prepare_application() -> None:
    """MUST be called before the application object is created."""
    QGuiApplication.setApplicationName("Wherry")
    QGuiApplication.setApplicationDisplayName("Wherry")
    QGuiApplication.setDesktopFileName(DESKTOP_ID)


def tray_is_shown() -> bool:
    """Whether this desktop shows tray icons now. GNOME requires an extension, which may be enabled later."""
    return QSystemTrayIcon.isSystemTrayAvailable()


def bring_to_front(window: QWidget) -> None:
    """Show and activate a window that is hidden, minimised or covered."""
    if window.isMinimized():
        window.showNormal()
    else:
        window.show()
    window.raise_()
    window.activateWindow()
    handle = window.windowHandle()
    if isinstance(handle, QWindow):
        # Wayland does not let a window take the focus; the compositor marks it as demanding attention.
        handle.requestActivate()
