"""The pane that offers to pull a missing image, and shows the pull's progress."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from app.features.containers.form.pulling import Pull
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import figures, theme
from app.ui.widgets import button, label
from backend.api import Problem, ProblemCode, PullProgress

_STEPS = 1000


class PullPane(QFrame):
    """Hidden until `offer`. One pull at a time."""

    pulled = Signal(str)  # image reference
    ended = Signal(object)  # Problem | None: it failed, or was cancelled

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self._store = store
        self._pull: Pull | None = None
        self._reference = ""
        self.text = label("", wrap=True)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName(_("Pull progress"))
        self.detail = label("", "muted")
        self.start = button(_("Pull and run"), self.begin, "primary")
        self.cancel = button(_("Cancel"), self.stop)
        row = QHBoxLayout()
        row.addWidget(self.detail, 1)
        row.addWidget(self.start)
        row.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(14), theme.px(10), theme.px(14), theme.px(10))
        for widget in (self.text, self.bar):
            column.addWidget(widget)
        column.addLayout(row)
        self.hide()

    @property
    def busy(self) -> bool:
        """Whether a pull is running."""
        return self._pull is not None

    @property
    def reference(self) -> str:
        """The last offered image reference."""
        return self._reference

    def offer(self, reference: str) -> None:
        """Show that the image is missing, and offer to pull it."""
        self._reference = reference
        self.text.setText(_("The image “{image}” isn't on the machine.", image=reference))
        self.detail.setText("")
        self.bar.hide()
        self.start.show()
        self.show()
        self.start.setFocus()

    def begin(self) -> None:
        """Pull the offered image."""
        self._pull = pull = Pull(self._reference)
        self.text.setText(_("Pulling “{image}”", image=self._reference))
        self.bar.setRange(0, 0)
        self.bar.show()
        self.start.hide()
        self.cancel.setFocus()
        pull.progressed.connect(self._progressed)
        self._store.intents.request_engine.emit(pull.run, self._done)

    def stop(self) -> None:
        """Cancel the pull, or hide the offer."""
        if self._pull is not None:
            self._pull.cancel()
            self._pull = None
        self.hide()
        self.ended.emit(None)

    def _progressed(self, progress: PullProgress) -> None:
        if self._pull is None:
            return
        if progress.bytes_total:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(progress.bytes_done * _STEPS // progress.bytes_total)
        size = figures.used_of(progress.bytes_done, progress.bytes_total) if progress.bytes_total else ""
        layers = (
            ngettext("{done} of {count} layer", "{done} of {count} layers", progress.layers, done=progress.layers_done)
            if progress.layers
            else ""
        )
        self.detail.setText("   ".join(part for part in (layers, size) if part) or progress.status)

    def _done(self, answer: Problem | None) -> None:
        if self._pull is None:
            return  # it was cancelled here, so its result is ignored
        self._pull = None
        self.hide()
        if answer is None:
            self.pulled.emit(self._reference)
        else:
            self.ended.emit(None if answer.code is ProblemCode.CANCELLED else answer)
