"""Creates support bundles. Runs in the window and not in the agent, because it must work when the agent does not."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal

from app.features.doctor.bundle_store import BundleInfo, BundleStore
from app.links.workers import Workers
from app.state.parts import Parts
from app.texts import message
from backend.api import Problem, ProblemCode, WherryError, clean_text

if TYPE_CHECKING:
    from backend.api import SupportBundle

JOIN_DEADLINE_S: Final = 3.0
"""How long to wait for the thread at quit. It is cancelled and removes the unfinished file."""
_TEXT_LIMIT: Final = 300


class BundleWiring(QObject):
    """Creates one bundle at a time, in a thread; `close` ends it."""

    _progress = Signal(str, float)
    _over = Signal(object)  # SupportBundle | Problem

    def __init__(self, parts: Parts, home: Path | None, parent: QObject) -> None:
        super().__init__(parent)
        self._bundle = parts.store.part(BundleStore)
        self._home = home
        self._workers: Workers | None = None
        self._cancelled = threading.Event()
        self._progress.connect(self._on_progress, Qt.ConnectionType.QueuedConnection)
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)
        parts.store.intents.make_bundle.connect(self._make)
        parts.store.intents.cancel_bundle.connect(self._cancelled.set)

    def close(self) -> None:
        """Cancel a bundle in progress and end the thread."""
        self._cancelled.set()
        if self._workers is not None:
            self._workers.close(JOIN_DEADLINE_S)

    def _make(self, path: str) -> None:
        if self._bundle.gathering is not None:
            return
        self._cancelled.clear()
        self._bundle.progress("", 0.0)
        if self._workers is None:
            self._workers = Workers("support-bundle", 1)
        self._workers.submit(partial(self._gather, Path(path)))

    def _gather(self, target: Path) -> None:
        try:
            from backend.api import make_support_bundle  # its dependencies are loaded only when needed

            bundle = make_support_bundle(
                self._home, target, progress=self._progress.emit, cancelled=self._cancelled.is_set
            )
            self._over.emit(bundle)
        except WherryError as error:
            self._over.emit(error.problem)
        except Exception as error:
            summary = message("Internal error: {error}", error=repr(error))
            self._over.emit(
                Problem(code=ProblemCode.INTERNAL, summary=summary, hint=message("Try: wherry support-bundle"))
            )
            raise

    def _on_progress(self, what: str, fraction: float) -> None:
        if self._bundle.gathering is not None:
            self._bundle.progress(what, fraction)

    def _on_over(self, answer: SupportBundle | Problem) -> None:
        if isinstance(answer, Problem):
            self._bundle.fail(None if answer.code is ProblemCode.CANCELLED else answer)
        else:
            self._bundle.finish(_info(answer))


def _info(bundle: SupportBundle) -> BundleInfo:
    return BundleInfo(
        path=str(bundle.path),
        size=bundle.size,
        contents=tuple(clean_text(entry.name, limit=_TEXT_LIMIT) for entry in bundle.entries),
        missing=tuple(clean_text(line, limit=_TEXT_LIMIT) for line in bundle.missing),
    )
