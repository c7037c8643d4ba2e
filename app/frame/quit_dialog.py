"""The dialog shown when quitting while the machine runs: keep it running, suspend it, or stop it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.state.machine_actions import refusal
from app.state.store import AppStore
from app.texts import _, message, ngettext, say
from app.ui import icons, theme
from app.ui.widgets import label
from backend.api import Phase

CHOICES = ("keep", "suspend", "stop")
_CHOICES = {
    "keep": (message("Keep running"), message("Containers and the docker command keep working without the window.")),
    "suspend": (
        message("Suspend"),
        message("Frees memory and processors. Containers pick up where they left off next time."),
    ),
    "stop": (message("Stop"), message("Stops all containers. Nothing on the disk is lost.")),
}
"""Label and explanation of each choice."""


class QuitDialog(QDialog):
    """Calls `chosen` with one of CHOICES if the user confirms. "Remember my choice" saves it in the preferences."""

    def __init__(self, parent: QWidget, store: AppStore, chosen: Callable[[str], None]) -> None:
        super().__init__(parent)
        self._store = store
        self._chosen = chosen
        self.setWindowTitle(_("Quit Wherry"))
        self.choices: dict[str, QRadioButton] = {}
        self.remember = QCheckBox(_("Remember my choice"))
        self.remember.setAccessibleName(_("Remember my choice"))
        self.remember.setToolTip(_("You can change this later in Settings > Lifecycle"))
        buttons = QDialogButtonBox()
        self.confirm = buttons.addButton(_("Quit"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.confirm.setProperty("role", "primary")
        self.cancel = buttons.addButton(_("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        for button in (self.confirm, self.cancel):
            button.setAccessibleName(button.text())
        self.confirm.setDefault(True)
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(theme.px(48), theme.px(48))))
        head = QVBoxLayout()
        head.setSpacing(theme.px(4))
        head.addWidget(label(_("What should happen to the machine?"), "title", wrap=True))
        count = len(store.running)
        head.addWidget(
            label(
                ngettext("{count} container is running.", "{count} containers are running.", count)
                if count
                else _("No containers are running."),
                "muted",
            )
        )
        top = QHBoxLayout()
        top.setSpacing(theme.px(14))
        top.addWidget(picture)
        top.addLayout(head, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(22), theme.px(20), theme.px(22), theme.px(16))
        column.setSpacing(theme.px(10))
        column.addStrut(theme.px(436))
        column.addLayout(top)
        column.addSpacing(theme.px(6))
        refused = refusal(store)
        for name in CHOICES:
            choice = self.choices[name] = QRadioButton(say(_CHOICES[name][0]))
            choice.setAccessibleName(choice.text())
            explanation = say(_CHOICES[name][1])
            if name != "keep" and refused:
                explanation = refused
                choice.setEnabled(False)
            elif name == "suspend" and store.phase not in (Phase.RUNNING, Phase.DEGRADED):
                explanation = _("Not available while the machine starts or stops.")
                choice.setEnabled(False)
            choice.setAccessibleDescription(explanation)
            # Spacing keeps each explanation close to its own choice.
            pair = QVBoxLayout()
            pair.setSpacing(theme.px(2))
            pair.addWidget(choice)
            below = QHBoxLayout()
            below.setContentsMargins(theme.px(26), 0, 0, theme.px(4))
            below.addWidget(label(explanation, "muted", wrap=True))
            pair.addLayout(below)
            column.addLayout(pair)
        self.choices["keep"].setChecked(True)
        column.addWidget(self.remember)
        column.addSpacing(theme.px(6))
        column.addWidget(buttons)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)

    @property
    def choice(self) -> str:
        """The selected one of CHOICES."""
        return next(name for name, choice in self.choices.items() if choice.isChecked())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.resize(self.sizeHint())  # the earlier size did not account for the zoomed font

    def _accept(self) -> None:
        choice = self.choice
        if self.remember.isChecked():
            self._store.preferences.on_quit = choice
        self.accept()
        self._chosen(choice)
