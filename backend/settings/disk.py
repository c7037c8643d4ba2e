"""Location of the data disk: the machine's home, or the setting `machine.disk_directory`."""

from __future__ import annotations

from pathlib import Path

from backend.errors import WherryError
from backend.paths import MachineDir
from backend.settings import config


def data_disk_path(directory: MachineDir) -> Path:
    """The data disk's file, with all state of the engine: images, containers, volumes.

    The setting can change while the agent runs, so the result may differ after each await.
    """
    return directory.disk_in(disk_directory(directory.config) or directory.machine)


def disk_directory(path: Path) -> Path | None:
    """The directory set for the data disk; None: the machine's home.

    The file is read again only when it has changed. While it is invalid, the last value is returned: starting a machine
    reads the settings first, and refuses.
    """
    try:
        status = path.stat()
        mark = (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        return None
    known = _disk_directories.get(path)
    if known is not None and known[0] == mark:
        return known[1]
    try:
        named = config.load(path).machine.disk_directory
    except WherryError:
        return known[1] if known is not None else None
    location = Path(named) if named else None
    _disk_directories[path] = (mark, location)
    return location


_disk_directories: dict[Path, tuple[tuple[int, int, int], Path | None]] = {}
