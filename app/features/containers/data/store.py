"""What the window knows of the container whose page is open, and what is asked there. Views read it and emit.

An answer is kept with the id it was asked for: one that comes after the user went on to another container is dropped.
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
    """What takes its time."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    EXPORT = "export"
    COMMIT = "commit"


class JobState(StrEnum):
    """How it stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(eq=False)
class Job:
    """Something under way, or over and not yet dismissed."""

    kind: JobKind
    container_id: str
    subject: str
    """What it is about, clean: a path, or an image's name."""
    transfer: Transfer = field(default_factory=Transfer)
    state: JobState = JobState.RUNNING
    problem: Problem | None = None
    result: str = ""
    """Where to find what was made, clean."""


class DetailIntents(QObject):
    """What the user asks for on a container's page. Paths in containers are as `app.container_files` has them."""

    open = Signal(str)  # container id; "" when the page is left
    load_details = Signal(str)
    load_processes = Signal(str)
    load_changes = Signal(str)
    load_listing = Signal(str, str)  # id, path
    load_file = Signal(str, str)  # id, path
    save_file = Signal(str, object, bytes, bool)  # id, RemoteFile as it was read, new content, overwrite
    download = Signal(str, tuple, object)  # id, paths, directory here
    upload = Signal(str, str, tuple, tuple)  # id, directory there, paths here, (user, group)
    export = Signal(str, object)  # id, file here
    commit = Signal(str, str, str, bool)  # id, image's name, message, pause
    cancel = Signal(object)  # Job
    dismiss = Signal(object)  # Job
    open_terminal = Signal(str, bool, int, int)  # id, debug shell, columns, lines
    close_terminal = Signal(str, bool)


class DetailStore(QObject):
    """Only the composition root calls the `set_` methods, in the GUI thread."""

    details_changed = Signal()
    processes_changed = Signal()
    changes_changed = Signal()
    listed = Signal(str, str, object)  # id, path as asked, Listing | Problem
    file_read = Signal(str, str, object)  # id, path as asked, RemoteFile | Problem
    file_saved = Signal(str, object)  # id, RemoteFile | Problem
    job_added = Signal(object)
    job_changed = Signal(object)
    job_removed = Signal(object)
    terminal_changed = Signal(str, bool)  # id, debug shell: another session, or none

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
        """All that runs, or is over and not dismissed, of any container."""
        return tuple(self._jobs)

    def terminal(self, container_id: str, *, debug: bool) -> TerminalSession | None:
        """The container's terminal, if one was opened."""
        return self._terminals.get((container_id, debug))

    def set_container(self, container_id: str) -> None:
        """Another container's page is open; nothing is known of it yet."""
        if container_id != self.container_id:
            self.container_id = container_id
            self.details = self.processes = self.changes = None
            self.details_changed.emit()
            self.processes_changed.emit()
            self.changes_changed.emit()

    def set_details(self, container_id: str, answer: ContainerDetails | Problem) -> None:
        """What `docker inspect` says, or why it does not."""
        if container_id == self.container_id and not _same(answer, self.details):
            self.details = answer
            self.details_changed.emit()

    def set_processes(self, container_id: str, answer: ProcessTable | Problem) -> None:
        """What `docker top` says."""
        if container_id == self.container_id and answer != self.processes:
            self.processes = answer
            self.processes_changed.emit()

    def set_changes(self, container_id: str, answer: dict[str, ChangeKind] | Problem) -> None:
        """What `docker diff` says."""
        if container_id == self.container_id:
            self.changes = answer if isinstance(answer, Problem) else MappingProxyType(answer)
            self.changes_changed.emit()

    def set_listing(self, container_id: str, path: str, answer: Listing | Problem) -> None:
        """A directory, or why it cannot be shown."""
        self.listed.emit(container_id, path, answer)

    def set_file(self, container_id: str, path: str, answer: RemoteFile | Problem) -> None:
        """A file that was to be shown."""
        self.file_read.emit(container_id, path, answer)

    def set_saved(self, container_id: str, answer: RemoteFile | Problem) -> None:
        """A file that was written."""
        self.file_saved.emit(container_id, answer)

    def add_job(self, job: Job) -> None:
        """Something begins."""
        self._jobs.append(job)
        self.job_added.emit(job)

    def change_job(self, job: Job) -> None:
        """It came further, or to its end."""
        if job in self._jobs:
            self.job_changed.emit(job)

    def remove_job(self, job: Job) -> None:
        """The user has seen it."""
        if job in self._jobs:
            self._jobs.remove(job)
            self.job_removed.emit(job)

    def set_terminal(self, container_id: str, session: TerminalSession | None, *, debug: bool) -> None:
        """A terminal was opened, or with None forgotten."""
        if session is None:
            self._terminals.pop((container_id, debug), None)
        else:
            self._terminals[container_id, debug] = session
        self.terminal_changed.emit(container_id, debug)


def _same(one: Any, other: Any) -> bool:
    # The raw answer takes no part in the comparison of details, and is shown too.
    raw_one, raw_other = (getattr(value, "untrusted_raw", None) for value in (one, other))
    return bool(one == other and raw_one == raw_other)
