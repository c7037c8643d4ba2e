"""Peak memory and disk usage of the running machine on the host. Peak minus current usage is what it has returned.

Memory: the operating system's own peak of the QEMU process if there is one, or else the largest measured value. Disk:
the largest measured value since QEMU's start. Both are saved in a small file beside the run's record, with the run's
id. If the file is missing, damaged or of another run, measuring starts again.
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
_MIN_CHANGE_BYTES: Final = 64 * 1024**2


class _SavedPeaks(msgspec.Struct, frozen=True, kw_only=True):
    uuid: str
    memory: int
    disk: int


class Peaks:
    """Peaks of the current run. `update` may be called on any thread, but not concurrently."""

    def __init__(self, host: Host, directory: MachineDir) -> None:
        self._host = host
        self._dir = directory
        self._peaks = _SavedPeaks(uuid="", memory=0, disk=0)
        self._written = self._peaks

    @property
    def memory(self) -> int:
        """Peak resident memory of QEMU in bytes; 0 if not measured."""
        return self._peaks.memory

    @property
    def disk(self) -> int:
        """Peak size of the data disk's file in bytes; 0 if not measured."""
        return self._peaks.disk

    def update(self, uuid: str | None, pid: int | None) -> None:
        """Measure the current usage.

        Args:
            uuid: of the run; None: no QEMU runs.
            pid: of QEMU.
        """
        if uuid is None or pid is None:
            return
        before = self._peaks if self._peaks.uuid == uuid else self._load(uuid)
        self._peaks = _SavedPeaks(
            uuid=uuid,
            memory=max(before.memory, peak_resident_bytes(pid) or 0, resident_bytes(pid) or 0),
            disk=max(before.disk, self._host.allocated_bytes(data_disk_path(self._dir)) or 0),
        )
        grown = max(self._peaks.memory - self._written.memory, self._peaks.disk - self._written.disk)
        if self._written.uuid != uuid or grown >= _MIN_CHANGE_BYTES:
            self._save()

    def _load(self, uuid: str) -> _SavedPeaks:
        try:
            saved = msgspec.json.decode(self._dir.usage_peaks.read_bytes(), type=_SavedPeaks)
        except (OSError, msgspec.DecodeError):
            return _SavedPeaks(uuid=uuid, memory=0, disk=0)
        return saved if saved.uuid == uuid else _SavedPeaks(uuid=uuid, memory=0, disk=0)

    def _save(self) -> None:
        try:
            write_private(self._dir.usage_peaks, msgspec.json.encode(self._peaks))
        except OSError as error:  # a full disk: the next agent starts measuring again
            _log.info("%s was not written: %s", self._dir.usage_peaks, error)
        self._written = self._peaks
