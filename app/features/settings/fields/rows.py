"""What the settings' forms are made of: a title, what it means, and one control that carries both to screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.ui.widgets import label


class SettingsSection(QScrollArea):
    """One page of settings: rows from its top, scrolled where they do not fit."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(title)
        inner = QWidget()
        inner.setObjectName("page")
        self.column = QVBoxLayout(inner)
        self.column.setContentsMargins(theme.px(2), theme.px(14), theme.px(14), theme.px(18))
        self.column.setSpacing(theme.px(14))
        self.setWidget(inner)


class CheckRow(QWidget):
    """A yes or no."""

    toggled = Signal(bool)  # by the user

    def __init__(self, title: str, help_text: str = "", *, indent: bool = False) -> None:
        super().__init__()
        self.box = QCheckBox(title)
        self.box.setAccessibleName(title)
        self.box.setAccessibleDescription(help_text)
        self.box.clicked.connect(self.toggled)
        self.help = label(help_text, "muted", wrap=True)
        self.help.setVisible(bool(help_text))
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(28) if indent else 0, 0, 0, 0)
        column.setSpacing(theme.px(2))
        column.addWidget(self.box)
        below = QHBoxLayout()
        below.setContentsMargins(theme.px(28), 0, 0, 0)
        below.addWidget(self.help)
        column.addLayout(below)

    def show_value(self, on: bool | None) -> None:
        """As it is now; None: not known yet."""
        self.box.setEnabled(on is not None)
        self.box.setChecked(bool(on))


class ChoiceRow(QWidget):
    """One of a few."""

    chosen = Signal(object)  # by the user: the value

    def __init__(self, title: str, choices: Sequence[tuple[object, str]], help_text: str = "") -> None:
        super().__init__()
        self.box = QComboBox()
        self.box.setAccessibleName(title)
        self.box.setAccessibleDescription(help_text)
        self.box.setMinimumWidth(theme.px(270))  # of nearly all the same: their edges are in line
        self._values = [value for value, _ in choices]
        self.box.addItems([words for _, words in choices])
        self.box.activated.connect(lambda row: self.chosen.emit(self._values[row]))
        self.box.installEventFilter(_NoWheel(self.box))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(16))
        words = QVBoxLayout()
        words.setSpacing(theme.px(2))
        title_label = label(title, wrap=True)
        title_label.setBuddy(self.box)
        words.addWidget(title_label)
        if help_text:
            words.addWidget(label(help_text, "muted", wrap=True))
        row.addLayout(words, 1)
        row.addWidget(self.box, 0, Qt.AlignmentFlag.AlignTop)

    def offer(self, choices: Sequence[tuple[object, str]]) -> None:
        """Other choices."""
        values = [value for value, _ in choices]
        if values != self._values:
            self._values = values
            self.box.clear()
            self.box.addItems([words for _, words in choices])

    def show_value(self, value: object) -> None:
        """As it is now."""
        if value in self._values:
            self.box.setCurrentIndex(self._values.index(value))


class NumberRow(QWidget):
    """A small number, counted by its buttons or typed."""

    chosen = Signal(int)  # by the user, when he is done with it

    def __init__(self, title: str, least: int, most: int, help_text: str = "", *, zero: str = "") -> None:
        """Make it.

        Args:
            zero: words that stand for the least number, where it has a meaning of its own.
        """
        super().__init__()
        self._shown: int | None = None
        self.box = QSpinBox()
        self.box.setRange(least, most)
        self.box.setSpecialValueText(zero)
        self.box.setAccessibleName(title)
        self.box.setAccessibleDescription(help_text)
        self.box.setMinimumWidth(theme.px(110))
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.box.setProperty("amount", True)
        self.box.lineEdit().setTextMargins(0, 0, theme.px(6), 0)
        self.box.setKeyboardTracking(False)
        self.box.valueChanged.connect(self._on_value)
        self.box.installEventFilter(_NoWheel(self.box))
        words = QVBoxLayout()
        words.setSpacing(theme.px(2))
        title_label = label(title)
        title_label.setBuddy(self.box)
        words.addWidget(title_label)
        if help_text:
            words.addWidget(label(help_text, "muted", wrap=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(16))
        row.addLayout(words, 1)
        row.addWidget(self.box, 0, Qt.AlignmentFlag.AlignTop)

    def show_value(self, value: int | None) -> None:
        """As it is now; None: not known yet."""
        self._shown = value
        self.box.setEnabled(value is not None)
        if value is not None and not self.box.hasFocus():
            with QSignalBlocker(self.box):
                self.box.setValue(value)

    def _on_value(self, value: int) -> None:
        if value != self._shown:
            self._shown = value
            self.chosen.emit(value)


class AmountRow(QWidget):
    """A number between two ends: a slider for the hand, a field for the exact value."""

    changed = Signal(int)  # by the user

    def __init__(self, title: str, suffix: str, *, step: int = 1) -> None:
        super().__init__()
        self._step = step
        self._title = title
        self._dangerous_from: int | None = None
        self.title = label(title, "heading")
        self.note = label("", "muted", wrap=True)
        self.field = QSpinBox()
        self.field.setSuffix(suffix)
        self.field.setSingleStep(step)
        self.field.setAccessibleName(title)
        self.field.setMinimumWidth(theme.px(110))
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        # Without its little buttons (style sheet): the slider is beside it, and the arrow keys count up and down.
        self.field.setProperty("amount", True)
        self.field.lineEdit().setTextMargins(0, 0, theme.px(6), 0)
        self.field.setKeyboardTracking(False)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(title)
        self.title.setBuddy(self.field)
        self.slider.valueChanged.connect(self._on_slider)
        self.field.valueChanged.connect(self._on_field)
        for widget in (self.field, self.slider):
            widget.installEventFilter(_NoWheel(widget))
        across = QHBoxLayout()
        across.setSpacing(theme.px(14))
        across.addWidget(self.slider, 1)
        across.addWidget(self.field)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(4))
        column.addWidget(self.title)
        column.addLayout(across)
        column.addWidget(self.note)

    @property
    def value(self) -> int:
        """As it is set."""
        return self.field.value()

    def set_range(self, least: int, most: int, *, dangerous_from: int | None = None) -> None:
        """What is possible, and from where on it may hurt."""
        self._dangerous_from = dangerous_from
        with QSignalBlocker(self.field), QSignalBlocker(self.slider):
            self.field.setRange(least, max(least, most))
            self.slider.setRange(-(-least // self._step), max(least, most) // self._step)
            self.slider.setPageStep(max(1, (most - least) // self._step // 10))
        self._colour()

    def show_value(self, value: int) -> None:
        """As it is now."""
        with QSignalBlocker(self.field), QSignalBlocker(self.slider):
            self.field.setValue(value)
            self.slider.setValue(value // self._step)
        self._colour()

    def set_note(self, words: str) -> None:
        """What the number means."""
        self.note.setText(words)
        self.note.setVisible(bool(words))
        self.field.setAccessibleDescription(words)
        self.slider.setAccessibleDescription(words)

    @property
    def is_dangerous(self) -> bool:
        """Whether it is so much that the computer itself may suffer."""
        return self._dangerous_from is not None and self.value >= self._dangerous_from

    def _on_slider(self, steps: int) -> None:
        value = min(max(steps * self._step, self.field.minimum()), self.field.maximum())
        with QSignalBlocker(self.field):
            self.field.setValue(value)
        self._colour()
        self.changed.emit(value)

    def _on_field(self, value: int) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(value // self._step)
        self._colour()
        self.changed.emit(value)

    def _colour(self) -> None:
        role = "danger" if self.is_dangerous else "muted"
        for widget, property_ in ((self.note, "role"), (self.slider, "danger")):
            wanted: object = role if property_ == "role" else self.is_dangerous
            if widget.property(property_) != wanted:
                widget.setProperty(property_, wanted)
                widget.style().unpolish(widget)
                widget.style().polish(widget)


class _NoWheel(QObject):
    """Scrolling the page must not change what happens to come below the mouse."""

    def __init__(self, watched: QWidget) -> None:
        super().__init__(watched)
        watched.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        unused = isinstance(watched, QAbstractSpinBox | QComboBox | QAbstractSlider) and not watched.hasFocus()
        if event.type() is QEvent.Type.Wheel and unused:
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def line_of(*widgets: QWidget) -> QHBoxLayout:
    """Buttons beside each other, from the left."""
    row = QHBoxLayout()
    row.setSpacing(theme.px(8))
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row


def muted(words: str) -> QLabel:
    """A paragraph of explanation."""
    return label(words, "muted", wrap=True)
