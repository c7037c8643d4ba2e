"""The form's fields in sections: shows a Draft, returns a Draft, and shows errors beside their fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import QStringListModel, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.form.draft import Draft, FieldError
from app.features.containers.form.rows import (
    FormRow,
    Mounts,
    Ports,
    Variables,
    choose,
    chosen,
    combo,
    fault_label,
    keep_height,
    line_edit,
    mark,
    set_text,
)
from app.texts import _, message, say, verbatim
from app.ui import theme
from app.ui.inputs import ComboBox, completions
from app.ui.widgets import Card, label
from backend.api import RESTART_POLICIES

_FLAGS: Final = {
    "tty": message("Allocate a terminal (-t)"),
    "stdin_open": message("Keep input open (-i)"),
    "init": message("Run an init process"),
    "read_only_root": message("Read-only file system"),
    "auto_remove": message("Remove when it exits (--rm)"),
    "privileged": message("Privileged (full access to the machine)"),
}
_LINES: Final = {
    "image": (message("Image"), verbatim("nginx, postgres:17, ghcr.io/me/app:1.2")),
    "name": (message("Name"), message("Auto-generated")),
    "cpus": (message("Processors"), message("No limit (e.g. 1.5)")),
    "memory": (message("Memory"), message("No limit (e.g. 512m or 2g)")),
    "command": (message("Command"), message("Image default")),
    "entrypoint": (message("Entrypoint"), message("Image default")),
    "working_directory": (message("Working directory"), message("Image default")),
    "user": (message("User"), message("Image default")),
}
"""Label and placeholder by field name."""
_POLICIES: Final = {
    "no": message("Never"),
    "on-failure": message("On failure"),
    "unless-stopped": message("Unless stopped"),
    "always": message("Always"),
}
_FAULTS: Final = {
    "image-missing": message("Enter an image."),
    "image": message("Enter a valid image name, such as nginx or ghcr.io/me/app:1.2."),
    "port-missing": message("Enter the container port."),
    "port": message("Enter a port from 1 to 65535."),
    "address": message("Enter a valid IP address."),
    "source-missing": message("Choose a folder."),
    "host-path": message("Enter the full path of the folder."),
    "volume-name": message("Volume names can contain letters, digits, “_”, “.” and “-”."),
    "target-missing": message("Enter a path in the container."),
    "inner-path": message("A container path must start with “/”."),
    "target-twice": message("This container path is used twice."),
    "variable-missing": message("Enter a variable name."),
    "variable": message("Variable names can't contain spaces or “=”."),
    "cpus": message("Enter a number of processors, at least 0.01."),
    "memory": message("Enter a number with a unit, such as 512m or 2g."),
    "memory-least": message("Enter at least 6m."),
    "quotes": message("A quotation mark isn't closed."),
    "remove-and-restart": message("A container that is removed when it exits can't have a restart policy."),
    "name": message("Use two or more letters, digits, “_”, “.” or “-”, starting with a letter or digit."),
}
"""Error messages without a value, by key."""


class FormFields(QWidget):
    """All fields between the form's title and its buttons."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        # Never smaller than its size hint: otherwise the scroll area squeezes the rows before it scrolls.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.lines: dict[str, QLineEdit] = {
            name: line_edit(say(title), say(empty)) for name, (title, empty) in _LINES.items()
        }
        self.flags = {name: _flag(say(text)) for name, text in _FLAGS.items()}
        self.restart_policy = combo(_("Restart policy"), RESTART_POLICIES, lambda word: say(_POLICIES[word]))
        self.network = ComboBox(editable=True)
        self.network.setAccessibleName(_("Network"))
        line = self.network.lineEdit()
        assert line is not None
        line.setAccessibleName(_("Network"))
        line.setPlaceholderText(_("Default network"))
        self.ports, self.mounts, self.variables = Ports(), Mounts(), Variables()
        self._tables = {"ports": self.ports, "mounts": self.mounts, "variables": self.variables}
        self.image_state = label("", "muted", wrap=True)
        self._faults: dict[str, QLabel] = {}
        self._images = QStringListModel(self)
        self.lines["image"].setCompleter(completions(self._images, self))
        self._lay_out()
        self._connect()

    def offer_images(self, names: Sequence[str]) -> None:
        """Set the completions of the image field."""
        self._images.setStringList(list(names))

    def offer_networks(self, names: Sequence[str]) -> None:
        """Set the choices of the network field; its current value is kept."""
        current = self.network.currentText()
        self.network.blockSignals(True)
        self.network.clear()
        self.network.addItems(list(names))
        self.network.setCurrentText(current)
        self.network.blockSignals(False)

    def fill(self, draft: Draft) -> None:
        """Show a draft."""
        for name, line in self.lines.items():
            set_text(line, getattr(draft, name))
        for name, flag in self.flags.items():
            flag.setChecked(getattr(draft, name))
        choose(self.restart_policy, draft.restart_policy)
        self.network.setCurrentText(draft.network)
        self.ports.fill(draft.ports)
        self.mounts.fill(draft.mounts)
        self.variables.fill(draft.variables)

    def draft(self) -> Draft:
        """The current contents of all fields."""
        values: dict[str, Any] = {name: line.text() for name, line in self.lines.items()}
        values |= {name: flag.isChecked() for name, flag in self.flags.items()}
        return Draft(
            **values,
            restart_policy=chosen(self.restart_policy),
            network=self.network.currentText(),
            ports=self.ports.drafts(),
            mounts=self.mounts.drafts(),
            variables=self.variables.drafts(),
        )

    def show_faults(self, faults: Sequence[FieldError]) -> None:
        """Show each error beside its field."""
        alone = {fault.field: fault for fault in faults if fault.row is None}
        for name, place in self._faults.items():
            fault = alone.get(name)
            place.setText(_fault_text(fault) if fault else "")
            place.setVisible(fault is not None)
            mark(self._field(name), wrong=fault is not None)
        in_rows = {(fault.table, fault.row): fault for fault in reversed(faults) if fault.row is not None}
        for table, rows in self._tables.items():
            for number, row in enumerate(rows.rows):
                fault = in_rows.get((table, number))
                row.show_fault(_fault_text(fault) if fault else "", fault.field if fault else "")

    def place_of(self, fault: FieldError) -> QWidget:
        """The widget of the field with this error."""
        if fault.row is None:
            return self._field(fault.field)
        row: FormRow = self._tables[fault.table].rows[fault.row]
        return row.fields[fault.field]

    def _field(self, name: str) -> QWidget:
        return self.lines.get(name) or self.flags[name]

    def _connect(self) -> None:
        for line in self.lines.values():
            line.textChanged.connect(self.changed)
        for flag in self.flags.values():
            flag.toggled.connect(self.changed)
        self.restart_policy.currentIndexChanged.connect(self.changed)
        self.network.currentTextChanged.connect(self.changed)
        for table in self._tables.values():
            table.changed.connect(self.changed)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(4), theme.px(20), theme.px(12))
        column.setSpacing(theme.px(12))
        main = self._card(_("Image and name"), column)
        form = _form(main)
        self._row(form, "image")
        form.addRow("", self.image_state)
        self._row(form, "name")
        for title, table in (
            (_("Ports"), self.ports),
            (_("Folders and volumes"), self.mounts),
            (_("Environment variables"), self.variables),
        ):
            self._card(title, column).addWidget(table)
        limits = _form(self._card(_("Resources, restart and network"), column))
        self._row(limits, "cpus")
        self._row(limits, "memory")
        limits.addRow(label(_("Restart policy")), self.restart_policy)
        limits.addRow(label(_("Network")), self.network)
        command_card = self._card(_("Command"), column)
        command = _form(command_card)
        for name in ("command", "entrypoint", "working_directory", "user"):
            self._row(command, name)
        flags = QGridLayout()
        flags.setHorizontalSpacing(theme.px(16))
        for number, flag in enumerate(self.flags.values()):
            flags.addWidget(flag, number // 2, number % 2)
        command_card.addLayout(flags)
        self._fault_place("auto_remove", command_card)
        column.addStretch(1)

    def _card(self, title: str, column: QVBoxLayout) -> QVBoxLayout:
        card = Card(title)
        column.addWidget(card)
        return card.body

    def _row(self, form: QFormLayout, name: str) -> None:
        field_column = QVBoxLayout()
        field_column.setSpacing(theme.px(2))
        field_column.addWidget(self.lines[name])
        keep_height(self.lines[name])
        self._fault_place(name, field_column)
        text = label(say(_LINES[name][0]))
        text.setBuddy(self.lines[name])
        form.addRow(text, field_column)

    def _fault_place(self, name: str, column: QVBoxLayout) -> None:
        self._faults[name] = fault_label()
        column.addWidget(self._faults[name])


def _form(column: QVBoxLayout) -> QFormLayout:
    form = QFormLayout()
    form.setHorizontalSpacing(theme.px(14))
    form.setVerticalSpacing(theme.px(8))
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    holder = QHBoxLayout()
    holder.addLayout(form, 1)
    column.addLayout(holder)
    return form


def _flag(text: str) -> QCheckBox:
    box = QCheckBox(text)
    box.setAccessibleName(box.text())
    return box


def _fault_text(fault: FieldError) -> str:
    match fault.key:
        case "name-taken":
            return _("A container named “{value}” already exists.", value=fault.value)
        case "port-twice":
            return _("Port {value} is published twice.", value=fault.value)
        case "port-used":
            return _("The running container “{value}” uses this port.", value=fault.value)
        case "variable-twice":
            return _("“{value}” is set twice.", value=fault.value)
        case key:
            return say(_FAULTS[key])
