"""The journal of a long operation: what an agent that is killed in the middle of one leaves to the next.

It is written durably before the first step that changes anything, again whenever it has become true that something else
has to be done about a kill, and removed when the operation has ended in whichever way. There is at most one, because
there is at most one operation. A journal that cannot be read is as none: every operation is ordered so that the data
disk in use is whole at each moment, and what else is left is only room that is not given back.
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
    """Of the operation: "update.apply", "disk.move"..."""
    stage: str
    """How far it got, in the operation's own words."""
    was_running: bool
    """Whether the machine is to run again afterwards."""
    details: dict[str, Any] = {}
    """What its recovery has to know; plain JSON."""


def save(path: Path, journal: Journal) -> None:
    """Write it durably, its name included. Raises WherryError (HOST_DISK_FULL, PATH_UNUSABLE)."""
    try:
        write_private(path, msgspec.json.encode(journal))
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error


def load(path: Path) -> Journal | None:
    """What an earlier agent left; None when there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s cannot be read and is ignored: %s", path, error)
        return None


def end(path: Path) -> None:
    """The operation is over. Raises WherryError: the next agent would take it for one that was interrupted."""
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
