"""The support bundle card: explains it, creates it, and shows its location and contents."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar

from app.features.doctor.bundle_store import BundleStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _
from app.ui import figures
from app.ui.widgets import Card, ElidedLabel, button, label

_SUFFIX: Final = "zip"
_STEPS: Final = 1000


class BundleCard(Card):
    """Shows the state of the support bundle. Works in every phase of the machine, and without an agent."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Support bundle"))
        self._store = store
        self.make = button(_("Save support bundle…"), self._choose)
        self.cancel = button(_("Cancel"), store.intents.cancel_bundle.emit)
        self._bar = QProgressBar(textVisible=False)
        self._bar.setRange(0, _STEPS)
        self._bar.setAccessibleName(_("Collecting logs and system information"))
        self._gathering = label("", "muted", wrap=True)
        self._problem = ProblemView(store)
        self._place = ElidedLabel()
        self.open_folder = button(_("Open folder"), self._open)
        self.contents = label("", "muted", wrap=True, selectable=True)
        self.missing = label("", "muted", wrap=True, selectable=True)
        row = QHBoxLayout()
        row.addWidget(self.make)
        row.addWidget(self._bar, 1)
        row.addWidget(self.cancel)
        row.addWidget(self._place, 1)
        row.addWidget(self.open_folder)
        row.addStretch(0)
        self.body.addWidget(
            label(
                _(
                    "One file with logs, settings and system information to attach to a bug report. "
                    "Passwords, tokens and values of environment variables are removed."
                ),
                "muted",
                wrap=True,
            )
        )
        self.body.addLayout(row)
        for widget in (self._gathering, self._problem, self.contents, self.missing):
            self.body.addWidget(widget)
        store.part(BundleStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        bundle = self._store.part(BundleStore)
        busy, info = bundle.gathering is not None, bundle.info
        self.make.setEnabled(not busy)
        self._bar.setVisible(busy)
        self._bar.setValue(round(bundle.fraction * _STEPS))
        self._bar.setAccessibleDescription(bundle.gathering or "")
        self.cancel.setVisible(busy)
        self._gathering.setVisible(busy)
        self._gathering.setText(_("Collecting: {what}", what=bundle.gathering or ""))
        self._problem.show_problem(bundle.problem)
        shown = info is not None and not busy
        for widget in (self._place, self.open_folder, self.contents):
            widget.setVisible(shown)
        self.missing.setVisible(shown and info is not None and bool(info.missing))
        if info is not None:
            self._place.set_whole(info.path)
            names = ", ".join(info.contents)
            self.contents.setText(_("{size}. Contents: {names}", names=names, size=figures.size(info.size)))
            self.missing.setText(_("Not available: {names}", names="\n".join(info.missing)))

    def _choose(self) -> None:
        dialog = QFileDialog(self, _("Save support bundle"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(_("Archive (*.zip)"))
        dialog.setDefaultSuffix(_SUFFIX)
        dialog.selectFile(time.strftime(f"wherry-support-%Y%m%d-%H%M%S.{_SUFFIX}"))
        dialog.fileSelected.connect(self._store.intents.make_bundle.emit)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _open(self) -> None:
        info = self._store.part(BundleStore).info
        if info is not None:
            folder = QUrl.fromLocalFile(str(Path(info.path).parent))
            self._store.intents.open_url.emit(folder.toString())
