"""Controls for choosing a value: combo boxes, spin boxes, sliders, and completions of a text field.

The only place where Qt's own are made, so that all of them behave alike: the mouse wheel scrolls the page and never
changes a value, and a list that opens is in the window's style and shows whole entries.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QAbstractItemModel, QObject, Qt
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import QComboBox, QCompleter, QListView, QSlider, QSpinBox, QStyledItemDelegate, QWidget

from app.ui import theme
from app.ui.figures import number

MOST_SHOWN: Final = 12
"""Entries that a list shows before it scrolls."""


class ComboBox(QComboBox):
    """A combo box."""

    def __init__(self, parent: QWidget | None = None, *, editable: bool = False) -> None:
        super().__init__(parent)
        self.setEditable(editable)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMaxVisibleItems(MOST_SHOWN)
        # Long entries must not make a page wider than the window.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        view = QListView(self)
        self.setView(view)
        # Qt's own delegate for combo boxes ignores the style sheet's size of entries.
        self.setItemDelegate(QStyledItemDelegate(self))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def showPopup(self) -> None:
        super().showPopup()
        view = self.view()
        box = view.window()
        if box is self.window() or not self.count():
            return
        shown = min(self.count(), self.maxVisibleItems())
        wanted = sum(max(view.sizeHintForRow(row), 1) for row in range(shown))
        missing = wanted - view.viewport().height()
        if missing <= 0:
            return
        # Qt reserves the height of entries without the style sheet's padding.
        room = self.screen().availableGeometry()
        place = box.geometry()
        above = self.mapToGlobal(self.rect().topLeft()).y()
        opens_up = place.bottom() < above + self.height() // 2
        place.setHeight(min(place.height() + missing, room.height()))
        if opens_up:
            place.moveBottom(above - 1)
        if place.bottom() > room.bottom():
            place.moveBottom(room.bottom())
        box.setGeometry(place)


class SpinBox(QSpinBox):
    """A field for a whole number, or for one that is shown in a larger unit."""

    def __init__(self, parent: QWidget | None = None, *, shown_in: int = 1) -> None:
        """Create the field.

        Args:
            parent: Qt's parent.
            shown_in: the number is shown divided by this, with up to two decimals.
        """
        super().__init__(parent)
        self._unit = shown_in
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def textFromValue(self, value: int) -> str:
        if self._unit == 1:
            return str(super().textFromValue(value))
        shown = value / self._unit
        return number(shown, next((places for places in (0, 1) if round(shown, places) == shown), 2))

    def valueFromText(self, text: str) -> int:
        if self._unit == 1:
            return super().valueFromText(text)
        typed = self._typed(text)
        return self.value() if typed is None else round(typed * self._unit)

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:
        if self._unit == 1:
            state, _text, _at = super().validate(text, at)
            return state, text, at
        typed = self._typed(text)
        if typed is None:
            return QValidator.State.Intermediate, text, at
        inside = self.minimum() <= round(typed * self._unit) <= self.maximum()
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text, at

    def _typed(self, text: str) -> float | None:
        """The typed number, with a comma or a point."""
        try:
            return float(text.removesuffix(self.suffix()).strip().replace(",", "."))
        except ValueError:
            return None


class Slider(QSlider):
    """A horizontal slider."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def completions(model: QAbstractItemModel, parent: QObject) -> QCompleter:
    """Completions from a model's first column, by any part of an entry, ignoring case."""
    made = QCompleter(model, parent)
    made.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
    made.setFilterMode(Qt.MatchFlag.MatchContains)
    made.setMaxVisibleItems(MOST_SHOWN)
    popup = QListView()
    popup.setObjectName("completions")
    made.setPopup(popup)
    # setPopup gives it another delegate; this one follows the style sheet.
    popup.setItemDelegate(QStyledItemDelegate(popup))
    popup.setMinimumWidth(theme.px(160))
    return made
