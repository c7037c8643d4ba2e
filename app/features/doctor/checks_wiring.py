"""Runs the diagnostics. They run in the window and not in the agent, because they must work when the agent does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal

from app.features.doctor.checks_store import CheckEntry, ChecksStore, CheckState
from app.links.workers import Workers
from app.state.parts import Parts
from app.texts import Message, message, say
from backend.api import Problem, ProblemCode, WherryError, cleaned

if TYPE_CHECKING:
    from backend.api import CheckResult

JOIN_DEADLINE_S: Final = 2.0
"""How long to wait for the thread at quit. Checks are read-only and a fix is one step, so neither needs longer."""
_STATES: Final = {
    "ok": CheckState.GOOD,
    "note": CheckState.NOTE,
    "warning": CheckState.WARNING,
    "failure": CheckState.BROKEN,
}
_TEXT_LIMIT: Final = 2_000


class ChecksWiring(QObject):
    """Runs checks and fixes in a thread, one job at a time; `close` ends it."""

    _over = Signal(object)  # list of CheckResult | Problem

    def __init__(self, parts: Parts, home: Path | None, parent: QObject) -> None:
        super().__init__(parent)
        self._checks = parts.store.part(ChecksStore)
        self._home = home
        self._workers: Workers | None = None
        self._results: dict[str, CheckResult] = {}
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)
        parts.store.intents.run_checks.connect(self._run)
        parts.store.intents.fix_checks.connect(self._fix)

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._workers is not None:
            self._workers.close(JOIN_DEADLINE_S)

    def _run(self) -> None:
        if not self._checks.running:
            self._checks.begin()
            self._submit(partial(_examine, self._home))

    def _fix(self, ids: tuple[str, ...]) -> None:
        if not self._checks.running:
            self._checks.begin(frozenset(ids))
            self._submit(partial(_repair, self._home, ids))

    def _submit(self, job: Callable[[], list[CheckResult]]) -> None:
        if self._workers is None:
            self._workers = Workers("checks", 1)

        def run() -> None:
            try:
                self._over.emit(job())
            except WherryError as error:
                self._over.emit(error.problem)
            except Exception as error:
                summary = message("Internal error: {error}", error=repr(error))
                self._over.emit(Problem(code=ProblemCode.INTERNAL, summary=summary, hint=message("Try: wherry doctor")))
                raise

        self._workers.submit(run)

    def _on_over(self, answer: object) -> None:
        from backend.api import check_results_as_text  # already loaded here

        if isinstance(answer, Problem):
            self._checks.fail(answer)
        elif isinstance(answer, list):
            by_id = {result.id: result for result in answer}
            # A fix returns only the results of the fixed checks; the others keep their last result.
            self._results = {**self._results, **by_id} if self._checks.fixing else by_id
            results = list(self._results.values())
            self._checks.finish(tuple(map(_entry, results)), check_results_as_text(results, say))


def _examine(home: Path | None) -> list[CheckResult]:
    from backend.api import examine_home  # its dependencies are loaded only when needed

    return examine_home(home)


def _repair(home: Path | None, ids: tuple[str, ...]) -> list[CheckResult]:
    from backend.api import repair_home

    return repair_home(home, only=ids)


def _entry(result: CheckResult) -> CheckEntry:
    return CheckEntry(
        id=result.id,
        title=result.title,
        state=_STATES[result.severity.value],
        finding=cleaned(result.finding, _TEXT_LIMIT),
        explanation=result.explanation,
        hint=_cleaned(result.hint),
        fix=_cleaned(result.fix),
        fixed=result.fixed,
    )


def _cleaned(text: Message | None) -> Message | None:
    return cleaned(text, _TEXT_LIMIT) if text is not None else None
