"""State of maintenance in the window: checkpoints, guest image updates, the data disk, and reclaimed resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from msgspec import structs
from PySide6.QtCore import QObject, Signal

from backend.api import Problem, Request, clean_text, cleaned, messages

REQUESTS: Final = (
    messages.ListCheckpoints,
    messages.CreateCheckpoint,
    messages.RestoreCheckpoint,
    messages.DeleteCheckpoint,
    messages.CheckUpdate,
    messages.ApplyUpdate,
    messages.GrowDisk,
    messages.MoveDisk,
    messages.ResetMachine,
    messages.Reclaim,
    messages.RestartEngine,
    messages.CancelOperation,
)
"""Requests that views may send through `Intents.request_maintenance`."""
QUESTIONS: Final = (messages.ListCheckpoints, messages.CheckUpdate)
"""Read-only requests. Their problems are shown where they were sent; those of other requests in the main window."""
_NAME_LIMIT: Final = 200
_VERSION_LIMIT: Final = 80
_PROBLEM_LIMIT: Final = 900


class MaintenanceStore(QObject):
    """Written by the wiring, read by views; `changed` is emitted after every change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.checkpoints: tuple[messages.CheckpointEntry, ...] | None = None
        """Newest first; None before the first reply."""
        self.policy: messages.CheckpointPolicy | None = None
        self.restore_problem: Problem | None = None
        """Why a restore that the agent's exit interrupted failed; None if it did not."""
        self.update: messages.UpdateCheck | None = None
        self.reclaimed: messages.Reclaimed | None = None
        """Result of the last reclaim."""
        self.in_flight: frozenset[type[Request[Any]]] = frozenset()
        """Types of the requests that have no reply yet."""
        self._problems: dict[type[Request[Any]], Problem] = {}

    def problem(self, kind: type[Request[Any]]) -> Problem | None:
        """Why the last request of this type in QUESTIONS failed; None if it did not."""
        return self._problems.get(kind)

    def begin(self, request: Request[Any]) -> None:
        """Record that a request was sent."""
        self.in_flight |= {type(request)}
        self.changed.emit()

    def take(self, request: Request[Any], answer: object) -> None:
        """Record the reply to a request, or the Problem that it failed with. Texts from the agent are sanitized."""
        self.in_flight -= {type(request)}
        self._problems.pop(type(request), None)
        match answer:
            case Problem():
                if isinstance(request, QUESTIONS):
                    self._problems[type(request)] = answer
            case messages.CheckpointList():
                listed = sorted(answer.checkpoints, key=lambda entry: -entry.created_at)
                self.checkpoints = tuple(_clean_checkpoint(entry) for entry in listed)
                self.restore_problem = None if answer.problem is None else _clean_problem(answer.problem)
                self.policy = answer.policy
            case messages.UpdateCheck():
                offer = None if answer.offer is None else _clean_image(answer.offer)
                self.update = structs.replace(answer, current=_clean_image(answer.current), offer=offer)
            case messages.Reclaimed():
                self.reclaimed = answer
        self.changed.emit()


def _clean_checkpoint(untrusted: messages.CheckpointEntry) -> messages.CheckpointEntry:
    return structs.replace(
        untrusted,
        name=clean_text(untrusted.name, limit=_NAME_LIMIT),
        image_version=clean_text(untrusted.image_version, limit=_VERSION_LIMIT),
    )


def _clean_image(untrusted: messages.ImageVersion) -> messages.ImageVersion:
    return structs.replace(
        untrusted,
        version=clean_text(untrusted.version, limit=_VERSION_LIMIT),
        engine_version=clean_text(untrusted.engine_version),
    )


def _clean_problem(untrusted: Problem) -> Problem:
    def clean(text: str | None) -> str | None:
        return None if text is None else clean_text(text, limit=_PROBLEM_LIMIT)

    return replace(
        untrusted,
        summary=cleaned(untrusted.summary, limit=_PROBLEM_LIMIT),
        hint=untrusted.hint and cleaned(untrusted.hint, limit=_PROBLEM_LIMIT),
        command=clean(untrusted.command),
        tail=tuple(clean_text(line, limit=_PROBLEM_LIMIT) for line in untrusted.tail),
    )
