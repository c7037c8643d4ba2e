"""Requests for long operations. The status shows the one that runs; others are refused (BUSY) meanwhile."""

from __future__ import annotations

import msgspec

from backend.control.messages.request import Request
from backend.model import OperationStatus


class OperationCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """Cancelling has begun. The operation's own request is answered when it has ended."""

    operation: OperationStatus | None = None


class CancelOperation(Request[OperationCancelled], frozen=True):
    """Cancel the running operation, if it can be cancelled."""

    wire_name = "operation.cancel"


class ImageVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A guest image on this computer."""

    version: str
    engine_version: str
    directory: str = ""


class UpdateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The installed guest image, and a newer one."""

    current: ImageVersion
    offer: ImageVersion | None = None
    """None: there is no newer one."""
    automatic: bool = False
    """Whether the next start installs it without asking."""


class CheckUpdate(Request[UpdateCheck], frozen=True):
    """Check for a newer guest image on this computer."""

    wire_name = "update.check"


class UpdateApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The guest image was updated."""

    version: str
    """The new version."""
    before: str
    """The version before."""
    checkpoint: str
    """Id of the checkpoint that was taken before the update."""
    ended: tuple[str, ...] = ()
    """Names of the containers started with --rm, which ended and were therefore removed."""


class ApplyUpdate(Request[UpdateApplied], frozen=True):
    """Update the guest image. Undone automatically if a container, image, volume or network is missing afterwards."""

    wire_name = "update.apply"

    directory: str | None = None
    """Absolute path of the image; None: the newest in the image cache."""


class DiskGrown(msgspec.Struct, frozen=True, kw_only=True):
    """The data disk is larger."""

    size_gib: int
    now: bool
    """Whether the guest uses the new size already; False: from its next start."""


class GrowDisk(Request[DiskGrown], frozen=True):
    """Enlarge the data disk of the running or stopped machine."""

    wire_name = "disk.grow"

    size_gib: int
    """The new size."""


class DiskMoved(msgspec.Struct, frozen=True, kw_only=True):
    """The data disk was moved."""

    path: str
    """Its new path."""


class MoveDisk(Request[DiskMoved], frozen=True):
    """Move the data disk to another directory. The machine is stopped meanwhile."""

    wire_name = "disk.move"

    directory: str
    """An absolute path. The machine's own directory moves the disk back to its default place."""


class MachineReset(msgspec.Struct, frozen=True, kw_only=True):
    """The data disk is empty."""

    checkpoint: str | None = None
    """Id of the checkpoint that holds the state before; None: none was taken."""
    existed: bool
    """Whether there was a data disk."""


class ResetMachine(Request[MachineReset], frozen=True):
    """Empty the data disk."""

    wire_name = "reset"

    keep: bool = True
    """Take a checkpoint first."""
