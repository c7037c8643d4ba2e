"""Requests about containers that the engine itself cannot answer: published ports and files."""

from __future__ import annotations

import msgspec

from backend.addresses import PortStatus
from backend.control.messages.request import Request


class PortList(msgspec.Struct, frozen=True, kw_only=True):
    """The published ports, ordered by number."""

    ports: tuple[PortStatus, ...]


class ListPorts(Request[PortList], frozen=True):
    """List the ports of the host that are forwarded to containers."""

    wire_name = "ports.list"


class FileRecord(msgspec.Struct, frozen=True, array_like=True):
    """An entry of a directory in a container. Encoded as a JSON array, because there may be thousands."""

    untrusted_name: str
    """One character per byte (latin-1)."""
    mode: int
    """`st_mode`: permissions and type of file."""
    size: int
    modified: int
    """Seconds since the epoch."""
    user_id: int
    group_id: int
    untrusted_target: str = ""
    """Target of a symbolic link, one character per byte (latin-1)."""


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a directory in a container. All paths have one character per byte (latin-1)."""

    container: str
    """Its id, as in the request."""
    path: str
    """As in the request."""
    resolved: str
    """The same directory with all symbolic links resolved."""
    directory: FileRecord | None = None
    """The directory itself."""
    entries: tuple[FileRecord, ...] = ()
    truncated: bool = False
    """Whether there are more entries."""


class ListFiles(Request[FileList], frozen=True):
    """List a directory in a running or stopped container."""

    wire_name = "files.list"

    container: str
    """Its id."""
    path: str
    """Absolute, one character per byte (latin-1)."""
