"""State of the network check in the window: the results hop by hop."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from backend.api import HopState, Message, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step on the way to the registry, and its result."""

    id: str
    title: Message
    state: HopState
    detail: Message
    fix: Message | None = None
    """What the user can do; None if nothing."""


class NetworkCheckStore(QObject):
    """Changed only by the wiring, in the GUI thread; `changed` is emitted after every change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        self.image = ""
        """The image whose pull is tested; "" for a default one."""
        self.hops: tuple[Hop, ...] = ()
        """The results so far, in the order of a pull."""
        self.verdict: Message | None = None
        """The overall result; None until the check is finished."""
        self.as_text = ""
        """All results as plain text, for copying; "" until the check is finished."""
        self.problem: Problem | None = None
        """Why the check could not be completed."""
        self.cancelled = False
        """Whether the user cancelled the last check."""

    @property
    def worst(self) -> HopState:
        """The most severe result of all hops."""
        states = {hop.state for hop in self.hops}
        return next((state for state in (HopState.FAILED, HopState.WARNING) if state in states), HopState.OK)

    def begin(self, image: str) -> None:
        """Start a new check: the last results are cleared."""
        self.running, self.image, self.hops, self.cancelled = True, image, (), False
        self.verdict, self.as_text, self.problem = None, "", None
        self.changed.emit()

    def add(self, hop: Hop) -> None:
        """Add the result of a hop."""
        self.hops = (*self.hops, hop)
        self.changed.emit()

    def finish(self, hops: tuple[Hop, ...], verdict: Message, as_text: str) -> None:
        """Store the complete results."""
        self.running, self.hops, self.verdict, self.as_text = False, hops, verdict, as_text
        self.changed.emit()

    def stop(self, problem: Problem | None) -> None:
        """Report that the check stopped early, with the problem or None if the user cancelled it."""
        self.running, self.problem, self.cancelled = False, problem, problem is None
        self.changed.emit()
