"""What the wiring of a feature joins: the store, the two links, and the window as far as a feature may know it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QApplication, QWidget

from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.store import AppStore


@dataclass(frozen=True, slots=True)
class Parts:
    """Made by the composition root; nothing in it is connected yet."""

    app: QApplication
    store: AppStore
    machine_link: MachineLink
    engine_link: EngineLink
    window: QWidget
    """The main window: the parent of dialogs, and whether it is seen. What it shows is none of a feature's business."""
