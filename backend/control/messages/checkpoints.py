"""Requests about checkpoints: kept states of the data disk."""

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
    """Space on the host that deleting only this one frees."""
    disk_gib: int | None = None
    """Size of the disk at that time; None: not known."""
    image_version: str = ""
    """Of the guest image at that time; "": not known."""
    automatic: bool
    """Whether Wherry took it without a request, and may delete it automatically."""
    foreign: bool
    """Whether another program made it."""

    @property
    def key(self) -> str:
        """Unique among the rows of a table."""
        return self.id


class CheckpointPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which automatic checkpoints are kept."""

    keep_automatic: int
    """The largest number."""
    keep_days: int
    """The longest age in days; 0: no limit."""


class CheckpointList(msgspec.Struct, frozen=True, kw_only=True):
    """All checkpoints, oldest first."""

    checkpoints: tuple[CheckpointEntry, ...]
    policy: CheckpointPolicy
    disk_bytes: int = 0
    """Space that the data disk with its checkpoints occupies on the host."""
    problem: Problem | None = None
    """Set when the agent was killed during a restore that could not be completed or undone afterwards."""


class ListCheckpoints(Request[CheckpointList], frozen=True):
    """List the checkpoints."""

    wire_name = "checkpoints.list"


class CheckpointCreated(msgspec.Struct, frozen=True, kw_only=True):
    """The new checkpoint."""

    id: str


class CreateCheckpoint(Request[CheckpointCreated], frozen=True):
    """Take a checkpoint of the running or stopped machine."""

    wire_name = "checkpoints.create"

    name: str = ""
    force: bool = False
    """Also if the guest cannot pause its writes to the disk."""


class CheckpointRestored(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint was restored."""

    present: str
    """Id of the checkpoint that holds the state before the restore."""
    running: bool = False
    """Whether the machine was running and was started again."""


class RestoreCheckpoint(Request[CheckpointRestored], frozen=True):
    """Restore a checkpoint. A long operation."""

    wire_name = "checkpoints.restore"

    id: str


class CheckpointDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint was deleted."""

    disk_bytes: int = 0
    """Space that the data disk occupies on the host now."""
    freed_bytes: int = 0


class DeleteCheckpoint(Request[CheckpointDeleted], frozen=True):
    """Delete a checkpoint."""

    wire_name = "checkpoints.delete"

    id: str
