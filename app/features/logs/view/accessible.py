"""Accessibility of log lines: a document whose description is the visible text."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

_CLASS: Final = "LinesView"
_made: Final[list[QAccessibleInterface]] = []
"""Qt deletes these with their widgets; Python must keep the wrappers, because deleting one early would delete it
too."""


class _Factory:
    is_installed = False


def install() -> None:
    """Register with Qt. Calling it once is enough."""
    if not _Factory.is_installed:
        _Factory.is_installed = True
        QAccessible.installFactory(_interface)


def _interface(class_name: str, widget: QObject) -> QAccessibleInterface | None:
    if class_name != _CLASS or not isinstance(widget, QWidget):
        return None
    _made.append(QAccessibleWidget(widget, QAccessible.Role.Document))
    return _made[-1]
