"""Dialogs of the container list: confirm removal, and rename."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.state.store import AppStore
from app.texts import _, ngettext, say
from app.ui import theme
from app.ui.widgets import label
from backend.api import Container, ContainerAction, Problem, is_container_name

if TYPE_CHECKING:
    from backend.api import EngineClient


def confirm_removal(
    parent: QWidget, containers: Sequence[Container], confirmed: Callable[[tuple[str, ...], ContainerAction], None]
) -> QMessageBox:
    """Confirm removal and explain what is lost; calls `confirmed` with the ids and the kind of removal."""
    running = sum(entry.state.is_up for entry in containers)
    volumes = sum(entry.anonymous_volumes for entry in containers)
    count = len(containers)
    box = QMessageBox(parent)
    box.setWindowTitle(_("Remove containers"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(
        ngettext("Remove the container “{name}”?", "Remove {count} containers?", count, name=containers[0].name)
    )
    lines = [
        _("Its logs and any files not stored in a volume will be deleted."),
        _("Images and named volumes are kept."),
    ]
    if running:
        single = _("It is running and will be killed.")
        lines.insert(
            0,
            single
            if count == 1
            else ngettext(
                "{count} of them is running and will be killed.",
                "{count} of them are running and will be killed.",
                running,
            ),
        )
    with_volumes: QCheckBox | None = None
    if volumes:
        lines.append(
            ngettext(
                "{count} anonymous volume will no longer be used by any container.",
                "{count} anonymous volumes will no longer be used by any container.",
                volumes,
            )
        )
        with_volumes = QCheckBox(
            ngettext(
                "Also delete this volume and its data", "Also delete these {count} volumes and their data", volumes
            ),
            box,
        )
        with_volumes.setAccessibleName(with_volumes.text())
        box.setCheckBox(with_volumes)
    box.setInformativeText("\n".join(lines))
    confirm = box.addButton(_("Remove"), QMessageBox.ButtonRole.DestructiveRole)
    cancel = box.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
    for button in (confirm, cancel):
        button.setAccessibleName(button.text())
    confirm.setProperty("role", "danger")
    confirm.style().polish(confirm)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    ids = tuple(entry.id for entry in containers)

    def remove() -> None:
        also = with_volumes is not None and with_volumes.isChecked()
        confirmed(ids, ContainerAction.REMOVE_WITH_VOLUMES if also else ContainerAction.REMOVE)

    confirm.clicked.connect(remove)
    box.open()
    return box


def open_rename_dialog(parent: QWidget, store: AppStore, container: Container) -> RenameDialog:
    """Open the dialog to rename a container."""
    dialog = RenameDialog(parent, store, container)
    dialog.open()
    return dialog


class RenameDialog(QDialog):
    """Stays open until the engine accepts the name, and shows the error if it does not."""

    def __init__(self, parent: QWidget, store: AppStore, container: Container) -> None:
        super().__init__(parent)
        self._store = store
        self._container = container
        self.setWindowTitle(_("Rename container"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.name = QLineEdit(container.name)
        self.name.setAccessibleName(_("New name"))
        self.name.selectAll()
        self.fault = label("", "danger", wrap=True)
        buttons = QDialogButtonBox()
        self.confirm = QPushButton(_("Rename"))
        self.confirm.setProperty("role", "primary")
        cancel = QPushButton(_("Cancel"))
        for button in (self.confirm, cancel):
            button.setAccessibleName(button.text())
        buttons.addButton(self.confirm, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(cancel, QDialogButtonBox.ButtonRole.RejectRole)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(10))
        column.addWidget(label(_("New name for “{name}”:", name=container.name), wrap=True))
        column.addWidget(self.name)
        column.addWidget(self.fault)
        column.addWidget(buttons)
        self.setMinimumWidth(theme.px(420))
        buttons.accepted.connect(self._request)
        buttons.rejected.connect(self.reject)
        self.name.textChanged.connect(self._check)
        self._check()

    def _check(self) -> None:
        name = self.name.text().strip()
        good = is_container_name(name)
        self.fault.setText(
            "" if good else _("Use two or more letters, digits, “_”, “.” or “-”, starting with a letter or digit.")
        )
        self.confirm.setEnabled(good and name != self._container.name)

    def _request(self) -> None:
        if not self.confirm.isEnabled():
            return
        self.confirm.setEnabled(False)
        job = partial(_rename, container_id=self._container.id, name=self.name.text().strip())
        self._store.intents.request_engine.emit(job, self._done)

    def _done(self, answer: Problem | None) -> None:
        if answer is None:
            self.accept()
            return
        self._check()
        # A name in use is a 409, whose general summary only mentions a conflict.
        self.fault.setText("\n".join(answer.tail) or say(answer.summary))


def _rename(client: EngineClient, *, container_id: str, name: str) -> None:
    client.rename(container_id, name)
