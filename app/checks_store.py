"""The checks of everything that the machine needs: whether they run, and what they found last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from backend.api import Problem

if TYPE_CHECKING:
    from backend.api import CheckResult


class ChecksStore(QObject):
    """Part of the store. Only the wiring calls `begin` and `finish`, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        self.results: tuple[CheckResult, ...] | None = None
        """What was found last; None: never asked."""
        self.as_text = ""
        """The same, to be copied."""
        self.problem: Problem | None = None
        """Why the checks themselves failed."""

    def begin(self) -> None:
        """They run now; what was found before stays until there is something newer."""
        self.running = True
        self.changed.emit()

    def finish(self, results: tuple[CheckResult, ...], as_text: str) -> None:
        """What was found."""
        self.running, self.results, self.as_text, self.problem = False, results, as_text, None
        self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """They could not be run."""
        self.running, self.problem = False, problem
        self.changed.emit()
