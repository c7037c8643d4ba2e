"""What the agent knows of containers better than the engine: published ports, files."""

from __future__ import annotations

import msgspec

from backend.addresses import PortStatus
from backend.control.messages.request import Request


class PortList(msgspec.Struct, frozen=True, kw_only=True):
    """All published ports, by port."""

    ports: tuple[PortStatus, ...]


class ListPorts(Request[PortList], frozen=True):
    """Which ports of this computer lead to containers."""

    wire_name = "ports.list"


class FileRecord(msgspec.Struct, frozen=True, array_like=True):
    """A name in a directory of a container. On the wire it is a list: there may be thousands."""

    untrusted_name: str
    """One character per byte (latin-1)."""
    mode: int
    """As in `stat`, with the kind of file."""
    size: int
    modified: int
    """Seconds since the epoch."""
    user_id: int
    group_id: int
    untrusted_target: str = ""
    """Where a symbolic link points, one character per byte."""


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of a container. All paths have one character per byte (latin-1)."""

    container: str
    """Its id, as asked."""
    path: str
    """As asked."""
    resolved: str
    """The same directory, with no link in its path."""
    directory: FileRecord | None = None
    """The directory itself."""
    entries: tuple[FileRecord, ...] = ()
    truncated: bool = False
    """Whether there are more."""


class ListFiles(Request[FileList], frozen=True):
    """List a directory of a container, whether that runs or not."""

    wire_name = "files.list"

    container: str
    """Its id."""
    path: str
    """Absolute, one character per byte (latin-1)."""
