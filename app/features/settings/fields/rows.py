"""Rows of the settings pages: a title, an explanation and one control, which has both for screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.ui.inputs import ComboBox, Slider, SpinBox
from app.ui.widgets import label


class SettingsSection(QScrollArea):
    """A scrollable page of settings rows."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(title)
        inner = QWidget()
        inner.setObjectName("page")
        # Longer lines are hard to read, and a control would be far from its label.
        inner.setMaximumWidth(theme.px(760))
        self.column = QVBoxLayout(inner)
        self.column.setContentsMargins(theme.px(2), theme.px(14), theme.px(14), theme.px(18))
        self.column.setSpacing(theme.px(14))
        self.setWidget(inner)


class CheckRow(QWidget):
    """A row with a check box."""

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
        """Show the current value; None while unknown."""
        self.box.setEnabled(on is not None)
        self.box.setChecked(bool(on))


class ChoiceRow(QWidget):
    """A row with a choice of a few values."""

    chosen = Signal(object)  # by the user: the value

    def __init__(self, title: str, choices: Sequence[tuple[object, str]], help_text: str = "") -> None:
        super().__init__()
        self.box = ComboBox()
        self.box.setAccessibleName(title)
        self.box.setAccessibleDescription(help_text)
        self.box.setMinimumWidth(theme.px(270))  # the same for nearly all, to align their edges
        self._values = [value for value, _ in choices]
        self.box.addItems([text for _, text in choices])
        self.box.activated.connect(lambda row: self.chosen.emit(self._values[row]))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(16))
        texts_column = QVBoxLayout()
        texts_column.setSpacing(theme.px(2))
        title_label = label(title, wrap=True)
        title_label.setBuddy(self.box)
        texts_column.addWidget(title_label)
        if help_text:
            texts_column.addWidget(label(help_text, "muted", wrap=True))
        row.addLayout(texts_column, 1)
        row.addWidget(self.box, 0, Qt.AlignmentFlag.AlignTop)

    def offer(self, choices: Sequence[tuple[object, str]]) -> None:
        """Replace the choices: value and label of each."""
        values = [value for value, _ in choices]
        if values != self._values:
            self._values = values
            self.box.clear()
            self.box.addItems([text for _, text in choices])

    def show_value(self, value: object) -> None:
        """Show the current value."""
        if value in self._values:
            self.box.setCurrentIndex(self._values.index(value))


class NumberRow(QWidget):
    """A row with a small number in a spin box."""

    chosen = Signal(int)  # by the user, when editing is finished

    def __init__(self, title: str, least: int, most: int, help_text: str = "", *, zero: str = "") -> None:
        """Create the row.

        Args:
            zero: text shown for the least number, if that has a special meaning.
        """
        super().__init__()
        self._shown: int | None = None
        self.box = SpinBox()
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
        texts_column = QVBoxLayout()
        texts_column.setSpacing(theme.px(2))
        title_label = label(title)
        title_label.setBuddy(self.box)
        texts_column.addWidget(title_label)
        if help_text:
            texts_column.addWidget(label(help_text, "muted", wrap=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(16))
        row.addLayout(texts_column, 1)
        row.addWidget(self.box, 0, Qt.AlignmentFlag.AlignTop)

    def show_value(self, value: int | None) -> None:
        """Show the current value; None while unknown."""
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
    """A row with a number in a range: a slider, and a field for the exact value."""

    changed = Signal(int)  # by the user

    def __init__(self, title: str, suffix: str, *, step: int = 1, shown_in: int = 1) -> None:
        """Create the row.

        Args:
            title: the label.
            suffix: the unit after the number.
            step: by how much the slider changes the value.
            shown_in: the field shows the value divided by this: 1024 for a value in MiB that is shown in GiB.
        """
        super().__init__()
        self._step = step
        self._title = title
        self._dangerous_from: int | None = None
        self.title = label(title, "heading")
        self.note = label("", "muted", wrap=True)
        self.field = SpinBox(shown_in=shown_in)
        self.field.setSuffix(suffix)
        self.field.setSingleStep(step)
        self.field.setAccessibleName(title)
        self.field.setFixedWidth(theme.px(130))  # the same for all, so that the sliders are of one length
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        # Without arrow buttons (style sheet): the slider is beside it, and the arrow keys work.
        self.field.setProperty("amount", True)
        self.field.lineEdit().setTextMargins(0, 0, theme.px(6), 0)
        self.field.setKeyboardTracking(False)
        self.slider = Slider()
        self.slider.setAccessibleName(title)
        self.title.setBuddy(self.field)
        self.slider.valueChanged.connect(self._on_slider)
        self.field.valueChanged.connect(self._on_field)
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
        """The value that is set."""
        return self.field.value()

    def set_range(self, least: int, most: int, *, dangerous_from: int | None = None) -> None:
        """Set the range, and the value from which on a warning is shown."""
        self._dangerous_from = dangerous_from
        with QSignalBlocker(self.field), QSignalBlocker(self.slider):
            self.field.setRange(least, max(least, most))
            self.slider.setRange(-(-least // self._step), max(least, most) // self._step)
            self.slider.setPageStep(max(1, (most - least) // self._step // 10))
        self._colour()

    def show_value(self, value: int) -> None:
        """Show the current value."""
        with QSignalBlocker(self.field), QSignalBlocker(self.slider):
            self.field.setValue(value)
            self.slider.setValue(value // self._step)
        self._colour()

    def set_note(self, text: str) -> None:
        """Set the explanation below the control."""
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.field.setAccessibleDescription(text)
        self.slider.setAccessibleDescription(text)

    @property
    def is_dangerous(self) -> bool:
        """Whether the value is so large that this computer may become slow."""
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
            new_value: object = role if property_ == "role" else self.is_dangerous
            if widget.property(property_) != new_value:
                widget.setProperty(property_, new_value)
                widget.style().unpolish(widget)
                widget.style().polish(widget)


def line_of(*widgets: QWidget) -> QHBoxLayout:
    """A row of widgets, aligned to the left."""
    row = QHBoxLayout()
    row.setSpacing(theme.px(8))
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row


def muted(text: str) -> QLabel:
    """A paragraph of explanation in the muted style."""
    return label(text, "muted", wrap=True)
