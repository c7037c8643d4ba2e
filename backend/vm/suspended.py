"""A suspended machine on disk: the saved state, and a record of what it belongs to.

A state can be used exactly once, and only with the disk unchanged: a guest that resumes with old memory and a newer
disk destroys its file system. These rules hold even when an agent or QEMU is killed at any moment:

- The record is written last, when the state is complete and flushed: a state without a record is discarded.
- State and record are removed before the restored guest runs its first instruction, and before any other guest starts.
- A data disk written after the state was saved invalidates the state. Only the state is discarded then.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from backend.files import sync_directory, write_private
from backend.messages import Message, message
from backend.paths import MachineDir
from backend.vm.run import RunRecord
from backend.vm.spec import QemuFacts

_CLOSING_S: Final = 60.0
"""QEMU still writes to the disk's file when it closes it, shortly after the state was saved."""


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """What the saved state belongs to."""

    run: RunRecord
    """Record of the suspended QEMU: the resumed one MUST be started with the same arguments."""
    cpu: str
    """Identity of the host's processor; "" when it is emulated and does not matter."""
    saved_at: float
    """Seconds since the epoch."""
    state_bytes: int


def load(directory: MachineDir) -> Suspended | None:
    """Read the record; None when it or its state is missing."""
    try:
        record = msgspec.json.decode(directory.suspended_record.read_bytes(), type=Suspended)
        is_complete = directory.suspended_state.stat().st_size == record.state_bytes
    except (OSError, msgspec.DecodeError):
        return None
    return record if is_complete else None


def save(directory: MachineDir, record: RunRecord, *, cpu: str) -> None:
    """Turn the state in `suspended_partial` into the saved one. Raises OSError."""
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
    """Record that QEMU closed the disk now, while the guest was still paused. Raises OSError."""
    if (suspended := load(directory)) is not None:
        renewed = msgspec.structs.replace(suspended, saved_at=time.time())
        write_private(directory.suspended_record, msgspec.json.encode(renewed))


def discard(directory: MachineDir) -> None:
    """Remove state and record, flushed to disk. Idempotent. Raises OSError: then no guest may be started."""
    for path in (directory.suspended_record, directory.suspended_state, directory.suspended_partial):
        path.unlink(missing_ok=True)
    sync_directory(directory.machine)


def incompatibility(suspended: Suspended, qemu: QemuFacts, disk: Path, *, cpu: str) -> Message | None:
    """Why the saved state cannot be resumed; None when it can.

    Args:
        suspended: the record.
        qemu: the QEMU that would run it.
        disk: the data disk.
        cpu: the host's processor.
    """
    run = suspended.run
    if run.qemu_version != qemu.version_text:
        return message("It was saved by another version of QEMU than {version}.", version=qemu.version_text)
    if run.argv[:1] != [str(qemu.binary)]:
        return message("It was saved by another QEMU than {path}.", path=qemu.binary)
    if run.accelerator.hardware and suspended.cpu != cpu:
        return message("It was saved on another processor.")
    try:
        written = disk.stat().st_mtime
    except OSError:
        return message("Its data disk is missing.")
    if written > suspended.saved_at + _CLOSING_S:
        return message("The data disk has changed since.")
    if f"filename={str(disk).replace(',', ',,')}," not in " ".join(run.argv):
        return message("The data disk was moved since.")
    for path in _image_files(run.argv):
        try:
            if path.stat().st_mtime > suspended.saved_at:
                return message("A file of the guest image has changed since: {path}.", path=path)
        except OSError:
            return message("A file of the guest image is missing: {path}.", path=path)
    return None


def restart_arguments(suspended: Suspended, uuid: str) -> list[str]:
    """The command line that resumes the state: the original one with a new run id."""
    argv = list(suspended.run.argv)
    argv[argv.index("-uuid") + 1] = uuid
    if "-incoming" in argv:  # that run was itself resumed from a saved state
        at = argv.index("-incoming")
        del argv[at : at + 2]
    return [*argv, "-incoming", "defer"]


def _image_files(argv: list[str]) -> list[Path]:
    """Kernel, initramfs and root file of the guest image in QEMU's arguments."""
    files: list[Path] = []
    for option, value in itertools.pairwise(argv):
        if option in ("-kernel", "-initrd"):
            files.append(Path(value))
        elif option == "-blockdev" and "node-name=root-file," in value:
            name = value.partition("filename=")[2].replace(",,", "\0").partition(",")[0]
            files.append(Path(name.replace("\0", ",")))
    return files
