"""Confirmation dialog for actions with lasting effects: what is lost, what is kept, continue or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

from app.texts import _


def ask(
    parent: QWidget,
    title: str,
    question: str,
    lines: Sequence[str],
    *,
    confirm: str,
    confirmed: Callable[[bool], object],
    danger: bool = True,
    option: tuple[str, bool] | None = None,
) -> QMessageBox:
    """Show the dialog, and call `confirmed` if the user confirms.

    Args:
        parent: the window that the dialog belongs to.
        title: title of the dialog.
        question: the question, in bold.
        lines: what happens, what is lost, what is kept.
        confirm: label of the confirming button.
        confirmed: receives whether the option is ticked (False without one).
        danger: whether something is lost; then Cancel is the default button.
        option: label of a checkbox, and its initial state.
    """
    box = QMessageBox(parent)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setIcon(QMessageBox.Icon.Warning if danger else QMessageBox.Icon.Question)
    box.setText(question)
    box.setInformativeText("\n\n".join(lines))
    ticked: QCheckBox | None = None
    if option is not None:
        ticked = QCheckBox(option[0], box)
        ticked.setAccessibleName(option[0])
        ticked.setChecked(option[1])
        box.setCheckBox(ticked)
    role = QMessageBox.ButtonRole.DestructiveRole if danger else QMessageBox.ButtonRole.AcceptRole
    go_on = box.addButton(confirm, role)
    cancel = box.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
    for button in (go_on, cancel):
        button.setAccessibleName(button.text())
    go_on.setProperty("role", "danger" if danger else "primary")
    go_on.style().polish(go_on)
    box.setDefaultButton(cancel if danger else go_on)
    box.setEscapeButton(cancel)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    go_on.clicked.connect(lambda _checked=False: confirmed(ticked is not None and ticked.isChecked()))
    box.open()
    return box
