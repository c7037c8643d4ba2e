"""A link without an agent: records requests, and replies when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject

from app.links.machine_link import MachineLink
from backend.control.messages.request import AnswerT, Request
from backend.errors import Problem


class RecordingLink(MachineLink):
    """For tests of a single wiring; tests of the link itself use a FakeAgent."""

    def __init__(self) -> None:
        super().__init__(lambda: "")
        self.requests: list[Request[Any]] = []
        """All requests, oldest first."""
        self._open: list[tuple[Request[Any], Callable[[Any], object]]] = []

    def request(self, request: Request[AnswerT], done: Callable[[AnswerT | Problem], object], context: QObject) -> None:
        self.requests.append(request)
        self._open.append((request, done))

    def answer(self, request: Request[AnswerT], answer: AnswerT | Problem) -> None:
        """Reply to the oldest request that equals this one. Raises StopIteration if there is none."""
        pair = next(pair for pair in self._open if pair[0] == request)
        self._open.remove(pair)
        pair[1](answer)
