"""The published ports as the agent told them last: asked for while somebody looks, and when containers change."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.features.ports.rows import PortRow, port_rows
from backend.api import PortStatus, Problem, clean_text, messages

_NAME_LIMIT = 300
_PROBLEM_LIMIT = 900


class PortsStore(QObject):
    """Part of the store. Only the wiring calls what changes it, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[PortRow, ...] | None = None
        """By port; None while they are not known."""
        self.problem: Problem | None = None
        """Why the newest list could not be had; the one before it is still there."""

    @property
    def conflicts(self) -> tuple[PortRow, ...]:
        """Those that are not there, and somebody must do something about it."""
        return tuple(row for row in self.rows or () if row.is_conflict)

    def take(self, listed: messages.PortList) -> None:
        """The agent's answer."""
        rows = port_rows([_clean(status) for status in listed.ports])
        if (rows, None) != (self.rows, self.problem):
            self.rows, self.problem = rows, None
            self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """The list could not be had."""
        if problem != self.problem:
            self.problem = problem
            self.changed.emit()

    def clear(self) -> None:
        """Nothing is published any more: the machine is down, or another one."""
        if self.rows is not None or self.problem is not None:
            self.rows, self.problem = None, None
            self.changed.emit()


def _clean(untrusted: PortStatus) -> PortStatus:
    return replace(
        untrusted,
        address=clean_text(untrusted.address, limit=_NAME_LIMIT),
        container_id=clean_text(untrusted.container_id, limit=_NAME_LIMIT),
        container=clean_text(untrusted.container, limit=_NAME_LIMIT),
        problem=clean_text(untrusted.problem, limit=_PROBLEM_LIMIT),
    )
