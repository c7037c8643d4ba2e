"""Long operations on the machine. While one is under way, the status shows it, and others are refused (BUSY)."""

from __future__ import annotations

import msgspec

from backend.control.messages.request import Request
from backend.model import OperationStatus


class OperationCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The operation has been told to end; its own request is answered when it has."""

    operation: OperationStatus | None = None


class CancelOperation(Request[OperationCancelled], frozen=True):
    """Take back what is under way, where that is possible."""

    wire_name = "operation.cancel"


class ImageVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A guest image on this computer."""

    version: str
    engine_version: str
    directory: str = ""


class UpdateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The image that the machine has, and a newer one."""

    current: ImageVersion
    offer: ImageVersion | None = None
    """None: there is no newer one."""
    automatic: bool = False
    """Whether the next start takes it without asking."""


class CheckUpdate(Request[UpdateCheck], frozen=True):
    """Look for a newer guest image on this computer."""

    wire_name = "update.check"


class UpdateApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The guest image was updated."""

    version: str
    """The one that the machine has now."""
    before: str
    """The one that it had."""
    checkpoint: str
    """Id of the checkpoint taken before."""
    ended: tuple[str, ...] = ()
    """Names of the containers that were run with --rm, and ended."""


class ApplyUpdate(Request[UpdateApplied], frozen=True):
    """Update the guest image; taken back by itself if the engine is not what it was."""

    wire_name = "update.apply"

    directory: str | None = None
    """Absolute path of the image; None: the newest of the image cache."""


class DiskGrown(msgspec.Struct, frozen=True, kw_only=True):
    """The data disk is larger."""

    size_gib: int
    now: bool
    """Whether the guest has it already; else from its next start on."""


class GrowDisk(Request[DiskGrown], frozen=True):
    """Make the data disk larger, while the machine runs too."""

    wire_name = "disk.grow"

    size_gib: int
    """Afterwards."""


class DiskMoved(msgspec.Struct, frozen=True, kw_only=True):
    """The data disk is in another place."""

    path: str


class MoveDisk(Request[DiskMoved], frozen=True):
    """Move the data disk to another folder; the machine is stopped meanwhile."""

    wire_name = "disk.move"

    directory: str
    """An absolute path; the machine's own directory brings the disk home."""


class MachineReset(msgspec.Struct, frozen=True, kw_only=True):
    """The machine is as new."""

    checkpoint: str | None = None
    """Id of the checkpoint that keeps what was; None: nothing was kept."""
    existed: bool
    """Whether there was a disk."""


class ResetMachine(Request[MachineReset], frozen=True):
    """Empty the data disk."""

    wire_name = "reset"

    keep: bool = True
    """Take a checkpoint first."""
