"""State of the support bundle in the window: progress, and the last bundle created."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from backend.api import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """A finished support bundle."""

    path: str
    size: int
    """Size of the file in bytes."""
    contents: tuple[str, ...]
    """Names of the files in it."""
    missing: tuple[str, ...]
    """Items that could not be collected, each with the reason."""


class BundleStore(QObject):
    """Changed only by the wiring, in the GUI thread; `changed` is emitted after every change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.gathering: str | None = None
        """The item being collected; None while no bundle is being created."""
        self.fraction = 0.0
        self.info: BundleInfo | None = None
        self.problem: Problem | None = None

    def progress(self, what: str, fraction: float) -> None:
        """Report progress: the item being collected, and the fraction done (0 to 1)."""
        self.gathering, self.fraction, self.problem = what, fraction, None
        self.changed.emit()

    def finish(self, info: BundleInfo) -> None:
        """Report that the bundle is finished."""
        self.gathering, self.info = None, info
        self.changed.emit()

    def fail(self, problem: Problem | None) -> None:
        """Report that creating it failed, or with None that it was cancelled."""
        self.gathering, self.problem = None, problem
        self.changed.emit()
