"""Checkpoints of the data disk."""

from __future__ import annotations

import msgspec

from backend.control.messages.request import Request
from backend.errors import Problem


class CheckpointEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One kept state of the data disk."""

    id: str
    """Eight hexadecimal digits; "foreign-N" for one that another program made."""
    name: str
    """As the user gave it, "" if none."""
    reason: str
    """ "manual", "before-update"...; "" for a foreign one."""
    created_at: float
    """Seconds since the epoch."""
    size_gib: float
    """What deleting it alone gives back."""
    disk_gib: int | None = None
    """Size of the disk then; None: not known."""
    image_version: str = ""
    """Of the guest image then; "": not known."""
    automatic: bool
    """Whether Wherry took it of its own accord, and may delete it."""
    foreign: bool
    """Whether another program made it."""

    @property
    def key(self) -> str:
        """Tells this one from all others in a table."""
        return self.id


class CheckpointPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the automatic ones are kept."""

    keep_automatic: int
    """How many at most."""
    keep_days: int
    """For how long; 0: for ever."""


class CheckpointList(msgspec.Struct, frozen=True, kw_only=True):
    """All checkpoints, oldest first."""

    checkpoints: tuple[CheckpointEntry, ...]
    policy: CheckpointPolicy
    disk_bytes: int = 0
    """What the data disk takes on the host, checkpoints included."""
    problem: Problem | None = None
    """What became of a restore during which an agent was killed, if it did not end well."""


class ListCheckpoints(Request[CheckpointList], frozen=True):
    """All checkpoints."""

    wire_name = "checkpoints.list"


class CheckpointCreated(msgspec.Struct, frozen=True, kw_only=True):
    """The new checkpoint."""

    id: str


class CreateCheckpoint(Request[CheckpointCreated], frozen=True):
    """Keep the disk as it is; of a machine that runs, too."""

    wire_name = "checkpoints.create"

    name: str = ""
    force: bool = False
    """Even if the guest does not hold its writes meanwhile."""


class CheckpointRestored(msgspec.Struct, frozen=True, kw_only=True):
    """A restore is done."""

    present: str
    """Id of the checkpoint that keeps what was before."""
    running: bool = False
    """Whether the machine runs again."""


class RestoreCheckpoint(Request[CheckpointRestored], frozen=True):
    """Go back to a checkpoint. A long operation."""

    wire_name = "checkpoints.restore"

    id: str


class CheckpointDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A deletion is done."""

    disk_bytes: int = 0
    """What the data disk takes on the host now."""
    freed_bytes: int = 0


class DeleteCheckpoint(Request[CheckpointDeleted], frozen=True):
    """Delete a checkpoint."""

    wire_name = "checkpoints.delete"

    id: str
