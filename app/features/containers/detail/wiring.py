"""Connects a container's page: requests to the engine and the agent, replies to the store.

Short requests use the engine link's pool. Jobs that may take minutes have their own threads here, so that three
downloads do not block a page that is opened meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.features.containers.data.files import listing_of, shown_path, to_wire
from app.features.containers.data.store import DetailStore, Job, JobKind, JobState
from app.features.containers.detail.terminals import Terminals
from app.links.link_state import LinkState
from app.links.workers import Workers
from app.state.parts import Parts
from app.terminal.session import TerminalSession
from app.texts import message
from backend.api import Problem, ProblemCode, RemoteFile, WherryError, clean_text, fail, messages

if TYPE_CHECKING:
    from backend.api import EngineClient

JOB_THREADS: Final = 3
JOIN_DEADLINE_S: Final = 3.0
PROGRESS_MS: Final = 100
DETAILS_PAUSE_MS: Final = 250
"""Least time between two inspects of the open container."""
SHOWN_BYTES: Final = 2_097_152
"""Maximum bytes loaded to show a file; a longer file is shown in part, read-only."""


class DetailWiring(QObject):
    """Loads data, runs jobs and owns the terminals; `close` ends all threads."""

    _over = Signal(object, object, str)  # Job, Problem | None, result

    def __init__(self, parts: Parts, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._detail = parts.store.part(DetailStore)
        self._workers = Workers("detail-job", JOB_THREADS)
        self._terminals = Terminals(parts.engine_link, self)
        self._progress = QTimer(self, interval=PROGRESS_MS)
        self._progress.timeout.connect(self._report_progress)
        self._soon = QTimer(self, singleShot=True, interval=DETAILS_PAUSE_MS)
        self._soon.timeout.connect(lambda: self._load_details(self._detail.container_id))
        self._over.connect(self._on_over, Qt.ConnectionType.QueuedConnection)
        store, intents = parts.store, self._detail.intents
        store.containers_changed.connect(self._on_containers)
        store.engine_changed.connect(self._on_engine)
        intents.open.connect(self._open)
        intents.load_details.connect(self._load_details)
        intents.load_processes.connect(self._load_processes)
        intents.load_changes.connect(self._load_changes)
        intents.load_listing.connect(self._load_listing)
        intents.load_file.connect(self._load_file)
        intents.save_file.connect(self._save_file)
        intents.download.connect(self._download)
        intents.upload.connect(self._upload)
        intents.export.connect(self._export)
        intents.commit.connect(self._commit)
        intents.cancel.connect(self._cancel)
        intents.dismiss.connect(self._detail.remove_job)
        intents.open_terminal.connect(self._open_terminal)
        intents.close_terminal.connect(self._close_terminal)
        self._was_up = False

    def close(self) -> None:
        """End all jobs and terminals. Containers keep running; partial copies are removed."""
        for job in self._detail.jobs:
            job.transfer.cancel()
        self._terminals.close()
        self._workers.close(JOIN_DEADLINE_S)

    # -- short requests -------------------------------------------------------------------------------------------
    def _open(self, container_id: str) -> None:
        self._detail.set_container(container_id)
        if container_id:
            self._load_details(container_id)

    def _on_containers(self) -> None:
        """Reload the open container's details, which may have changed with the list."""
        container_id = self._detail.container_id
        if container_id and not self._soon.isActive() and self._parts.store.container(container_id) is not None:
            self._soon.start()

    def _on_engine(self) -> None:
        is_up = self._parts.store.engine_link is LinkState.UP
        if is_up and not self._was_up:
            self._terminals.forget_leftovers()
        self._was_up = is_up

    def _load_details(self, container_id: str) -> None:
        if not container_id:
            return

        def done(answer: Any) -> None:
            self._detail.set_details(container_id, answer)

        self._parts.engine_link.run(lambda client: client.inspect(container_id), done)

    def _load_processes(self, container_id: str) -> None:
        from backend.api import inside

        def done(answer: Any) -> None:
            self._detail.set_processes(container_id, answer)

        self._parts.engine_link.run(lambda client: inside.processes(client, container_id), done)

    def _load_changes(self, container_id: str) -> None:
        from backend.api import inside

        def done(answer: Any) -> None:
            self._detail.set_changes(container_id, answer)

        self._parts.engine_link.run(lambda client: inside.changes(client, container_id), done)

    def _load_listing(self, container_id: str, path: str) -> None:
        def done(answer: messages.FileList | Problem) -> None:
            listing = answer if isinstance(answer, Problem) else listing_of(answer)
            self._detail.set_listing(container_id, path, listing)

        request = messages.ListFiles(container=container_id, path=to_wire(path))
        self._parts.machine_link.request(request, done, self)

    def _load_file(self, container_id: str, path: str) -> None:
        from backend.api import archive

        def done(answer: Any) -> None:
            self._detail.set_file(container_id, path, answer)

        self._parts.engine_link.run(lambda client: archive.read_file(client, container_id, path, SHOWN_BYTES), done)

    def _save_file(self, container_id: str, file: RemoteFile, data: bytes, overwrite: bool) -> None:
        from backend.api import archive

        def done(answer: Any) -> None:
            self._detail.set_saved(container_id, answer)
            if isinstance(answer, RemoteFile):
                self._load_changes(container_id)

        self._parts.engine_link.run(
            lambda client: archive.write_file(client, container_id, file, data, overwrite=overwrite), done
        )

    # -- jobs -----------------------------------------------------------------------------------------------------
    def _download(self, container_id: str, paths: tuple[str, ...], directory: Path) -> None:
        from backend.api import archive

        for path in paths:
            job = Job(JobKind.DOWNLOAD, container_id, shown_path(path))

            def copy(client: EngineClient, job: Job = job, path: str = path) -> str:
                return str(archive.download(client, container_id, path, directory, job.transfer))

            self._start(job, copy)

    def _upload(self, container_id: str, directory: str, sources: tuple[Path, ...], owner: tuple[int, int]) -> None:
        from backend.api import archive

        names = ", ".join(source.name for source in sources[:3]) + (", …" if len(sources) > 3 else "")
        job = Job(JobKind.UPLOAD, container_id, clean_text(names))

        def copy(client: EngineClient) -> str:
            archive.upload(client, container_id, directory, sources, job.transfer, owner=owner)
            return directory

        self._start(job, copy)

    def _export(self, container_id: str, target: Path) -> None:
        from backend.api import archive

        job = Job(JobKind.EXPORT, container_id, clean_text(target.name))

        def write(client: EngineClient) -> str:
            archive.export(client, container_id, target, job.transfer)
            return str(target)

        self._start(job, write)

    def _commit(self, container_id: str, name: str, message: str, pause: bool) -> None:
        from backend.api import inside

        job = Job(JobKind.COMMIT, container_id, clean_text(name))

        def make(client: EngineClient) -> str:
            inside.commit(client, container_id, name, comment=message, pause=pause)
            if job.transfer.is_cancelled:
                # The engine cannot stop a commit half-way, so the image is removed afterwards.
                inside.forget_image(client, name)
            job.transfer.check()
            return name

        self._start(job, make)

    def _start(self, job: Job, work: Callable[[EngineClient], str]) -> None:
        self._detail.add_job(job)
        self._progress.start()

        def run(client: EngineClient) -> None:
            problem: Problem | None = None
            result = ""
            try:
                job.transfer.check()
                result = work(client)
            except WherryError as error:
                problem = error.problem
            except Exception:
                # An internal error ends the transfer's row, too; the thread that runs this logs it.
                defect = fail(
                    ProblemCode.INTERNAL,
                    message("Internal error while copying."),
                    hint=message("Please report it."),
                )
                self._over.emit(job, defect.problem, "")
                raise
            self._over.emit(job, problem, result)

        def ready(client: Any) -> None:
            if isinstance(client, Problem):
                self._on_over(job, client, "")
            else:
                self._workers.submit(lambda: run(client))

        # Only the client comes from the pool; the job itself would block the pool.
        self._parts.engine_link.run(lambda client: client, ready)

    def _cancel(self, job: Job) -> None:
        job.transfer.cancel()
        self._detail.change_job(job)

    def _report_progress(self) -> None:
        running = [job for job in self._detail.jobs if job.state is JobState.RUNNING]
        for job in running:
            self._detail.change_job(job)
        if not running:
            self._progress.stop()

    def _on_over(self, job: Job, problem: Problem | None, result: str) -> None:
        cancelled = problem is not None and (problem.code is ProblemCode.CANCELLED or job.transfer.is_cancelled)
        job.state = JobState.CANCELLED if cancelled else JobState.FAILED if problem else JobState.DONE
        job.problem = None if cancelled else problem
        job.result = clean_text(shown_path(result), 4096)
        self._detail.change_job(job)
        if job.kind is JobKind.UPLOAD and job.container_id == self._detail.container_id:
            self._load_changes(job.container_id)

    # -- terminals ------------------------------------------------------------------------------------------------
    def _open_terminal(self, container_id: str, debug: bool, columns: int, lines: int) -> None:
        old = self._detail.terminal(container_id, debug=debug)
        if old is not None:
            self._terminals.end(old)
            old.deleteLater()
        session = TerminalSession(container_id, columns, lines, self)
        self._terminals.open(session, container_id, debug=debug)
        self._detail.set_terminal(container_id, session, debug=debug)

    def _close_terminal(self, container_id: str, debug: bool) -> None:
        session = self._detail.terminal(container_id, debug=debug)
        if session is not None:
            self._terminals.end(session)
            self._detail.set_terminal(container_id, None, debug=debug)
            session.deleteLater()
