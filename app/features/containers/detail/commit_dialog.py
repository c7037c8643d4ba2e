"""The question before an image is made of a container: its name, and what is and is not in it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from app.texts import text
from app.ui import theme
from app.ui.widgets import label
from backend.api import Container, check_image_name


class CommitDialog(QDialog):
    """Emits `chosen`, and is gone."""

    chosen = Signal(str, str, bool)  # the image's name, message, whether to hold the processes meanwhile

    def __init__(self, container: Container, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(text("commit.title"))
        self.setMinimumWidth(theme.px(480))
        self.name = QLineEdit(placeholderText="name:tag")
        self.name.setAccessibleName(text("commit.name"))
        self.message = QLineEdit()
        self.message.setAccessibleName(text("commit.message"))
        self.pause = QCheckBox(text("commit.pause"))
        self.pause.setAccessibleName(text("commit.pause"))
        self.pause.setChecked(True)
        self.pause.setVisible(container.state.is_up)
        self.wrong = label("", "danger", wrap=True)
        form = QFormLayout()
        form.addRow(text("commit.name"), self.name)
        form.addRow(text("commit.message"), self.message)
        form.addRow("", self.pause)
        self.buttons = QDialogButtonBox()
        self.make = self.buttons.addButton(text("commit.make"), QDialogButtonBox.ButtonRole.AcceptRole)
        cancel = self.buttons.addButton(text("common.cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        for made in (self.make, cancel):
            made.setAccessibleName(made.text())
        self.make.setProperty("role", "primary")
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(12))
        column.addWidget(label(text("commit.what", name=container.name), wrap=True))
        column.addLayout(form)
        column.addWidget(self.wrong)
        column.addWidget(self.buttons)
        self.name.textChanged.connect(self._check)
        self._check()

    def _check(self) -> None:
        problem = check_image_name(self.name.text())
        self.make.setEnabled(problem is None)
        self.wrong.setText(text(f"commit.wrong.{problem}") if problem not in (None, "empty") else "")

    def _accept(self) -> None:
        self.chosen.emit(self.name.text().strip(), self.message.text().strip(), self.pause.isChecked())
        self.accept()
