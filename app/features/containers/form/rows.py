"""Tables of the form: rows of fields with what is wrong below each, a button to take a row away, one to add."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import Signal
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
"""The texts over the fields, and what each takes of the width."""

_MOUNTS: Final = {"bind": message("Folder"), "volume": message("Volume"), "tmpfs": message("Memory")}
"""The kinds of mounts, as in MOUNT_KINDS."""
_SOURCES: Final = {"bind": message("Folder on this computer"), "volume": message("Volume name")}
"""What stands in an empty source, by kind."""

Field = QLineEdit | QComboBox | QCheckBox


class FormRow(QWidget):
    """Some fields in a line, and below it what is wrong."""

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

    def show_fault(self, words: str, name: str = "") -> None:
        """Say what is wrong with the field of that name; empty: nothing is."""
        self.fault.setText(words)
        self.fault.setVisible(bool(words))
        for key, field in self.fields.items():
            mark(field, wrong=bool(words) and key == name)


class Rows(QWidget):
    """A table. `make` gives the fields of a new row."""

    changed = Signal()

    def __init__(
        self, make: Callable[[], FormRow], add_words: str, headings: Sequence[tuple[Message, int]], beside: int = 40
    ) -> None:
        """Make it empty.

        Args:
            headings: over the fields that share the width: the text and the share.
            beside: the width of what stands to the right of those.
        """
        super().__init__()
        self._heading = _heading(headings, beside)
        self._make = make
        self.rows: list[FormRow] = []
        self._lines = QVBoxLayout()
        self._lines.setSpacing(theme.px(6))
        self.add_button = button(add_words, self._add_by_hand)
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
        """One more row, empty."""
        row = self._make()
        row.changed.connect(self.changed)
        row.removed.connect(self._remove_sender)
        self.rows.append(row)
        self._lines.addWidget(row)
        self._heading.show()
        self.changed.emit()
        return row

    def _add_by_hand(self) -> None:
        next(iter(self.add().fields.values())).setFocus()

    def _remove_sender(self) -> None:
        row = self.sender()
        assert isinstance(row, FormRow)
        self.rows.remove(row)
        row.hide()
        row.deleteLater()
        self._heading.setVisible(bool(self.rows))
        self.add_button.setFocus()
        self.changed.emit()


class Ports(Rows):
    """Published ports."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add port"), _PORT_HEADINGS)

    def fill(self, drafts: Sequence[PortDraft]) -> None:
        """Show these."""
        for draft in drafts:
            row = self.add()
            for key in ("host_port", "container_port", "host_ip"):
                set_words(row.fields[key], getattr(draft, key))
            choose(row.fields["protocol"], draft.protocol)

    def drafts(self) -> tuple[PortDraft, ...]:
        """What stands there."""
        return tuple(
            PortDraft(
                host_ip=words(row.fields["host_ip"]),
                host_port=words(row.fields["host_port"]),
                container_port=words(row.fields["container_port"]),
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
    """Folders, volumes and memory."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add folder or volume"), _MOUNT_HEADINGS, 180)

    def fill(self, drafts: Sequence[MountDraft]) -> None:
        """Show these."""
        for draft in drafts:
            row = self.add()
            choose(row.fields["kind"], draft.kind)
            for key in ("source", "target"):
                set_words(row.fields[key], getattr(draft, key))
            check = row.fields["read_only"]
            assert isinstance(check, QCheckBox)
            check.setChecked(draft.read_only)

    def drafts(self) -> tuple[MountDraft, ...]:
        """What stands there."""
        made = []
        for row in self.rows:
            check = row.fields["read_only"]
            assert isinstance(check, QCheckBox)
            made.append(
                MountDraft(
                    chosen(row.fields["kind"]),
                    words(row.fields["source"]),
                    words(row.fields["target"]),
                    check.isChecked(),
                )
            )
        return tuple(made)

    def _row(self) -> FormRow:
        kind = combo(_("Type"), MOUNT_KINDS, lambda word: say(_MOUNTS[word]))
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
            word = chosen(kind)
            browse.setEnabled(word == "bind")
            source.setEnabled(word != "tmpfs")
            source.setPlaceholderText(say(_SOURCES[word]) if word in _SOURCES else "")

        def look() -> None:
            found = QFileDialog.getExistingDirectory(self, _("Choose folder"), source.text())
            if found:
                source.setText(found)

        kind.currentIndexChanged.connect(lambda _index: adapt())
        browse.clicked.connect(lambda _checked=False: look())
        adapt()
        return row


class Variables(Rows):
    """The environment."""

    def __init__(self) -> None:
        super().__init__(self._row, _("Add variable"), _VARIABLE_HEADINGS)

    def fill(self, drafts: Sequence[VariableDraft]) -> None:
        """Show these."""
        for draft in drafts:
            row = self.add()
            set_words(row.fields["name"], draft.name)
            set_words(row.fields["value"], draft.value)

    def drafts(self) -> tuple[VariableDraft, ...]:
        """What stands there."""
        return tuple(VariableDraft(words(row.fields["name"]), words(row.fields["value"])) for row in self.rows)

    @staticmethod
    def _row() -> FormRow:
        fields: dict[str, Field] = {
            "name": line_edit(_("Name"), " "),
            "value": line_edit(_("Value"), " "),
        }
        return FormRow(fields, [share for _key, share in _VARIABLE_HEADINGS])


def _heading(headings: Sequence[tuple[Message, int]], beside: int) -> QWidget:
    """The words over the fields. The fields have their names themselves: this is for the eye only."""
    made = QWidget()
    line = QHBoxLayout(made)
    line.setContentsMargins(theme.px(2), 0, theme.px(beside), 0)
    line.setSpacing(theme.px(6))
    for title, share in headings:
        words_of_it = label(say(title), "muted")
        words_of_it.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        line.addWidget(words_of_it, share)
    made.hide()
    return made


def fault_label() -> QLabel:
    """For what is wrong with a field: one line, so that the fields above it keep their height."""
    made = label("", "danger")
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.hide()
    return made


def line_edit(name: str, placeholder: str | None = None) -> QLineEdit:
    """A field with a name for everybody."""
    made = QLineEdit()
    made.setAccessibleName(name)
    made.setPlaceholderText(placeholder or name)
    made.setMinimumWidth(theme.px(60))
    return made


def combo(name: str, values: Sequence[str], words_of: Callable[[str], str]) -> QComboBox:
    """A choice among some values."""
    made = QComboBox()
    made.setAccessibleName(name)
    for value in values:
        made.addItem(words_of(value), value)
    return made


def choose(field: QWidget, value: str) -> None:
    """Choose a value, one that is not offered too: what exists is shown as it is."""
    assert isinstance(field, QComboBox)
    at = field.findData(value)
    if at < 0:
        field.addItem(value, value)
        at = field.count() - 1
    field.setCurrentIndex(at)


def chosen(field: QWidget) -> str:
    """What is chosen."""
    assert isinstance(field, QComboBox)
    return str(field.currentData())


def words(field: QWidget) -> str:
    """What was typed."""
    assert isinstance(field, QLineEdit)
    return field.text()


def set_words(field: QWidget, value: str) -> None:
    """Show that, from its beginning."""
    assert isinstance(field, QLineEdit)
    field.setText(value)
    field.setCursorPosition(0)


def mark(field: QWidget, *, wrong: bool) -> None:
    """Colour the frame of a field with something wrong; the words beside it say what."""
    if bool(field.property("wrong")) != wrong:
        field.setProperty("wrong", wrong)
        field.style().unpolish(field)
        field.style().polish(field)


def keep_height(field: QWidget) -> None:
    """Let no layout press it together: below wrapped words, a scroll area gives its content less than it asks for."""
    field.ensurePolished()
    field.setMinimumHeight(field.sizeHint().height())
