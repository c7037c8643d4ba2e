"""Processes that are not our children: whether one is still the one we mean, what it takes, and how to end it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id together with its start time: an id alone is soon used again by another process."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int, *, argument: str) -> ProcessIdentity | None:
        """Identify `pid`, provided that one of its arguments is `argument`; None when it is gone or another."""
        try:
            process = psutil.Process(pid)
            if argument not in process.cmdline():
                return None
            return cls(pid, process.create_time())
        except psutil.Error:
            return None

    @classmethod
    def find(cls, argument: str) -> ProcessIdentity | None:
        """The process that has `argument` among its arguments, wherever it is; None when there is none to be seen."""
        for process in psutil.process_iter():
            found = cls.of(process.pid, argument=argument)
            if found is not None and found.is_alive():
                return found
        return None

    def is_alive(self) -> bool:
        """Whether that very process still runs. A zombie does not."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def kill(self) -> None:
        """End it at once, if it is still there."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if process.create_time() == self.created:
                process.kill()


def exists(pid: int) -> bool:
    """Whether any process has this id now, a zombie too."""
    return bool(psutil.pid_exists(pid))


def total_memory_mib() -> int:
    """The host's memory."""
    return int(psutil.virtual_memory().total // 1024**2)


def resident_bytes(pid: int) -> int | None:
    """The memory that a process has in use; None when it is gone or not ours to see."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def peak_resident_bytes(pid: int) -> int | None:
    """The most memory that a process ever had in use, as its system counted it; None where that is not told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        try:
            peak = getattr(psutil.Process(pid).memory_info(), "peak_wset", None)
        except psutil.Error:
            return None
        return int(peak) if peak is not None else None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line is not None else None


def is_stopped(pid: int) -> bool:
    """Whether a signal (or a debugger) has stopped the process."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def holders_of(path: str) -> list[str]:
    """Programs that have `path` open, as "name (pid)", as far as this system lets us see."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if any(file.path == path for file in process.open_files()):
                found.append(f"{process.info['name']} ({process.info['pid']})")
    return found


def names_of_processes() -> set[str]:
    """The names of all processes that can be seen."""
    found = set()
    for process in psutil.process_iter(["name"]):
        if process.info["name"]:
            found.add(str(process.info["name"]))
    return found


def unix_listener(path: str) -> str | None:
    """Who holds the Unix socket at `path`, as "name (pid)"; None where this system does not let us see it."""
    try:
        for connection in psutil.net_connections(kind="unix"):
            if str(connection.laddr) == path and connection.pid is not None:
                return f"{psutil.Process(connection.pid).name()} ({connection.pid})"
    except (psutil.Error, OSError):
        pass
    return None
