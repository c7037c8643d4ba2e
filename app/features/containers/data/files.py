"""A container's directories as the agent lists them, ready to show. Pure.

A path is text in which `surrogateescape` holds what is not UTF-8; on the control channel it is one character per byte.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass

from backend.api import clean_text, messages


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One name in a directory."""

    untrusted_name: str
    mode: int
    size: int
    modified: int
    """Seconds since the epoch."""
    user_id: int
    group_id: int
    untrusted_target: str = ""
    """Where a symbolic link points."""

    @property
    def name(self) -> str:
        """To be shown: what is no letter is replaced."""
        return shown_path(self.untrusted_name)

    @property
    def target(self) -> str:
        """To be shown."""
        return shown_path(self.untrusted_target)

    @property
    def is_directory(self) -> bool:
        """Whether it can be entered; a link only tells when it is tried."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return stat.S_ISREG(self.mode)

    @property
    def mode_words(self) -> str:
        """As ls shows it: "-rw-r--r--"."""
        return stat.filemode(self.mode)


@dataclass(frozen=True, slots=True)
class Listing:
    """One directory."""

    container_id: str
    asked: str
    path: str
    """The same place without links."""
    directory: FileEntry | None
    entries: tuple[FileEntry, ...]
    is_truncated: bool


def listing_of(untrusted: messages.FileList) -> Listing:
    """The agent's answer."""
    return Listing(
        container_id=untrusted.container,
        asked=from_wire(untrusted.path),
        path=from_wire(untrusted.resolved),
        directory=_entry(untrusted.directory) if untrusted.directory is not None else None,
        entries=tuple(_entry(record) for record in untrusted.entries),
        is_truncated=untrusted.truncated,
    )


def _entry(untrusted: messages.FileRecord) -> FileEntry:
    return FileEntry(
        untrusted_name=from_wire(untrusted.untrusted_name),
        mode=untrusted.mode,
        size=untrusted.size,
        modified=untrusted.modified,
        user_id=untrusted.user_id,
        group_id=untrusted.group_id,
        untrusted_target=from_wire(untrusted.untrusted_target),
    )


def from_wire(text: str) -> str:
    """One character per byte to a path."""
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def to_wire(path: str) -> str:
    """A path to one character per byte."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


def shown_path(untrusted_path: str) -> str:
    """A path or a name to be shown: one line, what is not UTF-8 replaced."""
    text = untrusted_path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return clean_text(text.replace("\n", "␊"), 4096)


def child(directory: str, name: str) -> str:
    """The path of a name in a directory."""
    return f"{directory.rstrip('/')}/{name}"


def parent(path: str) -> str:
    """The directory above; the root is its own."""
    return path.rstrip("/").rpartition("/")[0] or "/"
