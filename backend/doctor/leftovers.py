"""What a crash leaves in a machine's home, each file only if it is proved to be of no use to anybody."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from backend.files import UNFINISHED
from backend.host.base import Host
from backend.host.process import ProcessIdentity, exists, holders_of
from backend.paths import SOCKET_NAMES, MachineDir
from backend.settings.disk import data_disk_path
from backend.vm import run

_PROBE_S: Final = 2.0


def leftovers(host: Host, directory: MachineDir) -> list[Path]:
    """Sockets without a listener, records of a QEMU that is gone, files whose writer is gone.

    MUST only be believed while nobody runs the machine, which the caller knows; blocks for a second at most.
    """
    sockets = [directory.run / name for name in SOCKET_NAMES]
    if directory.keeper_socket.exists() and not _is_dead_socket(host, directory.keeper_socket):
        sockets.remove(directory.docker_socket)  # the keeper listens on it, and would start an agent for us
    found = [path for path in sockets if _is_dead_socket(host, path)]
    record = run.load(directory.run_record)
    gone = record is None or ProcessIdentity.find(record.uuid) is None
    if gone and not (data_disk_path(directory).exists() and holders_of(str(data_disk_path(directory)))):
        found += [path for path in (directory.run_record, directory.qemu_pid) if path.exists()]
    for place in (directory.home, directory.machine, directory.keys, directory.guest_inputs):
        found += [path for path in _files_of(place) if _is_abandoned(path)]
    return found


def _files_of(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.name.startswith("."))
    except OSError:
        return []


def _is_dead_socket(host: Host, path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        host.connect_blocking(path, timeout_s=_PROBE_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False  # not there, or nobody knows
    return False


def _is_abandoned(path: Path) -> bool:
    """Whether it is a half-written file of ours: its whole name and our mark, no link, and its writer is gone."""
    match = UNFINISHED.fullmatch(path.name)
    if match is None:
        return False
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
    return regular and not exists(int(match["pid"]))
