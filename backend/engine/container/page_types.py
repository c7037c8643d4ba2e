"""Values of a container's page, without a dependency on docker-py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:[._/:-]+[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """A terminal's size in character cells."""

    columns: int
    lines: int


class ChangeKind(StrEnum):
    """How a path has changed since the image."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """The processes of a container, as listed by the machine's `ps`. All text is sanitised."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each row is as long as `titles`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStat:
    """Metadata of a path; a link in its last part is not followed."""

    name: str
    size: int
    is_directory: bool
    is_link: bool
    link_target: str
    """Absolute target of a link, resolved by the engine; empty when it is not a link."""
    changed_at: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file's content, with the metadata for writing it back."""

    path: str
    """Its path, with a link in the last part resolved."""
    untrusted_data: bytes
    size: int
    mode: int
    user_id: int
    group_id: int
    changed_at: str

    @property
    def is_whole(self) -> bool:
        """Whether `untrusted_data` is the complete content."""
        return len(self.untrusted_data) == self.size


def check_image_name(name: str) -> str | None:
    """Why `name` ("app" or "registry:5000/app:1.2") is not a valid image name; None when it is valid.

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
    """Split into repository and tag; the default tag is "latest"."""
    repository, colon, tag = name.strip().rpartition(":")
    if not colon or "/" in tag:  # no tag: the colon belongs to a registry's port
        return name.strip(), "latest"
    return repository, tag
