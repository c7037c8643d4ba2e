"""The figures that the window knows: the newest sample, and a bounded history for the graphs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QObject, Signal

from backend.api import ContainerUsage, MachineUsage, Problem, StatsSample

HISTORY: Final = 300
"""Samples that are kept: ten minutes at one every two seconds."""


class StatsStore(QObject):
    """Part of the store. Only the wiring calls `add` and `clear`, in the GUI thread."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._samples: deque[StatsSample] = deque(maxlen=HISTORY)
        self._newest: dict[str, ContainerUsage] = {}
        self._problem: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """Why no more samples come, if they should; those that came before are still there."""
        return self._problem

    @property
    def machine(self) -> MachineUsage | None:
        """The newest figures of the machine; None while there are none."""
        return self._samples[-1].machine if self._samples and self._problem is None else None

    def container(self, container_id: str) -> ContainerUsage | None:
        """The newest figures of a container; None for one that does not run."""
        return self._newest.get(container_id)

    def samples(self) -> Sequence[StatsSample]:
        """The history, oldest first."""
        return tuple(self._samples)

    def history(self, container_id: str) -> list[tuple[float, ContainerUsage]]:
        """The time and the figures of a container in the samples that have it, oldest first."""
        return [
            (sample.at, usage) for sample in self._samples for usage in sample.containers if usage.id == container_id
        ]

    def add(self, sample: StatsSample) -> None:
        """The newest sample."""
        if self._samples and sample.at <= self._samples[-1].at:
            self._samples.clear()  # the host's clock was set back: what is on the axis must be in order
        self._problem = None
        self._samples.append(sample)
        self._newest = {usage.id: usage for usage in sample.containers}
        self.changed.emit()

    def fail(self, problem: Problem) -> None:
        """There is no newest sample, for this reason."""
        self._problem = problem
        self._newest = {}
        self.changed.emit()

    def clear(self) -> None:
        """The machine stopped, or another one is shown."""
        if self._samples or self._problem is not None:
            self._samples.clear()
            self._newest = {}
            self._problem = None
            self.changed.emit()
