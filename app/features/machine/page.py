"""The Machine page: overview, checkpoints and diagnostics in tabs."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from app.features.doctor.checks import ChecksView
from app.features.machine.overview import MachineOverview
from app.features.maintenance.checkpoints import CheckpointsView
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.widgets import label

PARTS: Final = ("overview", "checkpoints", "checks")
_TOPICS: Final = {"overview": "machine", "checkpoints": "checkpoints", "checks": "doctor"}
_PARTS: Final = {
    "overview": message("Overview"),
    "checkpoints": message("Checkpoints"),
    "checks": message("Diagnostics"),
}


class MachineView(QWidget):
    """The page with its three tabs."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.overview = MachineOverview(store)
        self.checkpoints = CheckpointsView(store)
        self.checks = ChecksView(store)
        self._parts: dict[str, QWidget] = {
            "overview": self.overview,
            "checkpoints": self.checkpoints,
            "checks": self.checks,
        }
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(_("Machine page"))
        self.tabs.tabBar().setAccessibleName(_("Machine page"))
        self.tabs.tabBar().setExpanding(False)
        self.tabs.tabBar().setDrawBase(False)
        for name, part in self._parts.items():
            self.tabs.addTab(part, say(_PARTS[name]))
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(8))
        column.setSpacing(theme.px(12))
        column.addWidget(label(_("Machine"), "title"))
        column.addWidget(self.tabs, 1)

    @property
    def help_topic(self) -> str:
        """Name of the help topic about the open tab."""
        return _TOPICS[next(name for name, part in self._parts.items() if part is self.tabs.currentWidget())]

    def show_bundle(self) -> None:
        """Open the tab with the support bundle and focus its button."""
        self.show_part("checks")
        self.checks.ensureWidgetVisible(self.checks.bundle)
        self.checks.bundle.make.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_part(self, name: str) -> None:
        """Open a tab of PARTS, by name, and focus it."""
        self.tabs.setCurrentWidget(self._parts[name])
        self.tabs.tabBar().setFocus(Qt.FocusReason.ShortcutFocusReason)
