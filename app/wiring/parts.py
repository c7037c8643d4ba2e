"""What there is to be joined."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QApplication

from app.engine_link import EngineLink
from app.machine_link import MachineLink
from app.main_window import MainWindow
from app.store import AppStore
from app.tray import Tray


@dataclass(frozen=True, slots=True)
class Parts:
    """All made, none connected."""

    app: QApplication
    store: AppStore
    machine_link: MachineLink
    engine_link: EngineLink
    window: MainWindow
    tray: Tray
