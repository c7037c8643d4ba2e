"""A suspended machine on disk: the saved state and the record of what it belongs to.

The state is good exactly once, and only with the disk as it was: a guest that goes on from an old memory with a newer
disk destroys its file system. So these rules hold, whenever an agent or QEMU is killed:

- The record is written last, when the state is whole and on the disk: a state without a record is a leaving.
- State and record go before the restored guest runs its first instruction, and before any other guest is started.
- A data disk that was written later than the state was saved makes it void. Only the state is thrown away then.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from backend.files import sync_directory, write_private
from backend.paths import MachineDir
from backend.vm.run import RunRecord
from backend.vm.spec import QemuFacts

_CLOSING_S: Final = 60.0
"""QEMU writes its last words to the disk's file when it closes it, shortly after the state was saved."""


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """What the saved state belongs to."""

    run: RunRecord
    """Of the QEMU that was suspended: the one that goes on has to be started alike."""
    cpu: str
    """The host's processor; "" where it is emulated and does not matter."""
    saved_at: float
    """Seconds since the epoch."""
    state_bytes: int


def load(directory: MachineDir) -> Suspended | None:
    """The record, if there is one with its state."""
    try:
        record = msgspec.json.decode(directory.suspended_record.read_bytes(), type=Suspended)
        whole = directory.suspended_state.stat().st_size == record.state_bytes
    except (OSError, msgspec.DecodeError):
        return None
    return record if whole else None


def save(directory: MachineDir, record: RunRecord, *, cpu: str) -> None:
    """Make the state that was written to `suspended_partial` the saved one. Raises OSError."""
    partial = directory.suspended_partial
    descriptor = os.open(partial, os.O_RDWR)
    try:
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    partial.replace(directory.suspended_state)
    sync_directory(directory.machine)
    suspended = Suspended(run=record, cpu=cpu, saved_at=time.time(), state_bytes=size)
    write_private(directory.suspended_record, msgspec.json.encode(suspended))


def touch(directory: MachineDir) -> None:
    """Note that the disk was closed just now, by a QEMU that had stood still since. Raises OSError."""
    if (found := load(directory)) is not None:
        renewed = msgspec.structs.replace(found, saved_at=time.time())
        write_private(directory.suspended_record, msgspec.json.encode(renewed))


def discard(directory: MachineDir) -> None:
    """Give the state up, durably. Idempotent. Raises OSError when it cannot be given up: then nothing may run."""
    for path in (directory.suspended_record, directory.suspended_state, directory.suspended_partial):
        path.unlink(missing_ok=True)
    sync_directory(directory.machine)


def misfit(found: Suspended, qemu: QemuFacts, disk: Path, *, cpu: str) -> str | None:
    """Why the saved state cannot be gone on from; None when it can.

    Args:
        found: the record.
        qemu: the QEMU that would run it.
        disk: the data disk.
        cpu: the host's processor.
    """
    run = found.run
    if run.qemu_version != qemu.version_text:
        return f"it was saved by QEMU {run.qemu_version or 'of another kind'}, and this is QEMU {qemu.version_text}"
    if run.argv[:1] != [str(qemu.binary)]:
        return f"it was saved by {run.argv[0] if run.argv else 'another program'}, and QEMU is now {qemu.binary}"
    if run.accelerator.hardware and found.cpu != cpu:
        return "it was saved on another processor"
    try:
        written = disk.stat().st_mtime
    except OSError:
        return "its data disk is gone"
    if written > found.saved_at + _CLOSING_S:
        return "the data disk was changed since"
    if f"filename={str(disk).replace(',', ',,')}," not in " ".join(run.argv):
        return "the data disk was moved since"
    for path in _image_files(run.argv):
        try:
            if path.stat().st_mtime > found.saved_at:
                return f"{path} of the guest image was changed since"
        except OSError:
            return f"{path} of the guest image is gone"
    return None


def restart_arguments(found: Suspended, uuid: str) -> list[str]:
    """The command line that goes on from the state: the one of then, with a name of its own."""
    argv = list(found.run.argv)
    argv[argv.index("-uuid") + 1] = uuid
    if "-incoming" in argv:  # it had gone on from a saved state itself
        at = argv.index("-incoming")
        del argv[at : at + 2]
    return [*argv, "-incoming", "defer"]


def _image_files(argv: list[str]) -> list[Path]:
    """Kernel, initramfs and root of the guest image, as QEMU was given them."""
    files: list[Path] = []
    for option, value in itertools.pairwise(argv):
        if option in ("-kernel", "-initrd"):
            files.append(Path(value))
        elif option == "-blockdev" and "node-name=root-file," in value:
            name = value.partition("filename=")[2].replace(",,", "\0").partition(",")[0]
            files.append(Path(name.replace("\0", ",")))
    return files
