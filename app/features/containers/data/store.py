"""State of the open container's page, and the signals for the user's requests there.

Each reply is stored with its container's id: a reply that arrives after another container was opened is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.features.containers.data.files import Listing
from backend.api import ChangeKind, ContainerDetails, Problem, ProcessTable, RemoteFile, Transfer

if TYPE_CHECKING:
    from app.terminal.session import TerminalSession


class JobKind(StrEnum):
    """Kinds of long-running jobs."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    EXPORT = "export"
    COMMIT = "commit"


class JobState(StrEnum):
    """State of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(eq=False)
class Job:
    """A job that runs, or has ended and is not dismissed yet."""

    kind: JobKind
    container_id: str
    subject: str
    """What it works on, sanitized: a path or an image's name."""
    transfer: Transfer = field(default_factory=Transfer)
    state: JobState = JobState.RUNNING
    problem: Problem | None = None
    result: str = ""
    """Location of the result, sanitized: a path or an image's name."""


class DetailIntents(QObject):
    """Signals for the user's requests on a container's page. Paths in containers are as in `data.files`."""

    open = Signal(str)  # container id; "" when the page is closed
    load_details = Signal(str)
    load_processes = Signal(str)
    load_changes = Signal(str)
    load_listing = Signal(str, str)  # id, path
    load_file = Signal(str, str)  # id, path
    save_file = Signal(str, object, bytes, bool)  # id, RemoteFile as it was read, new content, overwrite
    download = Signal(str, tuple, object)  # id, paths in the container, directory on this computer
    upload = Signal(str, str, tuple, tuple)  # id, directory in the container, paths on this computer, (uid, gid)
    export = Signal(str, object)  # id, file on this computer
    commit = Signal(str, str, str, bool)  # id, image name, message, whether to pause
    cancel = Signal(object)  # Job
    dismiss = Signal(object)  # Job
    open_terminal = Signal(str, bool, int, int)  # id, debug shell, columns, lines
    close_terminal = Signal(str, bool)


class DetailStore(QObject):
    """State of the page. Only the wiring calls the `set_` methods, in the GUI thread."""

    details_changed = Signal()
    processes_changed = Signal()
    changes_changed = Signal()
    listed = Signal(str, str, object)  # id, requested path, Listing | Problem
    file_read = Signal(str, str, object)  # id, requested path, RemoteFile | Problem
    file_saved = Signal(str, object)  # id, RemoteFile | Problem
    job_added = Signal(object)
    job_changed = Signal(object)
    job_removed = Signal(object)
    terminal_changed = Signal(str, bool)  # id, whether the debug shell: its session changed

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.intents = DetailIntents(self)
        self.container_id = ""
        self.details: ContainerDetails | Problem | None = None
        self.processes: ProcessTable | Problem | None = None
        self.changes: Mapping[str, ChangeKind] | Problem | None = None
        self._jobs: list[Job] = []
        self._terminals: dict[tuple[str, bool], TerminalSession] = {}

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs of all containers that are not dismissed."""
        return tuple(self._jobs)

    def terminal(self, container_id: str, *, debug: bool) -> TerminalSession | None:
        """The container's terminal session (or debug shell's), if one was opened."""
        return self._terminals.get((container_id, debug))

    def set_container(self, container_id: str) -> None:
        """Set the open container and clear the last one's state."""
        if container_id != self.container_id:
            self.container_id = container_id
            self.details = self.processes = self.changes = None
            self.details_changed.emit()
            self.processes_changed.emit()
            self.changes_changed.emit()

    def set_details(self, container_id: str, answer: ContainerDetails | Problem) -> None:
        """Store the result of `docker inspect`, or why it failed."""
        if container_id == self.container_id and not _same(answer, self.details):
            self.details = answer
            self.details_changed.emit()

    def set_processes(self, container_id: str, answer: ProcessTable | Problem) -> None:
        """Store the result of `docker top`, or why it failed."""
        if container_id == self.container_id and answer != self.processes:
            self.processes = answer
            self.processes_changed.emit()

    def set_changes(self, container_id: str, answer: dict[str, ChangeKind] | Problem) -> None:
        """Store the result of `docker diff`, or why it failed."""
        if container_id == self.container_id:
            self.changes = answer if isinstance(answer, Problem) else MappingProxyType(answer)
            self.changes_changed.emit()

    def set_listing(self, container_id: str, path: str, answer: Listing | Problem) -> None:
        """Emit `listed` with a directory, or why it cannot be listed."""
        self.listed.emit(container_id, path, answer)

    def set_file(self, container_id: str, path: str, answer: RemoteFile | Problem) -> None:
        """Emit `file_read` with a file, or why it cannot be read."""
        self.file_read.emit(container_id, path, answer)

    def set_saved(self, container_id: str, answer: RemoteFile | Problem) -> None:
        """Emit `file_saved` with the saved file, or why saving failed."""
        self.file_saved.emit(container_id, answer)

    def add_job(self, job: Job) -> None:
        """Add a job that starts."""
        self._jobs.append(job)
        self.job_added.emit(job)

    def change_job(self, job: Job) -> None:
        """Report progress or the end of a job."""
        if job in self._jobs:
            self.job_changed.emit(job)

    def remove_job(self, job: Job) -> None:
        """Remove a job that the user dismissed."""
        if job in self._jobs:
            self._jobs.remove(job)
            self.job_removed.emit(job)

    def set_terminal(self, container_id: str, session: TerminalSession | None, *, debug: bool) -> None:
        """Store a terminal session, or with None remove it."""
        if session is None:
            self._terminals.pop((container_id, debug), None)
        else:
            self._terminals[container_id, debug] = session
        self.terminal_changed.emit(container_id, debug)


def _same(one: Any, other: Any) -> bool:
    # The raw reply is excluded from the comparison of details, but is shown too.
    raw_one, raw_other = (getattr(value, "untrusted_raw", None) for value in (one, other))
    return bool(one == other and raw_one == raw_other)
