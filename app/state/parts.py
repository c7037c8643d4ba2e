"""The objects that every feature's wiring connects: the store, the two links and the window."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QApplication, QWidget

from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.store import AppStore


@dataclass(frozen=True, slots=True)
class Parts:
    """Created by `WherryApp` and passed to each wiring, which connects the signals."""

    app: QApplication
    store: AppStore
    machine_link: MachineLink
    engine_link: EngineLink
    window: QWidget
    """The main window, as the parent of dialogs and to check its visibility. Features do not use its contents."""
