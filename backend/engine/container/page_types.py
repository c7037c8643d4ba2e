"""The values of a container's page. Apart from the modules that ask for them, so that a view costs no docker-py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:[._/:-]+[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """In cells."""

    columns: int
    lines: int


class ChangeKind(StrEnum):
    """What became of a path since the image."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """The processes of a container, as the machine's `ps` shows them. All text is clean."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each as long as `titles`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStat:
    """What the engine says of one path, links in its last part not followed."""

    name: str
    size: int
    is_directory: bool
    is_link: bool
    link_target: str
    """Resolved by the engine, absolute; empty for what is no link."""
    changed_at: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that was read, with all that writing it back needs."""

    path: str
    """Without a link in its last part."""
    untrusted_data: bytes
    size: int
    mode: int
    user_id: int
    group_id: int
    changed_at: str

    @property
    def is_whole(self) -> bool:
        """Whether `untrusted_data` is all of it."""
        return len(self.untrusted_data) == self.size


def check_image_name(name: str) -> str | None:
    """Why `name` ("app" or "registry:5000/app:1.2") cannot be the name of an image; None if it can.

    Returns:
        "empty", "repository" or "tag".
    """
    repository, tag = split_image_name(name)
    if not repository:
        return "empty"
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        return "repository"
    return None if _TAG.fullmatch(tag) else "tag"


def split_image_name(name: str) -> tuple[str, str]:
    """Repository and tag; the tag is "latest" unless it is said."""
    repository, colon, tag = name.strip().rpartition(":")
    if not colon or "/" in tag:  # none, or the one before a registry's port
        return name.strip(), "latest"
    return repository, tag
