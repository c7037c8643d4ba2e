"""A container's directory listings, decoded from the agent's replies. No I/O.

Paths here are text, with `surrogateescape` for bytes that are not UTF-8; on the control channel they have one character
per byte.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass

from backend.api import clean_text, messages


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One entry of a directory."""

    untrusted_name: str
    mode: int
    size: int
    modified: int
    """Modification time in seconds since the epoch."""
    user_id: int
    group_id: int
    untrusted_target: str = ""
    """Target of a symbolic link; "" for other entries."""

    @property
    def name(self) -> str:
        """The name to show, with unprintable characters replaced."""
        return shown_path(self.untrusted_name)

    @property
    def target(self) -> str:
        """The link target to show, with unprintable characters replaced."""
        return shown_path(self.untrusted_target)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory; False for a link to one."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def mode_text(self) -> str:
        """Type and permissions as `ls` shows them: "-rw-r--r--"."""
        return stat.filemode(self.mode)


@dataclass(frozen=True, slots=True)
class Listing:
    """The contents of one directory."""

    container_id: str
    requested_path: str
    path: str
    """The path with symbolic links resolved."""
    directory: FileEntry | None
    entries: tuple[FileEntry, ...]
    is_truncated: bool


def listing_of(untrusted: messages.FileList) -> Listing:
    """Convert the agent's reply."""
    return Listing(
        container_id=untrusted.container,
        requested_path=from_wire(untrusted.path),
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
    """Convert a path from the control channel's form."""
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def to_wire(path: str) -> str:
    """Convert a path to the control channel's form."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


def shown_path(untrusted_path: str) -> str:
    """A path or name to show: on one line, with bytes that are not UTF-8 replaced."""
    text = untrusted_path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return clean_text(text.replace("\n", "␊"), 4096)


def child(directory: str, name: str) -> str:
    """Join a directory and the name of an entry."""
    return f"{directory.rstrip('/')}/{name}"


def parent(path: str) -> str:
    """The parent directory; the root is its own parent."""
    return path.rstrip("/").rpartition("/")[0] or "/"
