"""How far the restore of a checkpoint got, on disk, so that an agent that is killed in it leaves nothing undecided.

    STOPPING   nothing of the disk was changed: the next agent only starts the machine again, if it ran
    APPLYING   the disk is the present or the checkpoint, and the present is a checkpoint of its own: it is put back
    PROVING    the disk is the checkpoint, whole: the next agent goes on proving that the engine answers
    UNDOING    the proof failed: the present is put back

Each step is written, durably, before it begins. A journal that cannot be read is as none: the disk is whole in any
case, and the present is among the checkpoints.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path

import msgspec

from backend.errors import WherryError
from backend.files import explain_os_error, write_private

_log = logging.getLogger(__name__)


class RestoreStep(StrEnum):
    """See the module."""

    STOPPING = "stopping"
    APPLYING = "applying"
    PROVING = "proving"
    UNDOING = "undoing"


class RestoreJournal(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    step: RestoreStep
    target: str
    """Id of the checkpoint that is being restored."""
    present: str = ""
    """Id of the checkpoint of what was before; "" while there is none."""
    was_running: bool
    """Whether the machine is to run again afterwards."""


def save(path: Path, journal: RestoreJournal) -> None:
    """Write it durably. Raises WherryError."""
    try:
        write_private(path, msgspec.json.encode(journal))
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error


def load(path: Path) -> RestoreJournal | None:
    """What an earlier agent left, if anything."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RestoreJournal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s cannot be read and is left: %s", path, error)
        return None


def end(path: Path) -> None:
    """The restore is over. Raises WherryError: the next agent would put back a present that is none any more."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
