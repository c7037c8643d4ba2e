"""The most that the running machine has taken of the host, so that what it gave back can be told.

Memory: as the system counts it for QEMU's process where it does, else as was seen. Disk: as was seen since QEMU's
start, kept in a small file beside the run's record. The file names the run that it is of, and is written whole or not
at all: one that is missing, broken or of another run only makes the count begin anew.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from backend.files import write_private
from backend.host.base import Host
from backend.host.process import peak_resident_bytes, resident_bytes
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path

_log = logging.getLogger(__name__)
_WORTH_WRITING_BYTES: Final = 64 * 1024**2


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    uuid: str
    memory: int
    disk: int


class Peaks:
    """Of one machine. `look` may be called on any thread, but on one at a time."""

    def __init__(self, host: Host, directory: MachineDir) -> None:
        self._host = host
        self._dir = directory
        self._kept = _Kept(uuid="", memory=0, disk=0)
        self._written = self._kept

    @property
    def memory(self) -> int:
        """Bytes."""
        return self._kept.memory

    @property
    def disk(self) -> int:
        """Bytes."""
        return self._kept.disk

    def look(self, uuid: str | None, pid: int | None) -> None:
        """Note what the machine has taken now.

        Args:
            uuid: of the run; None: nothing runs.
            pid: QEMU's.
        """
        if uuid is None or pid is None:
            return
        before = self._kept if self._kept.uuid == uuid else self._load(uuid)
        self._kept = _Kept(
            uuid=uuid,
            memory=max(before.memory, peak_resident_bytes(pid) or 0, resident_bytes(pid) or 0),
            disk=max(before.disk, self._host.allocated_bytes(data_disk_path(self._dir)) or 0),
        )
        grown = max(self._kept.memory - self._written.memory, self._kept.disk - self._written.disk)
        if self._written.uuid != uuid or grown >= _WORTH_WRITING_BYTES:
            self._save()

    def _load(self, uuid: str) -> _Kept:
        try:
            found = msgspec.json.decode(self._dir.usage_peaks.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return _Kept(uuid=uuid, memory=0, disk=0)
        return found if found.uuid == uuid else _Kept(uuid=uuid, memory=0, disk=0)

    def _save(self) -> None:
        try:
            write_private(self._dir.usage_peaks, msgspec.json.encode(self._kept))
        except OSError as error:  # a full disk: the next agent counts anew
            _log.info("%s was not written: %s", self._dir.usage_peaks, error)
        self._written = self._kept
