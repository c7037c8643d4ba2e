"""The bar below the settings: lists the changes that need a restart of the machine, with a button to restart."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout

from app.features.settings.network import NETWORK_NAMES
from app.features.settings.resources import CPUS, DISK, MEMORY, SWAP
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.widgets import button, label
from backend.api import Phase


class RestartBar(QFrame):
    """Shows the pending changes from the store. Hidden while there are none."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._store = store
        self._label = label("", wrap=True)
        self.button = button(_("Restart the machine"), store.intents.restart_machine.emit)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(12), theme.px(8), theme.px(12), theme.px(8))
        row.addWidget(self._label, 1)
        row.addWidget(self.button)
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        machine, phase = self._store.part(SettingsStore).machine, self._store.phase
        live = phase is not None and phase.is_live and phase is not Phase.STOPPING
        reasons = machine.restart_reasons if machine is not None and live else ()
        self.setVisible(bool(reasons))
        names = ", ".join(reason_name(reason) for reason in reasons)
        self._label.setText(_("Restart the machine to apply: {names}.", names=names))
        self.button.setEnabled(phase in (Phase.RUNNING, Phase.DEGRADED))


def reason_name(reason: str) -> str:
    """Display name of a setting that needs a restart."""
    titles = {
        CPUS: message("Processors"),
        MEMORY: message("Memory"),
        SWAP: message("Swap"),
        DISK: message("Disk"),
        "daemon": message("Docker engine"),
        **NETWORK_NAMES,
    }
    return say(titles[reason]) if reason in titles else reason
