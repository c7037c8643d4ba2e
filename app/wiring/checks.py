"""The checks of the Machine page. They run here and not in the agent: they are wanted most when it does not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal

from app.wiring.parts import Parts
from app.workers import Workers
from backend.api import Problem, ProblemCode, WherryError

JOIN_DEADLINE_S: Final = 2.0
"""Nothing is lost if a check is still under way at quit: it only looks."""


class ChecksWiring(QObject):
    """Lives as long as the window; `close` ends its thread."""

    _over = Signal(object, str)  # results | Problem, as text

    def __init__(self, parts: Parts, home: Path | None, parent: QObject) -> None:
        super().__init__(parent)
        self._checks = parts.store.checks
        self._home = home
        self._workers: Workers | None = None
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)
        parts.store.intents.run_checks.connect(self._run)

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._workers is not None:
            self._workers.close(JOIN_DEADLINE_S)

    def _run(self) -> None:
        if self._checks.running:
            return
        self._checks.begin()
        if self._workers is None:
            self._workers = Workers("checks", 1)
        self._workers.submit(self._examine)

    def _examine(self) -> None:
        try:
            from backend.api import check_results_as_text, examine_home  # what they need is not loaded before

            results = tuple(examine_home(self._home))
            self._over.emit(results, check_results_as_text(results))
        except WherryError as error:
            self._over.emit(error.problem, "")
        except Exception as error:
            summary = f"The checks failed by a defect: {error!r}."
            self._over.emit(Problem(code=ProblemCode.INTERNAL, summary=summary, hint="Try: wherry doctor"), "")
            raise

    def _on_over(self, results: object, as_text: str) -> None:
        if isinstance(results, tuple):
            self._checks.finish(results, as_text)
        elif isinstance(results, Problem):
            self._checks.fail(results)
