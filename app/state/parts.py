"""What there is to be joined."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QApplication

from app.frame.main_window import MainWindow
from app.frame.tray import Tray
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.store import AppStore


@dataclass(frozen=True, slots=True)
class Parts:
    """All made, none connected."""

    app: QApplication
    store: AppStore
    machine_link: MachineLink
    engine_link: EngineLink
    window: MainWindow
    tray: Tray
