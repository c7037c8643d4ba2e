"""The two small questions of the container list: really remove, and which name."""

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

from app import texts
from app.state.store import AppStore
from app.texts import text
from app.ui import theme
from app.ui.widgets import label
from backend.api import Container, ContainerAction, Problem, is_container_name

if TYPE_CHECKING:
    from backend.api import EngineClient


def ask_removal(
    parent: QWidget, containers: Sequence[Container], confirmed: Callable[[tuple[str, ...], ContainerAction], None]
) -> QMessageBox:
    """Ask once, say what is lost, and call `confirmed` with the ids and the kind of removal if the user agrees."""
    running = sum(entry.state.is_up for entry in containers)
    volumes = sum(entry.anonymous_volumes for entry in containers)
    count = len(containers)
    box = QMessageBox(parent)
    box.setWindowTitle(text("remove.title"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(texts.plural("remove.question", count, name=containers[0].name))
    lines = [text("remove.lost"), text("remove.kept")]
    if running:
        single = text("remove.running.single")
        lines.insert(0, single if count == 1 else texts.plural("remove.running", running))
    with_volumes: QCheckBox | None = None
    if volumes:
        lines.append(texts.plural("remove.anonymous", volumes))
        with_volumes = QCheckBox(texts.plural("remove.anonymous.too", volumes), box)
        with_volumes.setAccessibleName(with_volumes.text())
        box.setCheckBox(with_volumes)
    box.setInformativeText("\n".join(lines))
    confirm = box.addButton(text("remove.confirm"), QMessageBox.ButtonRole.DestructiveRole)
    cancel = box.addButton(text("common.cancel"), QMessageBox.ButtonRole.RejectRole)
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


def ask_rename(parent: QWidget, store: AppStore, container: Container) -> RenameDialog:
    """Ask for another name."""
    dialog = RenameDialog(parent, store, container)
    dialog.open()
    return dialog


class RenameDialog(QDialog):
    """Stays open until the engine has taken the name, and says why if it does not."""

    def __init__(self, parent: QWidget, store: AppStore, container: Container) -> None:
        super().__init__(parent)
        self._store = store
        self._container = container
        self.setWindowTitle(text("rename.title"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.name = QLineEdit(container.name)
        self.name.setAccessibleName(text("rename.name"))
        self.name.selectAll()
        self.fault = label("", "danger", wrap=True)
        buttons = QDialogButtonBox()
        self.confirm = QPushButton(text("containers.rename"))
        self.confirm.setProperty("role", "primary")
        cancel = QPushButton(text("common.cancel"))
        for button in (self.confirm, cancel):
            button.setAccessibleName(button.text())
        buttons.addButton(self.confirm, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(cancel, QDialogButtonBox.ButtonRole.RejectRole)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(10))
        column.addWidget(label(text("rename.question", name=container.name), wrap=True))
        column.addWidget(self.name)
        column.addWidget(self.fault)
        column.addWidget(buttons)
        self.setMinimumWidth(theme.px(420))
        buttons.accepted.connect(self._ask)
        buttons.rejected.connect(self.reject)
        self.name.textChanged.connect(self._check)
        self._check()

    def _check(self) -> None:
        name = self.name.text().strip()
        good = is_container_name(name)
        self.fault.setText("" if good else text("form.fault.name"))
        self.confirm.setEnabled(good and name != self._container.name)

    def _ask(self) -> None:
        if not self.confirm.isEnabled():
            return
        self.confirm.setEnabled(False)
        job = partial(_rename, container_id=self._container.id, name=self.name.text().strip())
        self._store.intents.ask_engine.emit(job, self._done)

    def _done(self, answer: Problem | None) -> None:
        if answer is None:
            self.accept()
            return
        self._check()
        # A taken name is a 409, of which the first line says only that the state forbids it.
        self.fault.setText("\n".join(answer.tail) or answer.summary)


def _rename(client: EngineClient, *, container_id: str, name: str) -> None:
    client.rename(container_id, name)
