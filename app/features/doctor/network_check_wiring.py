"""Runs the network check. It runs in the window and not in the agent, because it must work when the agent does not."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal

from app.features.doctor.network_check_store import Hop, NetworkCheckStore
from app.links.workers import Workers
from app.state.parts import Parts
from app.texts import message, say
from backend.api import Problem, ProblemCode, WherryError, cleaned

if TYPE_CHECKING:
    from backend.api import NetworkDiagnosis, NetworkHop

JOIN_DEADLINE_S: Final = 2.0
"""How long to wait for the thread at quit. The check is cancelled; it is read-only."""
_TEXT_LIMIT: Final = 2_000


class NetworkCheckWiring(QObject):
    """Runs one network check at a time, in a thread; `close` ends it."""

    # With the number of the check, because a cancelled check may still report results.
    _reached = Signal(int, object)  # NetworkHop
    _over = Signal(int, object, str)  # number, NetworkDiagnosis | Problem, all results as text

    def __init__(self, parts: Parts, home: Path | None, parent: QObject) -> None:
        super().__init__(parent)
        self._check = parts.store.part(NetworkCheckStore)
        self._home = home
        self._number = 0
        self._workers: Workers | None = None
        self._cancelled = threading.Event()
        self._reached.connect(self._on_reached, Qt.ConnectionType.QueuedConnection)
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)
        parts.store.intents.run_network_check.connect(self._run)
        parts.store.intents.cancel_network_check.connect(self._cancel)

    def close(self) -> None:
        """Cancel a running check and end the thread."""
        self._cancelled.set()
        if self._workers is not None:
            self._workers.close(JOIN_DEADLINE_S)

    def _run(self, image: str) -> None:
        self._cancelled.set()
        self._cancelled = threading.Event()
        self._number += 1
        self._check.begin(image)
        if self._workers is None:
            self._workers = Workers("network-check", 1)
        self._workers.submit(partial(self._diagnose, self._number, image, self._cancelled))

    def _cancel(self) -> None:
        if self._check.running:
            self._cancelled.set()
            self._number += 1
            self._check.stop(None)

    def _diagnose(self, number: int, image: str, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            return
        try:
            from backend.api import (
                diagnose_network,
                diagnosis_as_text,
            )  # their dependencies are loaded only when needed

            diagnosis = diagnose_network(
                self._home, image, on_hop=lambda hop: self._reached.emit(number, hop), cancelled=cancelled
            )
            self._over.emit(number, diagnosis, diagnosis_as_text(diagnosis, say))
        except WherryError as error:
            self._over.emit(number, error.problem, "")
        except Exception as error:
            summary = message("Internal error: {error}", error=repr(error))
            hint = message("Try: {command}", command=f"wherry doctor network {image}".rstrip())
            self._over.emit(number, Problem(code=ProblemCode.INTERNAL, summary=summary, hint=hint), "")
            raise

    def _on_reached(self, number: int, hop: NetworkHop) -> None:
        if number == self._number and self._check.running:
            self._check.add(_hop(hop))

    def _on_over(self, number: int, answer: NetworkDiagnosis | Problem, as_text: str) -> None:
        if number != self._number or not self._check.running:
            return
        if isinstance(answer, Problem):
            self._check.stop(None if answer.code is ProblemCode.CANCELLED else answer)
        else:
            verdict = cleaned(answer.verdict, _TEXT_LIMIT)
            self._check.finish(tuple(map(_hop, answer.hops)), verdict, as_text)


def _hop(hop: NetworkHop) -> Hop:
    return Hop(
        id=hop.id,
        title=cleaned(hop.title, _TEXT_LIMIT),
        state=hop.state,
        detail=cleaned(hop.detail, _TEXT_LIMIT),
        fix=cleaned(hop.fix, _TEXT_LIMIT) if hop.fix is not None else None,
    )
