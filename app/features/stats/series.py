"""Converts stats samples to the points of a graph: values over time, rates from counters, gaps for missing values."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from backend.api import ContainerUsage, StatsSample

SPAN_S: Final = 600.0
"""Time that a graph covers, in seconds."""
GAP_S: Final = 15.0
"""A longer time without samples is a gap in the line; a guest under load pauses for up to 10 s."""


class SeriesPoint(NamedTuple):
    """All values at one time; None where unknown."""

    at: float
    cpu: float | None = None
    memory: float | None = None
    received: float | None = None
    sent: float | None = None
    read: float | None = None
    written: float | None = None


@dataclass(slots=True)
class GraphLimits:
    """The limits of the graphs; None for no limit."""

    cpu: float | None = None
    memory: float | None = None


@dataclass(slots=True)
class StatsSeries:
    """The last ten minutes of one container, or of the machine (network and disk: the sums of all containers)."""

    container_id: str | None = None
    rows: deque[SeriesPoint] = field(default_factory=deque)
    limits: GraphLimits = field(default_factory=GraphLimits)
    _before: StatsSample | None = None

    def add(self, sample: StatsSample) -> None:
        """Append a sample, which must be later than the one before."""
        before = self._before
        if before is not None and sample.at - before.at > GAP_S:
            self.rows.append(SeriesPoint(before.at + 0.001))
            before = None
        self._before = sample
        if self.container_id is None:
            self.rows.append(self._machine_row(sample, before))
        else:
            self.rows.append(self._container_row(self.container_id, sample, before))
        while self.rows and self.rows[0].at < sample.at - SPAN_S:
            self.rows.popleft()

    @property
    def is_empty(self) -> bool:
        """Whether no value is known."""
        return all(row.cpu is None for row in self.rows)

    def at(self, moment: float) -> SeriesPoint | None:
        """The point nearest to a time (seconds since the epoch)."""
        return min(self.rows, key=lambda row: abs(row.at - moment), default=None)

    def _machine_row(self, sample: StatsSample, before: StatsSample | None) -> SeriesPoint:
        machine = sample.machine
        self.limits = GraphLimits(memory=machine.memory_total_bytes)
        earlier = _by_id(before)
        parts = [_rates(usage, earlier.get(usage.id), sample, before) for usage in sample.containers]
        sums: list[float | None] = [None] * 4
        if before is not None:
            sums = [math.fsum(part[number] or 0.0 for part in parts) for number in range(4)]
        return SeriesPoint(sample.at, machine.cpu_percent, machine.memory_used_bytes, *sums)

    def _container_row(self, identity: str, sample: StatsSample, before: StatsSample | None) -> SeriesPoint:
        usage = next((one for one in sample.containers if one.id == identity), None)
        if usage is None:
            return SeriesPoint(sample.at)
        self.limits = GraphLimits(cpu=usage.cpu_limit_percent, memory=usage.memory_limit_bytes)
        rates = _rates(usage, _by_id(before).get(identity), sample, before)
        return SeriesPoint(sample.at, usage.cpu_percent, usage.memory_bytes, *rates)


def _by_id(sample: StatsSample | None) -> Mapping[str, ContainerUsage]:
    return {usage.id: usage for usage in sample.containers} if sample is not None else {}


def _rates(
    now: ContainerUsage, earlier: ContainerUsage | None, sample: StatsSample, before: StatsSample | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """Bytes per second: received, sent, read, written. A counter that decreased was reset."""
    if before is None:
        return None, None, None, None
    if earlier is None:
        return 0.0, 0.0, 0.0, 0.0  # it started since then: its first bytes would show as a false peak
    elapsed_s = max(0.001, sample.at - before.at)

    def rate(new: int, old: int) -> float:
        return (new - old if new >= old else new) / elapsed_s

    return (
        rate(now.network_received_bytes, earlier.network_received_bytes),
        rate(now.network_sent_bytes, earlier.network_sent_bytes),
        rate(now.block_read_bytes, earlier.block_read_bytes),
        rate(now.block_written_bytes, earlier.block_written_bytes),
    )


def round_top(value: float, *, binary: bool) -> float:
    """The least round number from `value` on whose half is round too: 1, 2 or 4 times a power of 10 or 1024."""
    if value <= 0:
        return 1024.0 if binary else 1.0
    base = 1.0
    if binary:
        while base * 1000 < value:
            base *= 1024
    tens = 10.0 ** math.floor(math.log10(value / base))
    if binary and tens < 1:
        return base
    return next(top for factor in (1, 2, 4, 6, 8, 10) if (top := base * tens * factor) >= value * 0.9999)
