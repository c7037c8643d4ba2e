"""What is done to keep the machine well, and what the agent told of it: a part of the store that views read.

Checkpoints, updates of the guest image, the data disk, memory and disk given back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from msgspec import structs
from PySide6.QtCore import QObject, Signal

from backend.api import Problem, Request, clean_text, messages

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
"""What views may ask of the agent through `Intents.ask_maintenance`."""
QUESTIONS: Final = (messages.ListCheckpoints, messages.CheckUpdate)
"""Those that change nothing: their problems belong to the place that asks, all others to the whole window."""
_NAME_LIMIT: Final = 200
_VERSION_LIMIT: Final = 80
_PROBLEM_LIMIT: Final = 900


class MaintenanceStore(QObject):
    """Written by the wiring, read by views."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.checkpoints: tuple[messages.CheckpointEntry, ...] | None = None
        """Newest first; None: never listed."""
        self.policy: messages.CheckpointPolicy | None = None
        self.restore_problem: Problem | None = None
        """What became of a restore during which the agent ended, if that was not well."""
        self.update: messages.UpdateCheck | None = None
        self.reclaimed: messages.Reclaimed | None = None
        """What giving back brought the last time."""
        self.asked: frozenset[type[Request[Any]]] = frozenset()
        """Kinds of requests that are not answered yet."""
        self._problems: dict[type[Request[Any]], Problem] = {}

    def problem(self, kind: type[Request[Any]]) -> Problem | None:
        """Why a request of QUESTIONS was refused the last time, if it was."""
        return self._problems.get(kind)

    def begin(self, request: Request[Any]) -> None:
        """A request is on its way."""
        self.asked |= {type(request)}
        self.changed.emit()

    def take(self, request: Request[Any], answer: object) -> None:
        """Its answer has come, or the Problem that it was refused with."""
        self.asked -= {type(request)}
        self._problems.pop(type(request), None)
        match answer:
            case Problem():
                if isinstance(request, QUESTIONS):
                    self._problems[type(request)] = answer
            case messages.CheckpointList():
                found = sorted(answer.checkpoints, key=lambda entry: -entry.created_at)
                self.checkpoints = tuple(_clean_checkpoint(entry) for entry in found)
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
        summary=clean_text(untrusted.summary, limit=_PROBLEM_LIMIT),
        hint=clean(untrusted.hint),
        command=clean(untrusted.command),
        tail=tuple(clean_text(line, limit=_PROBLEM_LIMIT) for line in untrusted.tail),
    )
