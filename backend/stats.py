"""Resource usage of the machine and its containers, as plain values. Imports nothing of ours.

One stream carries all of it: the guest reads its cgroups every few seconds and sends one sample for all containers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    """Usage of a running container. Network and disk byte counts start at the container's start."""

    id: str
    """64 hexadecimal digits."""
    cpu_percent: float
    """Since the previous sample; 100 is one processor fully used."""
    memory_bytes: int
    """Without reclaimable file cache, as in `docker stats`."""
    memory_limit_bytes: int | None = None
    """None: no limit."""
    cpu_limit_percent: float | None = None
    """100 is one processor; None: no limit."""
    network_received_bytes: int = 0
    network_sent_bytes: int = 0
    block_read_bytes: int = 0
    block_written_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUsage:
    """Usage of the virtual machine."""

    cpu_percent: float
    """Of all its processors together: 100 is all fully used."""
    memory_used_bytes: int
    memory_total_bytes: int
    disk_used_bytes: int
    """Used space of the data disk's file system."""
    disk_total_bytes: int
    disk_on_host_bytes: int | None = None
    """Size of the data disk's file on the host."""
    memory_on_host_bytes: int | None = None
    """Resident memory of the QEMU process on the host."""
    memory_given_bytes: int | None = None
    """Memory that the machine may use of the host."""
    memory_returned_bytes: int | None = None
    """Peak resident memory of QEMU since its start, minus the current value."""
    disk_returned_bytes: int | None = None
    """Peak size of the data disk's file since QEMU's start, minus the current value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSample:
    """A sample of all figures at one time."""

    at: float
    """Seconds since the epoch on the host's clock."""
    machine: MachineUsage
    containers: tuple[ContainerUsage, ...] = ()
