"""The network check dialog: tests each hop of an image pull and shows results, hints and an overall verdict."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.features.doctor.network_check_store import Hop, NetworkCheckStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.marked import Mark, MarkedRow, show_line
from app.ui.widgets import CopyButton, button, label, resize_on_screen
from backend.api import HopState

_EXAMPLE: Final = "hello-world"
_STATES: Final = {
    HopState.OK: message("OK"),
    HopState.FAILED: message("Failed"),
    HopState.WARNING: message("Warning"),
    HopState.SKIPPED: message("Skipped"),
}
_GLYPHS: Final = {
    HopState.OK: "check-circle",
    HopState.FAILED: "alert-circle",
    HopState.WARNING: "alert",
    HopState.SKIPPED: "minus-circle-outline",
}


class NetworkCheckDialog(QDialog):
    """The dialog. Not modal, so that the user can follow its hints in the main window."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Network check"))
        resize_on_screen(self, 680, 600)
        self.image = QLineEdit(clearButtonEnabled=True)
        self.image.setPlaceholderText(_EXAMPLE)
        self.image.setAccessibleName(_("Image"))
        self.run = button(_("Check"), self.start, "primary")
        self.cancel = button(_("Cancel"), store.intents.cancel_network_check.emit)
        self.progress = QProgressBar(textVisible=False)
        self.progress.setRange(0, 0)
        self.progress.setAccessibleName(_("Checking…"))
        self.problem = ProblemView(store)
        self.verdict = _Verdict()
        self.copy = CopyButton(lambda: store.part(NetworkCheckStore).as_text, _("Copy as text"))
        self.close_button = button(_("Close"), self.reject)
        self.rows: list[HopRow] = []
        self._lay_out()
        store.part(NetworkCheckStore).changed.connect(self.refresh)
        self.run.setDefault(True)
        self.refresh()

    def check(self, image: str) -> None:
        """Start a check with an image, or with "" for a default one."""
        self.image.setText(image)
        self.start()

    def start(self) -> None:
        """Start a check with the image in the field."""
        self._store.intents.run_network_check.emit(self.image.text().strip())

    def refresh(self) -> None:
        """Update the widgets from the store."""
        check = self._store.part(NetworkCheckStore)
        had_keyboard = self.run.hasFocus() or self.cancel.hasFocus()
        self.run.setText(_("Check again") if check.hops or check.problem else _("Check"))
        self.run.setAccessibleName(self.run.text())
        self.run.setVisible(not check.running)
        self.cancel.setVisible(check.running)
        if had_keyboard:
            (self.cancel if check.running else self.run).setFocus()
        self.progress.setVisible(check.running)
        self.copy.setEnabled(bool(check.as_text))
        self.problem.show_problem(check.problem)
        self._show_verdict()
        while len(self.rows) < len(check.hops):
            row = HopRow()
            self.rows.append(row)
            self._list.insertWidget(self._list.count() - 1, row)
        for number, row in enumerate(self.rows):
            row.setVisible(number < len(check.hops))
            if number < len(check.hops):
                row.show_hop(check.hops[number])

    def reject(self) -> None:
        """Cancel a running check and close the dialog."""
        self._store.intents.cancel_network_check.emit()
        super().reject()

    def _show_verdict(self) -> None:
        check = self._store.part(NetworkCheckStore)
        if check.running:
            self.verdict.show_verdict(None, _("Checking…"))
        elif check.cancelled:
            self.verdict.show_verdict(None, _("The check was canceled."))
        elif check.verdict is not None:
            self.verdict.show_verdict(check.worst, say(check.verdict))
        self.verdict.setVisible(check.running or check.cancelled or check.verdict is not None)

    def _lay_out(self) -> None:
        controls = QHBoxLayout()
        controls.setSpacing(theme.px(8))
        image = label(_("Image"))
        image.setBuddy(self.image)
        controls.addWidget(image)
        controls.addWidget(self.image, 1)
        controls.addWidget(self.run)
        controls.addWidget(self.cancel)
        inner = QWidget()
        inner.setObjectName("page")
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(theme.px(4), theme.px(6), theme.px(12), theme.px(6))
        self._list.setSpacing(theme.px(12))
        # Inside the scroll area, because a problem can be long.
        self._list.addWidget(self.problem)
        self._list.addWidget(self.verdict)
        self._list.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setAccessibleName(_("Steps of the pull"))
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        below = QHBoxLayout()
        below.addWidget(self.copy)
        below.addStretch(1)
        below.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(16), theme.px(20), theme.px(14))
        column.setSpacing(theme.px(10))
        column.addWidget(label(_("Network check"), "title"))
        column.addWidget(
            label(
                _(
                    "Tests each step of an image pull, from this computer and from the machine, and "
                    "suggests fixes. Nothing is changed."
                ),
                "muted",
                wrap=True,
            )
        )
        column.addLayout(controls)
        column.addWidget(self.progress)
        column.addWidget(self.area, 1)
        column.addLayout(below)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_list"):
            self.refresh()


class _Verdict(QFrame):
    """The overall result: an icon and a sentence in a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.mark = Mark(22)
        self.text = label("", "heading", wrap=True, selectable=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(14), theme.px(10), theme.px(14), theme.px(10))
        row.setSpacing(theme.px(10))
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.text, 1)

    def show_verdict(self, state: HopState | None, text: str) -> None:
        self.mark.setVisible(state is not None)
        if state is not None:
            _show_mark(self.mark, state)
        self.text.setText(text)


class HopRow(MarkedRow):
    """One hop: what was tested, its result and details, and what to do."""

    def __init__(self) -> None:
        self.detail = label("", wrap=True, selectable=True)
        self.fix = label("", wrap=True, selectable=True)
        super().__init__(self.detail, self.fix)

    def show_hop(self, hop: Hop) -> None:
        """Show the result of a hop."""
        _show_mark(self.mark, hop.state)
        self.title.setText(f"{say(hop.title)} · {say(_STATES[hop.state])}")
        show_line(self.detail, say(hop.detail))
        show_line(self.fix, _("What to do: {hint}", hint=hop.fix) if hop.fix is not None else "")


def _show_mark(mark: Mark, state: HopState) -> None:
    current = theme.current()
    colour = {
        HopState.OK: current.running,
        HopState.FAILED: current.danger,
        HopState.WARNING: current.warning,
        HopState.SKIPPED: current.stopped,
    }[state]
    mark.show_mark(_GLYPHS[state], colour, say(_STATES[state]))
