"""Tables of the form: rows of fields with an error message below each, and buttons to add and remove rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPoint, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.form.draft import MountDraft, PortDraft, VariableDraft
from app.texts import Message, _, message, say
from app.ui import theme
from app.ui.inputs import ComboBox
from app.ui.widgets import IconButton, button, label
from backend.api import MOUNT_KINDS, PROTOCOLS

_PORT_HEADINGS: Final = (
    (message("Host port"), 3),
    (message("Container port"), 3),
    (message("Protocol"), 2),
    (message("Host address"), 4),
)
_MOUNT_HEADINGS: Final = ((message("Type"), 2), (message("Source"), 5), (message("Container path"), 4))
_VARIABLE_HEADINGS: Final = ((message("Name"), 2), (message("Value"), 3))
"""Column headings with their shares of the width."""

_MOUNTS: Final = {"bind": message("Folder"), "volume": message("Volume"), "tmpfs": message("Memory")}
"""Labels of the mount types in MOUNT_KINDS."""
_SOURCES: Final = {"bind": message("Folder on this computer"), "volume": message("Volume name")}
"""Placeholder of the source field, by mount type."""

Field = QLineEdit | QComboBox | QCheckBox


class FormRow(QWidget):
    """A row of fields with an error message below."""

    changed = Signal()
    removed = Signal()

    def __init__(self, fields: dict[str, Field], shares: Sequence[int], extra: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.fields = fields
        self.fault = fault_label()
        line = QHBoxLayout()
        line.setSpacing(theme.px(6))
        for field, share in zip(fields.values(), shares, strict=True):
            line.addWidget(field, share)
            keep_height(field)
            if isinstance(field, QLineEdit):
                field.textChanged.connect(self.changed)
            elif isinstance(field, QComboBox):
                field.currentIndexChanged.connect(self.changed)
            else:
                field.toggled.connect(self.changed)
        for widget in extra:
            line.addWidget(widget)
        remove = IconButton("close", _("Remove this row"))
        remove.clicked.connect(self.removed)
        line.addWidget(remove)
        keep_height(remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(2))
        column.addLayout(line)
        column.addWidget(self.fault)

    def show_fault(self, text: str, name: str = "") -> None:
        """Show an error message for the field of that name; "" removes it."""
        self.fault.setText(text)
        self.fault.setVisible(bool(text))
        for key, field in self.fields.items():
            mark(field, wrong=bool(text) and key == name)


class Rows(QWidget):
    """A table of rows; `make` creates an empty row."""

    changed = Signal()

    def __init__(self, make: Callable[[], FormRow], add_label: str, headings: Sequence[tuple[Message, int]]) -> None:
        """Create an empty table.

        Args:
            headings: column headings with their shares of the width.
        """
        super().__init__()
        self._heading = _Headings([say(title) for title, _share in headings])
        self._make = make
        self.rows: list[FormRow] = []
        self._lines = QVBoxLayout()
        self._lines.setSpacing(theme.px(6))
        self.add_button = button(add_label, self._add_and_focus)
        below = QHBoxLayout()
        below.addWidget(self.add_button)
        below.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(6))
        column.addWidget(self._heading)
        column.addLayout(self._lines)
        column.addLayout(below)

    def add(self) -> FormRow:
        """Add an empty row."""
        row = self._make()
        row.changed.connect(self.changed)
        row.removed.connect(self._remove_sender)
        self.rows.append(row)
        self._lines.addWidget(row)
        if len(self.rows) == 1:
            self._heading.follow(list(row.fields.values()))
        self.changed.emit()
        return row

    def _add_and_focus(self) -> None:
        next(iter(self.add().fields.values())).setFocus()

    def _remove_sender(self) -> None:
        row = self.sender()
        assert isinstance(row, FormRow)
        self.rows.remove(row)
        row.hide()
        row.deleteLater()
        self._heading.follow(list(self.rows[0].fields.values()) if self.rows else [])
        self.add_button.setFocus()
        self.changed.emit()


class Ports(Rows):
    """The table of published ports."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add port"), _PORT_HEADINGS)

    def fill(self, drafts: Sequence[PortDraft]) -> None:
        """Add a row for each draft."""
        for draft in drafts:
            row = self.add()
            for key in ("host_port", "container_port", "host_ip"):
                set_text(row.fields[key], getattr(draft, key))
            choose(row.fields["protocol"], draft.protocol)

    def drafts(self) -> tuple[PortDraft, ...]:
        """The contents of all rows."""
        return tuple(
            PortDraft(
                host_ip=typed_text(row.fields["host_ip"]),
                host_port=typed_text(row.fields["host_port"]),
                container_port=typed_text(row.fields["container_port"]),
                protocol=chosen(row.fields["protocol"]),
            )
            for row in self.rows
        )

    @staticmethod
    def _row() -> FormRow:
        fields: dict[str, Field] = {
            "host_port": line_edit(_("Host port"), _("Any free port")),
            "container_port": line_edit(_("Container port"), "80"),
            "protocol": combo(_("Protocol"), PROTOCOLS, str.upper),
            "host_ip": line_edit(_("Host address"), _("Default address")),
        }
        return FormRow(fields, [share for _key, share in _PORT_HEADINGS])


class Mounts(Rows):
    """The table of mounts: folders, volumes and tmpfs."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add folder or volume"), _MOUNT_HEADINGS)

    def fill(self, drafts: Sequence[MountDraft]) -> None:
        """Add a row for each draft."""
        for draft in drafts:
            row = self.add()
            choose(row.fields["kind"], draft.kind)
            for key in ("source", "target"):
                set_text(row.fields[key], getattr(draft, key))
            check = row.fields["read_only"]
            assert isinstance(check, QCheckBox)
            check.setChecked(draft.read_only)

    def drafts(self) -> tuple[MountDraft, ...]:
        """The contents of all rows."""
        drafts = []
        for row in self.rows:
            check = row.fields["read_only"]
            assert isinstance(check, QCheckBox)
            drafts.append(
                MountDraft(
                    chosen(row.fields["kind"]),
                    typed_text(row.fields["source"]),
                    typed_text(row.fields["target"]),
                    check.isChecked(),
                )
            )
        return tuple(drafts)

    def _row(self) -> FormRow:
        kind = combo(_("Type"), MOUNT_KINDS, lambda kind_name: say(_MOUNTS[kind_name]))
        source = line_edit(_("Source"))
        read_only = QCheckBox(_("Read-only"))
        read_only.setAccessibleName(read_only.text())
        browse = IconButton("folder-open-outline", _("Choose folder"))
        fields: dict[str, Field] = {
            "kind": kind,
            "source": source,
            "target": line_edit(_("Container path"), "/data"),
            "read_only": read_only,
        }
        row = FormRow(fields, [*(share for _key, share in _MOUNT_HEADINGS), 0], (browse,))

        def adapt() -> None:
            kind_name = chosen(kind)
            browse.setEnabled(kind_name == "bind")
            source.setEnabled(kind_name != "tmpfs")
            source.setPlaceholderText(say(_SOURCES[kind_name]) if kind_name in _SOURCES else "")

        def choose_folder() -> None:
            folder = QFileDialog.getExistingDirectory(self, _("Choose folder"), source.text())
            if folder:
                source.setText(folder)

        kind.currentIndexChanged.connect(lambda _index: adapt())
        browse.clicked.connect(lambda _checked=False: choose_folder())
        adapt()
        return row


class Variables(Rows):
    """The table of environment variables."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add variable"), _VARIABLE_HEADINGS)

    def fill(self, drafts: Sequence[VariableDraft]) -> None:
        """Add a row for each draft."""
        for draft in drafts:
            row = self.add()
            set_text(row.fields["name"], draft.name)
            set_text(row.fields["value"], draft.value)

    def drafts(self) -> tuple[VariableDraft, ...]:
        """The contents of all rows."""
        return tuple(
            VariableDraft(typed_text(row.fields["name"]), typed_text(row.fields["value"])) for row in self.rows
        )

    @staticmethod
    def _row() -> FormRow:
        fields: dict[str, Field] = {
            "name": line_edit(_("Name"), " "),
            "value": line_edit(_("Value"), " "),
        }
        return FormRow(fields, [share for _key, share in _VARIABLE_HEADINGS])


class _Headings(QWidget):
    """The headings above the fields of the first row. Not for screen readers: each field has its own name."""

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self.labels = [label(title, "muted") for title in titles]
        for each in self.labels:
            each.setParent(self)
        self._fields: list[Field] = []
        self.setFixedHeight(max(each.sizeHint().height() for each in self.labels))
        self.hide()

    def follow(self, fields: list[Field]) -> None:
        """Stay above these fields; without any there is no heading."""
        for each in self._fields:
            each.removeEventFilter(self)
        self._fields = fields[: len(self.labels)]
        for each in self._fields:
            each.installEventFilter(self)
        self.setVisible(bool(fields))
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        for each, field in zip(self.labels, self._fields, strict=False):
            left = field.mapTo(self.window(), QPoint()).x() - self.mapTo(self.window(), QPoint()).x()
            each.setGeometry(left + theme.px(2), 0, field.width(), self.height())


def fault_label() -> QLabel:
    """A hidden one-line label for an error message; one line, so that the fields above keep their height."""
    widget = label("", "danger")
    widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    widget.hide()
    return widget


def line_edit(name: str, placeholder: str | None = None) -> QLineEdit:
    """A line edit with an accessible name and a placeholder."""
    widget = QLineEdit()
    widget.setAccessibleName(name)
    widget.setPlaceholderText(placeholder or name)
    widget.setMinimumWidth(theme.px(60))
    return widget


def combo(name: str, values: Sequence[str], label_of: Callable[[str], str]) -> QComboBox:
    """A combo box for some values, labelled by `label_of`."""
    widget = ComboBox()
    widget.setAccessibleName(name)
    for value in values:
        widget.addItem(label_of(value), value)
    return widget


def choose(field: QWidget, value: str) -> None:
    """Select a value; one that is not among the choices is added."""
    assert isinstance(field, QComboBox)
    at = field.findData(value)
    if at < 0:
        field.addItem(value, value)
        at = field.count() - 1
    field.setCurrentIndex(at)


def chosen(field: QWidget) -> str:
    """The selected value of a combo box."""
    assert isinstance(field, QComboBox)
    return str(field.currentData())


def typed_text(field: QWidget) -> str:
    """The text of a line edit."""
    assert isinstance(field, QLineEdit)
    return field.text()


def set_text(field: QWidget, value: str) -> None:
    """Set a line edit's text and scroll to its beginning."""
    assert isinstance(field, QLineEdit)
    field.setText(value)
    field.setCursorPosition(0)


def mark(field: QWidget, *, wrong: bool) -> None:
    """Color the frame of a field with an error."""
    if bool(field.property("wrong")) != wrong:
        field.setProperty("wrong", wrong)
        field.style().unpolish(field)
        field.style().polish(field)


def keep_height(field: QWidget) -> None:
    """Keep a field's full height: below wrapped text, a scroll area gives its content less than its size hint."""
    field.ensurePolished()
    field.setMinimumHeight(field.sizeHint().height())
