"""State of the published ports in the window, as the agent last listed them."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.features.ports.rows import PortRow, port_rows
from backend.api import PortStatus, Problem, clean_text, cleaned, messages

_NAME_LIMIT = 300
_PROBLEM_LIMIT = 900


class PortsStore(QObject):
    """Changed only by the wiring, in the GUI thread; `changed` is emitted after every change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[PortRow, ...] | None = None
        """The rows, sorted by port; None while unknown."""
        self.problem: Problem | None = None
        """Why the last request failed; the rows of the one before are kept."""

    @property
    def conflicts(self) -> tuple[PortRow, ...]:
        """The rows that cannot be reached until the user acts."""
        return tuple(row for row in self.rows or () if row.is_conflict)

    def take(self, listed: messages.PortList) -> None:
        """Store the agent's reply; its texts are sanitized."""
        rows = port_rows([_clean(status) for status in listed.ports])
        if (rows, None) != (self.rows, self.problem):
            self.rows, self.problem = rows, None
            self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """Record that loading the list failed."""
        if problem != self.problem:
            self.problem = problem
            self.changed.emit()

    def clear(self) -> None:
        """Clear everything, after the machine stopped."""
        if self.rows is not None or self.problem is not None:
            self.rows, self.problem = None, None
            self.changed.emit()


def _clean(untrusted: PortStatus) -> PortStatus:
    return replace(
        untrusted,
        address=clean_text(untrusted.address, limit=_NAME_LIMIT),
        container_id=clean_text(untrusted.container_id, limit=_NAME_LIMIT),
        container=clean_text(untrusted.container, limit=_NAME_LIMIT),
        problem=untrusted.problem and cleaned(untrusted.problem, limit=_PROBLEM_LIMIT),
    )
