"""The support bundle: how far it is, and where the last one lies. A part of the store."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from backend.api import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBundle:
    """One that was made."""

    path: str
    size: int
    """Bytes."""
    contents: tuple[str, ...]
    """Names of what is in it."""
    missing: tuple[str, ...]
    """What could not be had, each with the reason."""


class BundleStore(QObject):
    """Only the wiring calls what changes it, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.gathering: str | None = None
        """What is gathered now; None: nothing is under way."""
        self.fraction = 0.0
        self.made: MadeBundle | None = None
        self.problem: Problem | None = None

    def progress(self, what: str, fraction: float) -> None:
        """It is being made."""
        self.gathering, self.fraction, self.problem = what, fraction, None
        self.changed.emit()

    def finish(self, made: MadeBundle) -> None:
        """It is there."""
        self.gathering, self.made = None, made
        self.changed.emit()

    def fail(self, problem: Problem | None) -> None:
        """It could not be made; None: it was not wanted any more."""
        self.gathering, self.problem = None, problem
        self.changed.emit()
