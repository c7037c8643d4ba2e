"""The dialog to create an image from a container (`docker commit`): asks for its name, and explains its contents."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from app.texts import _, message, say
from app.ui import theme
from app.ui.widgets import label
from backend.api import Container, check_image_name

_WRONG: Final = {
    "repository": message("Image names can contain only lowercase letters, digits and . _ - /"),
    "tag": message("Tags can contain only letters, digits and . _ - (up to 128 characters)."),
}
"""Error messages by the result of `check_image_name`; an empty name shows none."""


class CommitDialog(QDialog):
    """Emits `chosen` when confirmed, and closes."""

    chosen = Signal(str, str, bool)  # image name, message, whether to pause the container meanwhile

    def __init__(self, container: Container, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Commit to image"))
        self.setMinimumWidth(theme.px(480))
        self.name = QLineEdit(placeholderText="name:tag")
        self.name.setAccessibleName(_("Image name"))
        self.message = QLineEdit()
        self.message.setAccessibleName(_("Message"))
        self.pause = QCheckBox(_("Pause the container while committing, so that its files are consistent"))
        self.pause.setAccessibleName(_("Pause the container while committing, so that its files are consistent"))
        self.pause.setChecked(True)
        self.pause.setVisible(container.state.is_up)
        self.wrong = label("", "danger", wrap=True)
        form = QFormLayout()
        form.addRow(_("Image name"), self.name)
        form.addRow(_("Message"), self.message)
        form.addRow("", self.pause)
        self.buttons = QDialogButtonBox()
        self.make = self.buttons.addButton(_("Create image"), QDialogButtonBox.ButtonRole.AcceptRole)
        cancel = self.buttons.addButton(_("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        for widget in (self.make, cancel):
            widget.setAccessibleName(widget.text())
        self.make.setProperty("role", "primary")
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(12))
        column.addWidget(
            label(
                _(
                    "Creates an image from the files and settings of {name}. Volumes and running "
                    "processes aren't included.",
                    name=container.name,
                ),
                wrap=True,
            )
        )
        column.addLayout(form)
        column.addWidget(self.wrong)
        column.addWidget(self.buttons)
        self.name.textChanged.connect(self._check)
        self._check()

    def _check(self) -> None:
        problem = check_image_name(self.name.text())
        self.make.setEnabled(problem is None)
        self.wrong.setText(say(_WRONG[problem]) if problem in _WRONG else "")

    def _accept(self) -> None:
        self.chosen.emit(self.name.text().strip(), self.message.text().strip(), self.pause.isChecked())
        self.accept()
