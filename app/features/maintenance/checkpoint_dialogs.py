"""Dialogs that confirm creating, restoring and deleting checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QMessageBox, QVBoxLayout, QWidget

from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import figures, theme
from app.ui.confirm import ask
from app.ui.widgets import label
from backend.api import messages

NAME_LIMIT: Final = 60
_NAMED: Final = 5
"""Maximum number of checkpoints named in a question; for more, only the count is shown."""


def display_name(entry: messages.CheckpointEntry) -> str:
    """A checkpoint's name, or its creation time if it has none."""
    return entry.name or figures.moment(entry.created_at)


def size_text(entry: messages.CheckpointEntry) -> str:
    """The disk space that deleting only this checkpoint frees, as text."""
    return figures.size(round(entry.size_gib * 1024**3))


class CreateDialog(QDialog):
    """Asks for an optional name, and calls `confirmed` with it."""

    def __init__(self, parent: QWidget, confirmed: Callable[[str], object]) -> None:
        super().__init__(parent)
        self._confirmed = confirmed
        self.setWindowTitle(_("Create checkpoint"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.name = QLineEdit()
        self.name.setMaxLength(NAME_LIMIT)
        self.name.setAccessibleName(_("Name (optional)"))
        self.name.setPlaceholderText(figures.moment(time.time()))
        buttons = QDialogButtonBox()
        self.confirm = buttons.addButton(_("Create"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.confirm.setProperty("role", "primary")
        cancel = buttons.addButton(_("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        for widget in (self.confirm, cancel):
            widget.setAccessibleName(widget.text())
        self.confirm.setDefault(True)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(10))
        column.addStrut(theme.px(440))
        column.addWidget(label(_("Create checkpoint"), wrap=True))
        column.addWidget(self.name)
        column.addWidget(label(_("Containers keep running. Their memory isn't included."), "muted", wrap=True))
        column.addWidget(buttons)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)

    def _accept(self) -> None:
        name = self.name.text().strip()
        self.accept()
        self._confirmed(name)


def confirm_restore(parent: QWidget, store: AppStore, entry: messages.CheckpointEntry) -> QMessageBox:
    """Confirm restoring a checkpoint; explains what is lost and what is kept."""
    lines = [
        _(
            "Changes made since {moment} to containers, images and volumes will be undone.",
            moment=figures.moment(entry.created_at),
        )
    ]
    running = len(store.running)
    if store.machine_keeps_running:
        lines.append(
            ngettext(
                "The machine restarts. {count} running container is stopped first and starts again "
                "if its restart policy allows.",
                "The machine restarts. {count} running containers are stopped first and start again "
                "if their restart policies allow.",
                running,
            )
            if running
            else _("The machine restarts. No containers are running.")
        )
    lines.append(_("The current state is saved as a checkpoint first."))
    return ask(
        parent,
        _("Restore checkpoint"),
        _("Restore “{name}”?", name=display_name(entry)),
        lines,
        confirm=_("Restore"),
        confirmed=lambda _ticked: store.intents.request_maintenance.emit(messages.RestoreCheckpoint(id=entry.id)),
    )


def confirm_deletion(parent: QWidget, store: AppStore, entries: list[messages.CheckpointEntry]) -> QMessageBox:
    """Confirm deleting one or several checkpoints."""
    count = len(entries)
    size = figures.size(round(sum(entry.size_gib for entry in entries) * 1024**3))
    lines = [_("You won't be able to restore this state."), _("The machine's disk and all other checkpoints are kept.")]
    lines.append(_("Frees at least {size} on this computer.", size=size))
    if 1 < count <= _NAMED:
        lines.insert(0, ", ".join(display_name(entry) for entry in entries))

    def delete(_ticked: bool) -> None:
        for entry in entries:
            store.intents.request_maintenance.emit(messages.DeleteCheckpoint(id=entry.id))

    return ask(
        parent,
        _("Delete checkpoints"),
        ngettext(
            "Delete the checkpoint “{name}”?", "Delete {count} checkpoints?", count, name=display_name(entries[0])
        ),
        lines,
        confirm=_("Delete"),
        confirmed=delete,
    )
