"""The check of the network: what was found on the way of a pull, hop by hop. A part of the store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from backend.api import Problem


class HopState(StrEnum):
    """What became of one hop."""

    OK = "ok"
    FAILED = "failed"  # a pull ends here
    WARNING = "warning"  # a pull gets past it
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One thing on the way to an image."""

    id: str
    title: str
    state: HopState
    detail: str
    fix: str = ""
    """What the user can do; "" where nothing is to be done."""


class NetworkCheckStore(QObject):
    """Only the wiring calls what changes it, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        self.image = ""
        """Whose pull is looked into; "" for one of Wherry's choice."""
        self.hops: tuple[Hop, ...] = ()
        """As far as they are known, in the order of a pull."""
        self.verdict = ""
        """What they come to; "" until the end is reached."""
        self.as_text = ""
        """The whole, to be copied; "" until the end is reached."""
        self.problem: Problem | None = None
        """Why the check itself failed."""
        self.cancelled = False
        """Whether the user ended the last one."""

    @property
    def worst(self) -> HopState:
        """Of all hops."""
        states = {hop.state for hop in self.hops}
        return next((state for state in (HopState.FAILED, HopState.WARNING) if state in states), HopState.OK)

    def begin(self, image: str) -> None:
        """Another check: what the one before found is forgotten."""
        self.running, self.image, self.hops, self.cancelled = True, image, (), False
        self.verdict, self.as_text, self.problem = "", "", None
        self.changed.emit()

    def add(self, hop: Hop) -> None:
        """One more is known."""
        self.hops = (*self.hops, hop)
        self.changed.emit()

    def finish(self, hops: tuple[Hop, ...], verdict: str, as_text: str) -> None:
        """The end was reached."""
        self.running, self.hops, self.verdict, self.as_text = False, hops, verdict, as_text
        self.changed.emit()

    def stop(self, problem: Problem | None) -> None:
        """It ended before that; None: because the user wanted so."""
        self.running, self.problem, self.cancelled = False, problem, problem is None
        self.changed.emit()
