"""The checks of everything that the machine needs, and what can be done about what they find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from backend.api import Problem


class CheckState(StrEnum):
    """What a check found, worst first."""

    BROKEN = "broken"
    WARNING = "warning"
    NOTE = "note"
    GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEntry:
    """One check and what it found."""

    id: str
    title: str
    state: CheckState
    finding: str
    explanation: str = ""
    """Why it matters."""
    hint: str = ""
    """What the user can do."""
    fixed: bool = False
    """Whether it was wrong and has just been mended."""
    fix: str = ""
    """What Wherry can do about it by itself, as a sentence; "" if nothing."""


class ChecksStore(QObject):
    """Part of the store. Only the wiring calls what changes it, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        """Whether checks or fixes are under way."""
        self.fixing: frozenset[str] = frozenset()
        """Ids of checks whose fix is under way."""
        self.results: tuple[CheckEntry, ...] | None = None
        """What was found last; None: never asked."""
        self.as_text = ""
        """The same, to be copied."""
        self.problem: Problem | None = None
        """Why the checks themselves, or a fix, failed."""

    @property
    def fixable(self) -> tuple[CheckEntry, ...]:
        """Those that found something that Wherry can mend."""
        return tuple(entry for entry in self.results or () if entry.fix)

    def begin(self, fixing: frozenset[str] = frozenset()) -> None:
        """They run now; what was found before stays until there is something newer."""
        self.running, self.fixing = True, fixing
        self.changed.emit()

    def finish(self, results: tuple[CheckEntry, ...], as_text: str, problem: Problem | None = None) -> None:
        """What was found, and why a fix before it failed, if one did."""
        self.running, self.fixing = False, frozenset()
        self.results, self.as_text, self.problem = results, as_text, problem
        self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """They could not be run."""
        self.running, self.fixing, self.problem = False, frozenset(), problem
        self.changed.emit()
