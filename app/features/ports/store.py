"""The published ports as the agent told them last: asked for while somebody looks, and when containers change."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from app.features.ports.rows import PortRow, port_rows
from backend.api import PortOrigin, PortProtocol, PortState, PortStatus, Problem, ProblemCode, clean_text

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

    def take(self, result: dict[str, Any]) -> None:
        """The agent's answer to "ports.list"."""
        try:
            rows = port_rows([_status(entry) for entry in result["ports"]])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            summary = f"The machine's agent told of ports in a way that this window does not understand: {error!r}."
            self.fail(Problem(code=ProblemCode.AGENT_TOO_OLD, summary=summary, hint="wherry restart --agent"))
            return
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


def _status(entry: dict[str, Any]) -> PortStatus:
    return PortStatus(
        protocol=PortProtocol(entry["protocol"]),
        address=clean_text(str(entry["address"]), limit=_NAME_LIMIT),
        port=int(entry["port"]),
        state=PortState(entry["state"]),
        origin=PortOrigin(entry["origin"]),
        container_id=clean_text(str(entry.get("container_id", "")), limit=_NAME_LIMIT),
        container=clean_text(str(entry.get("container", "")), limit=_NAME_LIMIT),
        container_port=_number(entry.get("container_port")),
        connections=_number(entry.get("connections")),
        received_bytes=_number(entry.get("received_bytes")),
        sent_bytes=_number(entry.get("sent_bytes")),
        problem=clean_text(str(entry.get("problem", "")), limit=_PROBLEM_LIMIT),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
