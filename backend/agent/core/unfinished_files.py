"""Removes temporary files that an agent left in the machine's directories when it was killed.

Every file is written under a temporary name and then renamed (`backend/files.py`), and so is every socket
(`unix_socket.py` of the host). A process that is killed before the rename leaves a file that nobody reads. Only the
holder of the agent's lock may call this. A file of a process that still runs, such as the window's preferences, is
being written and is kept.
"""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path
from typing import Final

from backend.files import UNFINISHED
from backend.host.process import exists
from backend.paths import MachineDir

_log = logging.getLogger(__name__)

_UNNAMED_SOCKET: Final = re.compile(r"\.[0-9a-f]{6}")


def clear(directory: MachineDir, *, own_pid: int) -> None:
    """Remove the temporary files. One that cannot be removed is logged and kept; it does no harm.

    Args:
        own_pid: process id of the caller, which has written nothing yet: a file with that id is of an earlier process.
    """
    for place in (directory.home, directory.machine, directory.keys, directory.guest_inputs):
        for path in _entries(place):
            match = UNFINISHED.fullmatch(path.name)
            if match and (int(match["pid"]) == own_pid or not exists(int(match["pid"]))):
                _remove(path)
    for path in _entries(directory.run):
        if _UNNAMED_SOCKET.fullmatch(path.name) and _is_socket(path):
            _remove(path)


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:  # it is created later, and a directory that is unusable is reported where it is needed
        return []


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s, left by an agent that was killed, cannot be removed: %s", path, error.strerror)
    else:
        _log.info("removed %s, left by an agent that was killed", path)
