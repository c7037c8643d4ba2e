"""What a screen reader is told of the lines of a log: that they are a document. Its description is what is in sight."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

_CLASS: Final = "LinesView"
_made: Final[list[QAccessibleInterface]] = []
"""Qt deletes them with their widgets; a wrapper that Python forgot before would delete them too."""


class _Factory:
    is_installed = False


def install() -> None:
    """Let Qt ask here what a view of lines is. Once is enough."""
    if not _Factory.is_installed:
        _Factory.is_installed = True
        QAccessible.installFactory(_interface)


def _interface(class_name: str, widget: QObject) -> QAccessibleInterface | None:
    if class_name != _CLASS or not isinstance(widget, QWidget):
        return None
    _made.append(QAccessibleWidget(widget, QAccessible.Role.Document))
    return _made[-1]
