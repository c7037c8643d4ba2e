"""What the machine and its containers use, as the guest's kernel counts it. Plain values; imports nothing of ours.

One stream brings all of it: the guest reads its own cgroups every few seconds and sends one sample, however many
containers there are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    """One running container. Byte counts of network and disk grow from the container's start."""

    id: str
    """64 hexadecimal digits."""
    cpu_percent: float
    """Since the sample before; 100 is one processor fully used."""
    memory_bytes: int
    """Without the file cache that could be dropped, as `docker stats` counts."""
    memory_limit_bytes: int | None = None
    """None: only the machine's memory is the limit."""
    cpu_limit_percent: float | None = None
    """100 is one processor; None: no limit."""
    network_received_bytes: int = 0
    network_sent_bytes: int = 0
    block_read_bytes: int = 0
    block_written_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUsage:
    """The whole virtual machine."""

    cpu_percent: float
    """Of all its processors: 100 is all fully used."""
    memory_used_bytes: int
    memory_total_bytes: int
    disk_used_bytes: int
    """Of the data disk's file system."""
    disk_total_bytes: int
    disk_on_host_bytes: int | None = None
    """What the data disk's file takes on the host."""
    memory_on_host_bytes: int | None = None
    """What the QEMU process has resident on the host."""
    memory_given_bytes: int | None = None
    """What the machine may take of the host's memory."""
    memory_returned_bytes: int | None = None
    """The most that QEMU has had resident since its start, less what it has now."""
    disk_returned_bytes: int | None = None
    """The most that the data disk's file has taken since QEMU's start, as far as was seen, less what it takes now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSample:
    """Everything at one moment."""

    at: float
    """Seconds since the epoch, by the host's clock."""
    machine: MachineUsage
    containers: tuple[ContainerUsage, ...] = ()
