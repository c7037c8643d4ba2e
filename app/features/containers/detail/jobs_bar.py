"""The jobs bar: progress and results of copies, exports and commits, with buttons to cancel and dismiss them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.features.containers.data.store import DetailStore, Job, JobKind, JobState
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import theme
from app.ui.figures import size
from app.ui.safe_text import tooltip
from app.ui.widgets import ElidedLabel, IconButton, button, label

_STEPS = 1000
MAX_HEIGHT = 220


class JobsBar(QScrollArea):
    """A scrollable list with a row for each job. Hidden while there is none."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._rows: dict[Job, JobRow] = {}
        self.setWidgetResizable(True)
        self.setAccessibleName(_("Transfers"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        holder = QWidget()
        self.setWidget(holder)
        self._column = QVBoxLayout(holder)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.setVisible(False)
        store.part(DetailStore).job_added.connect(self._add)
        store.part(DetailStore).job_changed.connect(self._change)
        store.part(DetailStore).job_removed.connect(self._remove)
        for job in store.part(DetailStore).jobs:
            self._add(job)

    def _add(self, job: Job) -> None:
        row = self._rows[job] = JobRow(self._store, job)
        self._column.addWidget(row)
        self.show()
        self._fit()

    def _change(self, job: Job) -> None:
        if job in self._rows:
            self._rows[job].show_job()
            self._fit()

    def _remove(self, job: Job) -> None:
        row = self._rows.pop(job, None)
        if row is not None:
            row.hide()
            row.deleteLater()
        self.setVisible(bool(self._rows))
        self._fit()

    def _fit(self) -> None:
        """Set the height to that of the rows, up to MAX_HEIGHT."""
        needed = sum(row.sizeHint().height() for row in self._rows.values())
        height = min(needed, theme.px(MAX_HEIGHT))
        if height != self.height():
            self.setFixedHeight(height)


class JobRow(QFrame):
    """The row of one job."""

    def __init__(self, store: AppStore, job: Job) -> None:
        super().__init__()
        self.setObjectName("job")
        self._store = store
        self._job = job
        self._text = ElidedLabel()
        self._text.setProperty("role", "")
        self._amount = label("", "muted")
        self.progress = QProgressBar(textVisible=False)
        self.progress.setFixedWidth(theme.px(180))
        self.cancel = button(_("Cancel"), partial(store.part(DetailStore).intents.cancel.emit, job))
        self.show_it = button(_("Show"), self._open)
        self.dismiss = IconButton("close", _("Dismiss"))
        self.dismiss.clicked.connect(lambda _checked=False: store.part(DetailStore).intents.dismiss.emit(job))
        self._problem = ProblemView(store)
        row = QHBoxLayout()
        row.setSpacing(theme.px(10))
        row.addWidget(self._text, 1)
        for widget in (self._amount, self.progress, self.cancel, self.show_it, self.dismiss):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(6), theme.px(12), theme.px(6))
        column.addLayout(row)
        column.addWidget(self._problem)
        self.show_job()

    def show_job(self) -> None:
        """Show the job's current state."""
        job, transfer = self._job, self._job.transfer
        runs = job.state is JobState.RUNNING
        stopping = runs and transfer.is_cancelled
        text = _text(job)
        if stopping:
            text = _("Canceling {subject}…", subject=job.subject)
        elif runs and transfer.item and transfer.item != job.subject:
            text = f"{text}  {transfer.item}"
        self._text.set_whole(text)
        self._text.setAccessibleName(text)
        self.progress.setAccessibleName(text)
        self._show_amount()
        self.progress.setVisible(runs)
        self.cancel.setVisible(runs)
        self.cancel.setEnabled(not stopping)
        self.show_it.setVisible(job.state is JobState.DONE and job.kind in (JobKind.DOWNLOAD, JobKind.EXPORT))
        self.dismiss.setVisible(not runs)
        if job.problem != self._problem.problem:
            self._problem.show_problem(job.problem)
            # In the scroll area it would be squeezed otherwise.
            self._problem.ensurePolished()
            self._problem.setMinimumHeight(self._problem.sizeHint().height() if job.problem is not None else 0)

    def _show_amount(self) -> None:
        transfer = self._job.transfer
        done, total = transfer.done_bytes, transfer.total_bytes
        text = size(done) if done else ""
        if total and self._job.state is JobState.RUNNING:
            # The total is an estimate if files change during the copy: the bar then waits at its end.
            self.progress.setRange(0, _STEPS)
            self.progress.setValue(min(_STEPS, done * _STEPS // total))
            text = _("{done} of {total}", done=size(min(done, total)), total=size(total))
        else:
            self.progress.setRange(0, 0)
        if transfer.skipped_count:
            text = text + "  " + ngettext("{count} skipped", "{count} skipped", transfer.skipped_count)
            self._amount.setToolTip(tooltip("\n".join(transfer.skipped)))
        self._amount.setText(text)

    def _open(self) -> None:
        self._store.intents.open_url.emit(QUrl.fromLocalFile(str(Path(self._job.result).parent)).toString())


def _text(job: Job) -> str:
    subject, result = job.subject, job.result
    match job.kind, job.state:
        case JobKind.DOWNLOAD, JobState.RUNNING:
            return _("Downloading {subject}", subject=subject)
        case JobKind.DOWNLOAD, JobState.DONE:
            return _("Downloaded {subject} to {result}", subject=subject, result=result)
        case JobKind.DOWNLOAD, JobState.FAILED:
            return _("Couldn't download {subject}", subject=subject)
        case JobKind.DOWNLOAD, JobState.CANCELLED:
            return _("Download of {subject} canceled. Nothing was kept.", subject=subject)
        case JobKind.UPLOAD, JobState.RUNNING:
            return _("Uploading {subject}", subject=subject)
        case JobKind.UPLOAD, JobState.DONE:
            return _("Uploaded {subject} to {result}", subject=subject, result=result)
        case JobKind.UPLOAD, JobState.FAILED:
            return _("Couldn't upload {subject}", subject=subject)
        case JobKind.UPLOAD, JobState.CANCELLED:
            return _("Upload of {subject} canceled. Files already copied are kept.", subject=subject)
        case JobKind.EXPORT, JobState.RUNNING:
            return _("Exporting to {subject}", subject=subject)
        case JobKind.EXPORT, JobState.DONE:
            return _("Exported to {result}", result=result)
        case JobKind.EXPORT, JobState.FAILED:
            return _("Couldn't export to {subject}", subject=subject)
        case JobKind.EXPORT, JobState.CANCELLED:
            return _("Export to {subject} canceled. Nothing was kept.", subject=subject)
        case JobKind.COMMIT, JobState.RUNNING:
            return _("Creating image {subject}", subject=subject)
        case JobKind.COMMIT, JobState.DONE:
            return _("Created image {subject}", subject=subject)
        case JobKind.COMMIT, JobState.FAILED:
            return _("Couldn't create image {subject}", subject=subject)
        case JobKind.COMMIT, JobState.CANCELLED:
            return _("Creation of image {subject} canceled. Nothing was kept.", subject=subject)
    raise AssertionError(job)
