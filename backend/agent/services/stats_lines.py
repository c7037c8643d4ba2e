"""Parses the output of the guest's `stats` program, and computes rates from two samples. Does no I/O.

The lines are the kernel's, but a container chooses some of their text (names of its network devices), and the guest is
not trusted. So an invalid line is skipped, numbers are bounded, and the number of containers in a sample is limited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backend.stats import ContainerUsage, MachineUsage

MAX_CONTAINERS: Final = 2_000
"""This many fit in one message of the control channel."""
MAX_LINE_BYTES: Final = 4096
_MAX_NUMBER: Final = 2**63
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_UPTIME: Final = re.compile(r"[0-9]{1,12}\.[0-9]{2}")
_ID: Final = re.compile(r"[0-9a-f]{64}")
_CGROUP: Final = re.compile(r"[^/]{1,255}/([0-9a-f]{64})/([a-z]+\.[a-z]+):(.*)")
_DEVICES: Final = re.compile(r"/proc/([0-9]{1,10})/net/dev:(.*)")
_FIELDS_OF_A_DEVICE: Final = 16


class BadLine(ValueError):  # noqa: N818 -- reads better where it is caught
    """A line is invalid."""


@dataclass(slots=True)
class RawContainer:
    """The kernel's counters of one container (memory and I/O in bytes). None: not in the output, or no limit."""

    cpu_usec: int | None = None
    memory: int | None = None
    inactive_file: int = 0
    memory_max: int | None = None
    cpu_limit_percent: float | None = None
    pids: int = 0
    read: int = 0
    written: int = 0
    received: int = 0
    sent: int = 0


@dataclass(slots=True)
class RawSample:
    """The counters of one sample; memory and disk in bytes."""

    uptime_s: float
    cpu_total: int = 0
    """Ticks of all CPUs since the guest's start."""
    cpu_idle: int = 0
    memory_total: int = 0
    memory_unused: int = 0
    """Free memory, buffers and page cache."""
    disk_total: int = 0
    disk_used: int = 0
    containers: dict[str, RawContainer] = field(default_factory=dict)
    processes: dict[int, str] = field(default_factory=dict)
    """Process id -> id of the container with the process's network."""


class StatsParser:
    """Assembles samples from lines. Use a new one for each run of the program."""

    def __init__(self) -> None:
        self._sample: RawSample | None = None

    def feed(self, untrusted_line: str) -> RawSample | None:
        """Parse one line (without its newline). Returns a sample if the line completes one.

        Raises:
            BadLine: the line is invalid and was skipped. Parsing can continue with the next one.
        """
        word, _, rest = untrusted_line.partition(" ")
        if word == "sample":
            self._sample = None
            if not _UPTIME.fullmatch(rest):
                raise BadLine(untrusted_line[:200])
            self._sample = RawSample(float(rest))
            return None
        sample = self._sample
        if sample is None or not untrusted_line:
            return None  # the rest of a sample whose first line was invalid
        if word == "end":
            self._sample = None
            return sample
        try:
            _parse_line(sample, word, rest, untrusted_line)
        except (ValueError, IndexError) as error:
            raise BadLine(untrusted_line[:200]) from error
        return None


def _parse_line(sample: RawSample, word: str, rest: str, untrusted_line: str) -> None:
    if match := _CGROUP.fullmatch(untrusted_line):
        _parse_cgroup(_container(sample, match[1]), match[2], match[3])
    elif match := _DEVICES.fullmatch(untrusted_line):
        _parse_device(_container(sample, sample.processes.get(int(match[1]), "")), match[2])
    elif word == "process":
        identity, _, pid = rest.partition(" ")
        if not _ID.fullmatch(identity) or len(sample.processes) >= MAX_CONTAINERS:
            raise ValueError(rest)
        sample.processes[_number(pid)] = identity
    elif word == "cpu":
        ticks = [_number(one) for one in rest.split()]
        sample.cpu_idle = ticks[3] + ticks[4]
        sample.cpu_total = sum(ticks[:8])  # the rest is the share of guests, which the first two include
    elif word == "MemTotal:":
        sample.memory_total = _kib(rest)
    elif word in ("MemFree:", "Buffers:", "Cached:"):
        # As `free` does. MemAvailable would omit the kernel's reserves, some hundred MiB that nothing uses.
        sample.memory_unused += _kib(rest)
    elif word == "disk":
        block, total, free = (_number(one) for one in rest.split())
        sample.disk_total, sample.disk_used = block * total, block * max(0, total - free)
    else:
        raise ValueError(word)


def _container(sample: RawSample, identity: str) -> RawContainer:
    container = sample.containers.get(identity)
    if container is None:
        if not _ID.fullmatch(identity) or len(sample.containers) >= MAX_CONTAINERS:
            raise ValueError(identity)
        container = sample.containers[identity] = RawContainer()
    return container


def _parse_cgroup(container: RawContainer, name: str, line: str) -> None:
    match name:
        case "cpu.stat":
            container.cpu_usec = _number(_after(line, "usage_usec "))
        case "memory.current":
            container.memory = _number(line)
        case "memory.stat":
            container.inactive_file = _number(_after(line, "inactive_file "))
        case "memory.max":
            container.memory_max = None if line == "max" else _number(line)
        case "cpu.max":
            quota, period = line.split()
            container.cpu_limit_percent = None if quota == "max" else 100 * _number(quota) / max(1, _number(period))
        case "pids.current":
            container.pids = _number(line)
        case "io.stat":
            for pair in line.split()[1:]:
                key, _, value = pair.partition("=")
                if key == "rbytes":
                    container.read += _number(value)
                elif key == "wbytes":
                    container.written += _number(value)
        case _:
            raise ValueError(name)


def _parse_device(container: RawContainer, line: str) -> None:
    # A device's name has neither a colon nor a blank in it: the kernel forbids both.
    _name, colon, counters = line.partition(":")
    numbers = [_number(one) for one in counters.split()]
    if not colon or len(numbers) != _FIELDS_OF_A_DEVICE:
        raise ValueError(line)
    container.received += numbers[0]
    container.sent += numbers[8]


def _after(line: str, prefix: str) -> str:
    if not line.startswith(prefix):
        raise ValueError(line)
    return line[len(prefix) :]


def _kib(words: str) -> int:
    value, unit = words.split()
    if unit != "kB":
        raise ValueError(words)
    return _number(value) * 1024


def _number(word: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise ValueError(word)
    return min(int(word), _MAX_NUMBER)


def machine_usage(
    now: RawSample, before: RawSample, *, disk_on_host: int | None = None, memory_on_host: int | None = None
) -> MachineUsage:
    """Resource use of the machine: rates between two samples, and sizes of the newer one.

    Args:
        disk_on_host: space that the data disk's file occupies on the host, in bytes.
        memory_on_host: resident memory of QEMU, in bytes.
    """
    ticks = now.cpu_total - before.cpu_total
    idle = now.cpu_idle - before.cpu_idle
    busy = 100.0 * (ticks - idle) / ticks if ticks > 0 else 0.0
    return MachineUsage(
        cpu_percent=round(min(100.0, max(0.0, busy)), 2),
        memory_used_bytes=max(0, now.memory_total - now.memory_unused),
        memory_total_bytes=now.memory_total,
        disk_used_bytes=now.disk_used,
        disk_total_bytes=now.disk_total,
        disk_on_host_bytes=disk_on_host,
        memory_on_host_bytes=memory_on_host,
    )


def container_usages(now: RawSample, before: RawSample) -> tuple[ContainerUsage, ...]:
    """Resource use of each container, ordered by id. One that ended while the sample was taken is omitted."""
    elapsed_s = now.uptime_s - before.uptime_s
    usages = []
    for identity, container in sorted(now.containers.items()):
        if container.cpu_usec is None or container.memory is None:
            continue
        limit = container.memory_max
        usages.append(
            ContainerUsage(
                id=identity,
                cpu_percent=_cpu_percent(container.cpu_usec, before.containers, identity, elapsed_s),
                memory_bytes=max(0, container.memory - container.inactive_file),
                memory_limit_bytes=limit if limit is not None and limit < (now.memory_total or limit + 1) else None,
                cpu_limit_percent=container.cpu_limit_percent,
                network_received_bytes=container.received,
                network_sent_bytes=container.sent,
                block_read_bytes=container.read,
                block_written_bytes=container.written,
                pids=container.pids,
            )
        )
    return tuple(usages)


def _cpu_percent(usec: int, before: Mapping[str, RawContainer], identity: str, elapsed_s: float) -> float:
    if elapsed_s <= 0:
        return 0.0
    earlier = before.get(identity)
    counted = earlier.cpu_usec if earlier is not None and earlier.cpu_usec is not None else 0
    # A container that is new, or was restarted (its counter is smaller), has used all of it since the last sample.
    used = usec - counted if usec >= counted else usec
    return round(used / 10_000 / elapsed_s, 2)
