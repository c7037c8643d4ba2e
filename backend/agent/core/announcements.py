"""What the agent tells: snapshots of the machine, notices, statistics. Who tells does not know who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable

from backend.control.protocol import StatsPush
from backend.errors import Problem
from backend.messages import message, sentences
from backend.model import MachineStatus, Notice

_log = logging.getLogger(__name__)


class Announcements:
    """One per agent. Listeners are called in the order in which they were added, on the loop; they MUST NOT raise."""

    def __init__(self) -> None:
        self._on_status: list[Callable[[MachineStatus], None]] = []
        self._on_notice: list[Callable[[Notice], None]] = []
        self._on_stats: list[Callable[[StatsPush], None]] = []

    def listen(
        self,
        *,
        status: Callable[[MachineStatus], None] | None = None,
        notice: Callable[[Notice], None] | None = None,
        stats: Callable[[StatsPush], None] | None = None,
    ) -> None:
        """Have these called with everything of their kind from now on."""
        self._on_status += [status] if status is not None else []
        self._on_notice += [notice] if notice is not None else []
        self._on_stats += [stats] if stats is not None else []

    def publish(self, status: MachineStatus) -> None:
        """The machine has another status."""
        for listener in self._on_status:
            listener(status)

    def notify(self, notice: Notice) -> None:
        """Something happened that the user should know of."""
        _log.info("notice: %s", notice.text)
        for listener in self._on_notice:
            listener(notice)

    def publish_stats(self, push: StatsPush) -> None:
        """There are newer figures."""
        for listener in self._on_stats:
            listener(push)

    def report_defect(self, problem: Problem) -> None:
        """A part of the agent ended by a defect of ours: the rest goes on without it."""
        meanwhile = message("Until then, restart the agent: wherry restart --agent")
        self.notify(Notice(level="error", text=sentences(problem.summary, problem.hint, meanwhile)))
