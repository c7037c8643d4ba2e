"""Pulls an image in a worker thread, with progress signals and cancellation."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication, QObject, Signal

from app.texts import message
from backend.api import ProblemCode, PullProgress, fail, has_image

if TYPE_CHECKING:
    from backend.api import EngineClient, EngineStream

_EVERY_S: Final = 0.1


class Pull(QObject):
    """One pull. `run` is the job for the engine's pool; everything else is for the GUI thread.

    Has no parent, because it must live until its job ends, which may be after its view is closed.
    """

    progressed = Signal(object)  # PullProgress

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference
        self._lock = threading.Lock()
        self._stream: EngineStream[PullProgress] | None = None
        self._cancelled = False
        application = QCoreApplication.instance()
        if application is not None:
            # Otherwise the pool would wait for it at quit.
            application.aboutToQuit.connect(self.cancel)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel the pull. The engine keeps complete layers for the next time."""
        with self._lock:
            self._cancelled = True
            if self._stream is not None:
                self._stream.close()

    def run(self, client: EngineClient) -> None:
        """Pull, in the calling thread.

        Raises:
            WherryError: with code CANCELLED after `cancel`, or the reason why the pull failed.
        """
        stream = client.pull(self.reference)
        with self._lock:
            self._stream = stream
            if self._cancelled:
                stream.close()
        reported_at = 0.0
        try:
            for progress in stream:
                if (now := time.monotonic()) - reported_at >= _EVERY_S:
                    reported_at = now
                    self.progressed.emit(progress)
        finally:
            with self._lock:
                self._stream = None
            stream.release()
        if self._cancelled:
            raise fail(ProblemCode.CANCELLED, message("The pull was canceled."))
        if not has_image(client, self.reference):
            raise fail(
                ProblemCode.ENGINE_ERROR,
                message("The pull stopped before the image was complete."),
                command=f"docker pull {self.reference}",
                hint=message("Try again. What was pulled is kept."),
                retryable=True,
            )
