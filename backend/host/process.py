"""Processes that are not our children: identity, memory use, open files, and killing them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id together with its start time: another process may reuse the id alone."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int, *, argument: str | None = None) -> ProcessIdentity | None:
        """Identify `pid`; None when it has ended, or none of its arguments is `argument`."""
        try:
            process = psutil.Process(pid)
            if argument is not None and argument not in process.cmdline():
                return None
            return cls(pid, process.create_time())
        except psutil.Error:
            return None

    @classmethod
    def find(cls, argument: str) -> ProcessIdentity | None:
        """Search all visible processes for one that has `argument` among its arguments; None when there is none."""
        for process in psutil.process_iter():
            identity = cls.of(process.pid, argument=argument)
            if identity is not None and identity.is_alive():
                return identity
        return None

    def is_alive(self) -> bool:
        """Whether this process still runs. A zombie does not count."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def kill(self) -> None:
        """Kill it if it still runs."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if process.create_time() == self.created:
                process.kill()


def exists(pid: int) -> bool:
    """Whether any process has this id now, zombies included."""
    return bool(psutil.pid_exists(pid))


def total_memory_mib() -> int:
    """The host's memory in MiB."""
    return int(psutil.virtual_memory().total // 1024**2)


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process in bytes; None when it has ended or cannot be read."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """What a process uses; None where the system does not say."""

    pid: int
    memory_bytes: int | None
    """Resident."""
    threads: int | None
    descriptors: int | None
    """Open files and sockets."""


def figures_of(pid: int) -> ProcessFigures | None:
    """What a process uses now; None when it has ended or cannot be read."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return ProcessFigures(
                pid=pid,
                memory_bytes=int(process.memory_info().rss),
                threads=int(process.num_threads()),
                descriptors=int(process.num_fds()) if hasattr(process, "num_fds") else None,
            )
    except psutil.Error:
        return None


def descriptors_of(pid: int) -> list[str]:
    """What a process has open, in order of descriptors: "3 /path" or "5 socket 127.0.0.1:53 LISTEN". Linux only."""
    sockets = {}
    with contextlib.suppress(psutil.Error, OSError):
        for entry in psutil.Process(pid).net_connections(kind="all"):
            ends = " -> ".join(_address(end) for end in (entry.laddr, entry.raddr) if end)
            sockets[entry.fd] = f"socket {ends or '(unnamed)'} {entry.status}"
    found = []
    try:
        numbers = sorted(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []
    for number in numbers:
        with contextlib.suppress(OSError):  # closed meanwhile
            target = str(Path(f"/proc/{pid}/fd/{number}").readlink())
            found.append(f"{number} {sockets.get(number, target)}")
    return found


def _address(end: object) -> str:
    return f"{end[0]}:{end[1]}" if isinstance(end, tuple) else str(end)


def peak_resident_bytes(pid: int) -> int | None:
    """Peak resident memory of a process in bytes, as counted by the system; None when unknown."""
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
    """Whether a signal or a debugger has stopped the process."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def holders_of(path: str) -> list[str]:
    """Programs that have the file at `path` open, as "name (pid)". Only processes that we may inspect are listed."""
    holders: list[str] = []
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if any(file.path == path for file in process.open_files()):
                holders.append(f"{process.info['name']} ({process.info['pid']})")
    return holders


def names_of_processes() -> set[str]:
    """The program names of all visible processes."""
    names = set()
    for process in psutil.process_iter(["name"]):
        if process.info["name"]:
            names.add(str(process.info["name"]))
    return names


def unix_listener(path: str) -> str | None:
    """The program that owns the Unix socket at `path`, as "name (pid)"; None when the system does not show it."""
    try:
        for connection in psutil.net_connections(kind="unix"):
            if str(connection.laddr) == path and connection.pid is not None:
                return f"{psutil.Process(connection.pid).name()} ({connection.pid})"
    except (psutil.Error, OSError):
        pass
    return None
