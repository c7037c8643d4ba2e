"""Dragging files from a container to the desktop.

Qt needs a file to exist when it is dropped, and copying from a container takes time. So the copy starts when the mouse
begins to drag, into a private folder, as a job with progress. The actual drag starts when the copy is finished and the
button is still pressed; if it is released earlier, the job is cancelled. Nothing blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, Qt, QTemporaryDir, QUrl
from PySide6.QtGui import QDrag, QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView

from app.features.containers.data.store import DetailStore, Job, JobState


class DragOut(QObject):
    """Event filter for one list view, which owns it."""

    def __init__(
        self, view: QAbstractItemView, detail: DetailStore, chosen: Callable[[], tuple[str, tuple[str, ...]]]
    ) -> None:
        """Install the filter on `view`.

        Args:
            chosen: returns the container's id and the selected paths.
        """
        super().__init__(view)
        self._view = view
        self._detail = detail
        self._chosen = chosen
        self._pressed_at: QPoint | None = None
        self._jobs: list[Job] = []
        self._folder: QTemporaryDir | None = None
        """Kept until the next drag, because the drop target may still be copying the files."""
        view.viewport().installEventFilter(self)
        detail.job_changed.connect(self._on_job)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QMouseEvent):
            kind = event.type()
            if kind is QEvent.Type.MouseButtonPress:
                index = self._view.indexAt(event.position().toPoint())
                was_pressed = event.button() is Qt.MouseButton.LeftButton and index.isValid()
                self._pressed_at = event.position().toPoint() if was_pressed else None
            elif kind is QEvent.Type.MouseButtonRelease:
                self._pressed_at = None
                self._give_up()
            elif kind is QEvent.Type.MouseMove and self._pressed_at is not None:
                distance = (event.position().toPoint() - self._pressed_at).manhattanLength()
                if not self._jobs and distance >= QGuiApplication.styleHints().startDragDistance():
                    self._begin()
                return True  # dragging must not extend the selection
        return super().eventFilter(watched, event)

    def _begin(self) -> None:
        container_id, paths = self._chosen()
        folder = QTemporaryDir()
        if not paths or not folder.isValid():
            self._pressed_at = None
            return
        self._folder = folder
        copied: list[Job] = []
        self._detail.job_added.connect(copied.append)
        self._detail.intents.download.emit(container_id, paths, Path(folder.path()))
        self._detail.job_added.disconnect(copied.append)
        self._jobs = copied

    def _on_job(self, job: Job) -> None:
        if job not in self._jobs or any(one.state is JobState.RUNNING for one in self._jobs):
            return
        jobs, self._jobs = self._jobs, []
        was_pressed, self._pressed_at = self._pressed_at is not None, None
        if was_pressed and self._folder is not None and all(one.state is JobState.DONE for one in jobs):
            for one in jobs:
                self._detail.intents.dismiss.emit(one)
            self.drag(sorted(Path(self._folder.path()).iterdir()))

    def _give_up(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            if job.state is JobState.RUNNING:
                self._detail.intents.cancel.emit(job)

    def drag(self, files: list[Path]) -> None:
        """Start the desktop's drag with these files; returns after the drop."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
        drag = QDrag(self._view)
        drag.setMimeData(data)
        drag.exec(Qt.DropAction.CopyAction)
