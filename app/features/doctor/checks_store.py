"""State of the diagnostics in the window: the checks' results, and fixes in progress."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from backend.api import Message, Problem


class CheckState(StrEnum):
    """Result of a check, worst first."""

    BROKEN = "broken"
    WARNING = "warning"
    NOTE = "note"
    GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEntry:
    """A check with its result."""

    id: str
    title: Message
    state: CheckState
    finding: Message
    explanation: Message | None = None
    """Why the check matters."""
    hint: Message | None = None
    """What the user can do; None if nothing."""
    fixed: bool = False
    """Whether it failed before and has just been fixed."""
    fix: Message | None = None
    """What Wherry can fix automatically, as a sentence; None if nothing."""


class ChecksStore(QObject):
    """Changed only by the wiring, in the GUI thread; `changed` is emitted after every change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        """Whether checks or fixes are running."""
        self.fixing: frozenset[str] = frozenset()
        """Ids of the checks whose fixes are running."""
        self.results: tuple[CheckEntry, ...] | None = None
        """The last results; None before the first run."""
        self.as_text = ""
        """The results as plain text, for copying."""
        self.problem: Problem | None = None
        """Why running the checks or a fix failed."""

    @property
    def fixable(self) -> tuple[CheckEntry, ...]:
        """The entries that Wherry can fix automatically."""
        return tuple(entry for entry in self.results or () if entry.fix)

    def begin(self, fixing: frozenset[str] = frozenset()) -> None:
        """Report that checks run, or the fixes of these checks. The last results stay until new ones arrive."""
        self.running, self.fixing = True, fixing
        self.changed.emit()

    def finish(self, results: tuple[CheckEntry, ...], as_text: str, problem: Problem | None = None) -> None:
        """Store new results, and the problem of a fix that failed."""
        self.running, self.fixing = False, frozenset()
        self.results, self.as_text, self.problem = results, as_text, problem
        self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """Report that the checks could not be run."""
        self.running, self.fixing, self.problem = False, frozenset(), problem
        self.changed.emit()
