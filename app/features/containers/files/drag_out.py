"""Files are dragged out of a container's list to the desktop.

Qt wants a file to exist when it is let go, and a copy out of a container takes its time. So the copy begins when the
mouse begins to drag, into a private folder, as a job with progress; the drag follows as soon as it is done, if the
button is still held, and the job is given up if it is not. Nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, Qt, QTemporaryDir, QUrl
from PySide6.QtGui import QDrag, QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView

from app.features.containers.data.store import DetailStore, Job, JobState


class DragOut(QObject):
    """Watches one list. Lives as long as it."""

    def __init__(
        self, view: QAbstractItemView, detail: DetailStore, chosen: Callable[[], tuple[str, tuple[str, ...]]]
    ) -> None:
        """Watch.

        Args:
            chosen: the container and the paths that are selected.
        """
        super().__init__(view)
        self._view = view
        self._detail = detail
        self._chosen = chosen
        self._pressed_at: QPoint | None = None
        self._jobs: list[Job] = []
        self._folder: QTemporaryDir | None = None
        """Kept until the next drag: whoever took the files may still be copying them."""
        view.viewport().installEventFilter(self)
        detail.job_changed.connect(self._on_job)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QMouseEvent):
            kind = event.type()
            if kind is QEvent.Type.MouseButtonPress:
                index = self._view.indexAt(event.position().toPoint())
                held = event.button() is Qt.MouseButton.LeftButton and index.isValid()
                self._pressed_at = event.position().toPoint() if held else None
            elif kind is QEvent.Type.MouseButtonRelease:
                self._pressed_at = None
                self._give_up()
            elif kind is QEvent.Type.MouseMove and self._pressed_at is not None:
                distance = (event.position().toPoint() - self._pressed_at).manhattanLength()
                if not self._jobs and distance >= QGuiApplication.styleHints().startDragDistance():
                    self._begin()
                return True  # to drag is not to select more
        return super().eventFilter(watched, event)

    def _begin(self) -> None:
        container_id, paths = self._chosen()
        folder = QTemporaryDir()
        if not paths or not folder.isValid():
            self._pressed_at = None
            return
        self._folder = folder
        made: list[Job] = []
        self._detail.job_added.connect(made.append)
        self._detail.intents.download.emit(container_id, paths, Path(folder.path()))
        self._detail.job_added.disconnect(made.append)
        self._jobs = made

    def _on_job(self, job: Job) -> None:
        if job not in self._jobs or any(one.state is JobState.RUNNING for one in self._jobs):
            return
        jobs, self._jobs = self._jobs, []
        held, self._pressed_at = self._pressed_at is not None, None
        if held and self._folder is not None and all(one.state is JobState.DONE for one in jobs):
            for one in jobs:
                self._detail.intents.dismiss.emit(one)
            self.drag(sorted(Path(self._folder.path()).iterdir()))

    def _give_up(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            if job.state is JobState.RUNNING:
                self._detail.intents.cancel.emit(job)

    def drag(self, files: list[Path]) -> None:
        """Let the desktop take these; returns when they were let go."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
        drag = QDrag(self._view)
        drag.setMimeData(data)
        drag.exec(Qt.DropAction.CopyAction)
