"""What an agent that was killed in mid-step leaves in the machine's directories; its successor clears it away.

Every file is written beside its place and then renamed (`backend/files.py`), and every socket is bound under another
name first (`unix_socket.py` of the host): whoever is killed before the rename leaves a file that nobody would ever
look at again. Only who holds the agent's lock may call this. A file of a process that still runs, the window's
preferences say, is in the middle of being written and stays.
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
    """Remove them. What cannot be removed is logged and stays: it is in nobody's way.

    Args:
        own_pid: of the calling process, which has written nothing yet: a file of that id is of a former process.
    """
    for place in (directory.home, directory.machine, directory.keys, directory.guest_inputs):
        for path in _entries(place):
            found = UNFINISHED.fullmatch(path.name)
            if found and (int(found["pid"]) == own_pid or not exists(int(found["pid"]))):
                _remove(path)
    for path in _entries(directory.run):
        if _UNNAMED_SOCKET.fullmatch(path.name) and _is_socket(path):
            _remove(path)


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:  # the directory is made later, or said to be unusable by who needs it
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
