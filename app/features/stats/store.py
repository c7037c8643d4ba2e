"""State of the resource statistics in the window: the newest sample, and a bounded history for the graphs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QObject, Signal

from backend.api import ContainerUsage, MachineUsage, Problem, StatsSample

HISTORY: Final = 300
"""Number of samples kept: ten minutes at one every two seconds."""


class StatsStore(QObject):
    """Only the wiring calls `add`, `fail` and `clear`, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._samples: deque[StatsSample] = deque(maxlen=HISTORY)
        self._newest: dict[str, ContainerUsage] = {}
        self._problem: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """Why no samples arrive; None if they do. Earlier samples are kept."""
        return self._problem

    @property
    def machine(self) -> MachineUsage | None:
        """The newest figures of the machine; None before the first sample."""
        return self._samples[-1].machine if self._samples and self._problem is None else None

    def container(self, container_id: str) -> ContainerUsage | None:
        """The newest figures of a container; None if it is not running."""
        return self._newest.get(container_id)

    def samples(self) -> Sequence[StatsSample]:
        """All samples of the history, oldest first."""
        return tuple(self._samples)

    def history(self, container_id: str) -> list[tuple[float, ContainerUsage]]:
        """Time and figures of a container from each sample that includes it, oldest first."""
        return [
            (sample.at, usage) for sample in self._samples for usage in sample.containers if usage.id == container_id
        ]

    def add(self, sample: StatsSample) -> None:
        """Append the newest sample."""
        if self._samples and sample.at <= self._samples[-1].at:
            self._samples.clear()  # the host's clock was set back, and the history must be in order
        self._problem = None
        self._samples.append(sample)
        self._newest = {usage.id: usage for usage in sample.containers}
        self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """Record why no samples arrive."""
        self._problem = problem
        self._newest = {}
        self.changed.emit()

    def clear(self) -> None:
        """Clear the history, after the machine stopped."""
        if self._samples or self._problem is not None:
            self._samples.clear()
            self._newest = {}
            self._problem = None
            self.changed.emit()
