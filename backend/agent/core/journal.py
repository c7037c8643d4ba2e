"""The journal of a long operation: tells the next agent how to recover if this one is killed during the operation.

It is written durably before the first change, again before each step that needs another recovery, and removed when the
operation has ended or was recovered. There is at most one, because there is at most one operation. A journal that
cannot be read is treated as none: operations are ordered so that the data disk in use is intact at each moment; only
unused files may be left.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

from backend.errors import WherryError
from backend.files import explain_os_error, sync_directory, write_private

_log = logging.getLogger(__name__)


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    name: str
    """Name of the operation: "update.apply", "disk.move"..."""
    stage: str
    """The step that was begun; each operation has its own stages."""
    was_running: bool
    """Whether the machine ran before, and is to be started again afterwards."""
    details: dict[str, Any] = {}
    """Parameters for the recovery, as JSON values."""


def save(path: Path, journal: Journal) -> None:
    """Write the file and sync it and its directory. Raises WherryError (HOST_DISK_FULL, PATH_UNUSABLE)."""
    try:
        write_private(path, msgspec.json.encode(journal))
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error


def load(path: Path) -> Journal | None:
    """The journal of an interrupted operation; None if there is none or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s cannot be read and is ignored: %s", path, error)
        return None


def end(path: Path) -> None:
    """Remove the journal: the operation has ended.

    Raises:
        WherryError: it cannot be removed, so the next agent would recover an operation that was not interrupted.
    """
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
