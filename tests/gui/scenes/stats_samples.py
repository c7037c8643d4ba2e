"""Ten minutes of realistic statistics of a machine and its containers."""

from __future__ import annotations

import math

from app.features.stats.store import HISTORY
from backend.stats import ContainerUsage, MachineUsage, StatsSample
from tests.gui.scenes import samples

GIB = 1024**3
MIB = 1024**2
EVERY_S = 2.0
NOW = 1_795_474_600.0


def machine_usage(at: int = 0) -> MachineUsage:
    """The machine at sample number `at`."""
    return MachineUsage(
        cpu_percent=34 + 20 * math.sin(at / 17) + 8 * math.sin(at / 3),
        memory_used_bytes=int((1.2 + 0.3 * math.sin(at / 40)) * GIB),
        memory_total_bytes=int(3.84 * GIB),
        disk_used_bytes=int((12 + at / 300) * GIB),
        disk_total_bytes=int(62.4 * GIB),
        disk_on_host_bytes=int(14.25 * GIB),
        memory_on_host_bytes=int(2.1 * GIB),
    )


def container_usage(container_id: str, at: int = 0, *, limits: bool = True) -> ContainerUsage:
    """A container at sample number `at`."""
    return ContainerUsage(
        id=container_id,
        cpu_percent=max(0.0, 90 + 55 * math.sin(at / 11) + 12 * math.sin(at / 2)),
        memory_bytes=int((180 + 40 * math.sin(at / 31)) * MIB),
        memory_limit_bytes=256 * MIB if limits else None,
        cpu_limit_percent=150.0 if limits else None,
        network_received_bytes=int(at * 2 * 340_000 + 200_000 * math.sin(at / 7)) + 10**6,
        network_sent_bytes=at * 2 * 90_000,
        block_read_bytes=at * 40_000,
        block_written_bytes=(at // 20) * 9_000_000,
        pids=12,
    )


def history(*, gap: bool = False, limits: bool = True, containers: bool = True) -> list[StatsSample]:
    """The whole history, oldest first; with `gap`, samples are missing in the middle."""
    ids = [entry.id for entry in samples.containers() if entry.state.is_up] if containers else []
    return [
        StatsSample(
            at=NOW - (HISTORY - 1 - at) * EVERY_S,
            machine=machine_usage(at),
            containers=tuple(container_usage(one, at + 9 * number, limits=limits) for number, one in enumerate(ids)),
        )
        for at in range(HISTORY)
        if not (gap and 120 < at < 160)
    ]
