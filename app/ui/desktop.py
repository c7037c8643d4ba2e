"""The few things that differ between desktops and that only Qt knows."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication, QWindow
from PySide6.QtWidgets import QSystemTrayIcon, QWidget

DESKTOP_ID = "wherry"
"""The .desktop file's base name. Wayland compositors look the window's icon up by it."""


def prepare_application() -> None:
    """To be called before the application object is made."""
    QGuiApplication.setApplicationName("Wherry")
    QGuiApplication.setApplicationDisplayName("Wherry")
    QGuiApplication.setDesktopFileName(DESKTOP_ID)


def tray_is_shown() -> bool:
    """Whether this desktop shows tray icons now. GNOME does not without an extension, which may come later."""
    return QSystemTrayIcon.isSystemTrayAvailable()


def bring_to_front(window: QWidget) -> None:
    """Show a window that is hidden, minimised or covered."""
    if window.isMinimized():
        window.showNormal()
    else:
        window.show()
    window.raise_()
    window.activateWindow()
    handle = window.windowHandle()
    if isinstance(handle, QWindow):
        # Wayland gives no focus to a window that asks for it; it marks the window as wanting attention.
        handle.requestActivate()
