"""What is done to keep the machine well, and what the agent told of it: a part of the store that views read.

Checkpoints, updates of the guest image, the data disk, memory and disk given back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import QObject, Signal

from backend.api import Action, Problem, ProblemCode, clean_text

REQUESTS: Final = (
    *("checkpoints.list", "checkpoints.create", "checkpoints.restore", "checkpoints.delete"),
    *("update.check", "update.apply", "disk.grow", "disk.move", "reset"),
    *("reclaim", "engine.restart", "operation.cancel"),
)
"""What is asked of the agent on behalf of the views of upkeep."""
QUESTIONS: Final = ("checkpoints.list", "update.check")
"""Those that change nothing: their problems belong to the place that asks, all others to the whole window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One kept state of the data disk."""

    id: str
    name: str
    reason: str
    """ "manual", "before-update"..."""
    created_at: float
    """Seconds since the epoch."""
    size_gib: float
    """What deleting it alone gives back."""
    disk_gib: int | None
    """Size of the disk then; None where nobody noted it."""
    image_version: str
    """Of the guest image then; "" if nobody noted it."""
    automatic: bool
    foreign: bool
    """Not made by Wherry."""

    @property
    def key(self) -> str:
        """Tells this row from all others."""
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPolicy:
    """Which of the automatic ones are kept."""

    keep_automatic: int
    keep_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """A guest image."""

    version: str
    engine_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """What was found when the agent looked for a newer image."""

    current: ImageFacts
    offer: ImageFacts | None
    automatic: bool
    """Whether it is taken without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """What the machine took of this computer, before and after. Bytes; None: not known."""

    memory_before: int | None
    memory_after: int | None
    disk_before: int | None
    disk_after: int | None


class UpkeepStore(QObject):
    """Written by the wiring, read by views."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.checkpoints: tuple[Checkpoint, ...] | None = None
        """Newest first; None: never listed."""
        self.policy: CheckpointPolicy | None = None
        self.restore_problem: Problem | None = None
        """What became of a restore during which the agent ended, if that was not well."""
        self.update: UpdateState | None = None
        self.reclaimed: Reclaimed | None = None
        """What giving back brought the last time."""
        self.asked: frozenset[str] = frozenset()
        """Requests that are not answered yet."""
        self._problems: dict[str, Problem] = {}

    def problem(self, name: str) -> Problem | None:
        """Why a request of QUESTIONS was refused the last time, if it was."""
        return self._problems.get(name)

    def begin(self, name: str) -> None:
        """A request is on its way."""
        self.asked |= {name}
        self.changed.emit()

    def take(self, name: str, result: dict[str, Any]) -> Problem | None:
        """An answer of the agent. Gives a problem if it is not understood."""
        self.asked -= {name}
        self._problems.pop(name, None)
        problem = None
        try:
            if name in self._TAKERS:
                self._TAKERS[name](self, result)
        except (KeyError, TypeError, ValueError) as error:
            summary = f"The machine's agent answered {name!r} in a way that this window does not understand: {error!r}."
            problem = Problem(code=ProblemCode.AGENT_TOO_OLD, summary=summary, hint="wherry restart --agent")
            self._problems[name] = problem
        self.changed.emit()
        return problem

    def refuse(self, name: str, problem: Problem) -> None:
        """The agent refused a request."""
        self.asked -= {name}
        if name in QUESTIONS:
            self._problems[name] = problem
        self.changed.emit()

    def _take_checkpoints(self, result: dict[str, Any]) -> None:
        policy = result["policy"]
        found = [
            Checkpoint(
                id=str(entry["id"]),
                name=clean_text(str(entry["name"]), limit=200),
                reason=str(entry["reason"]),
                created_at=float(entry["created_at"]),
                size_gib=float(entry["size_gib"]),
                disk_gib=None if entry.get("disk_gib") is None else int(entry["disk_gib"]),
                image_version=clean_text(str(entry.get("image_version", "")), limit=80),
                automatic=bool(entry["automatic"]),
                foreign=bool(entry["foreign"]),
            )
            for entry in result["checkpoints"]
        ]
        self.checkpoints = tuple(sorted(found, key=lambda entry: -entry.created_at))
        left = result.get("problem")
        self.restore_problem = None if left is None else _problem(left)
        self.policy = CheckpointPolicy(keep_automatic=int(policy["keep_automatic"]), keep_days=int(policy["keep_days"]))

    def _take_update(self, result: dict[str, Any]) -> None:
        offer = result["offer"]
        self.update = UpdateState(
            current=_image(result["current"]),
            offer=None if offer is None else _image(offer),
            automatic=bool(result["automatic"]),
        )

    def _take_reclaimed(self, result: dict[str, Any]) -> None:
        names = ("memory_before", "memory_after", "disk_before", "disk_after")
        figures = {name: None if result.get(name) is None else int(result[name]) for name in names}
        self.reclaimed = Reclaimed(**figures)

    _TAKERS: Final[dict[str, Callable[[UpkeepStore, dict[str, Any]], None]]] = {
        "checkpoints.list": _take_checkpoints,
        "update.check": _take_update,
        "reclaim": _take_reclaimed,
    }


def _problem(entry: dict[str, Any]) -> Problem:
    action = entry.get("action")
    return Problem(
        code=ProblemCode(entry["code"]),
        summary=clean_text(str(entry["summary"]), limit=900),
        hint=None if entry.get("hint") is None else clean_text(str(entry["hint"]), limit=900),
        command=None if entry.get("command") is None else clean_text(str(entry["command"]), limit=900),
        tail=tuple(clean_text(str(line), limit=900) for line in entry.get("tail", ())),
        retryable=bool(entry.get("retryable", False)),
        action=None if action is None else Action(action),
    )


def _image(entry: dict[str, Any]) -> ImageFacts:
    return ImageFacts(
        version=clean_text(str(entry["version"]), limit=80), engine_version=clean_text(str(entry["engine_version"]))
    )
