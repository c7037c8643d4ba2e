"""The columns of the container list: cell texts and sort keys. No I/O."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from app import texts
from app.features.stats.store import StatsStore
from app.texts import _, message, ngettext, say
from app.ui import figures
from app.ui.figures import NOTHING, UNIT_S, natural, rough_time
from app.ui.ports import port_links
from backend.api import Container, ContainerAction, ContainerState, ContainerUsage, Health


class ContainerColumn(IntEnum):
    """The columns in display order."""

    SELECT = 0
    NAME = 1
    IMAGE = 2
    PORTS = 3
    CPU = 4
    MEMORY = 5
    STATUS = 6
    UPTIME = 7
    RESTARTS = 8
    CREATED = 9
    ID = 10
    ACTIONS = 11

    @property
    def key(self) -> str:
        """The column's name in the preferences."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """The column's title."""
        return say(_TITLES[self])


_TITLES: Final = {
    ContainerColumn.SELECT: message("Select"),
    ContainerColumn.NAME: message("Name"),
    ContainerColumn.IMAGE: message("Image"),
    ContainerColumn.PORTS: message("Ports"),
    ContainerColumn.CPU: message("CPU"),
    ContainerColumn.MEMORY: message("Memory"),
    ContainerColumn.STATUS: message("Status"),
    ContainerColumn.UPTIME: message("Uptime"),
    ContainerColumn.RESTARTS: message("Restarts"),
    ContainerColumn.CREATED: message("Created"),
    ContainerColumn.ID: message("ID"),
    ContainerColumn.ACTIONS: message("Actions"),
}


ALWAYS_SHOWN: Final = frozenset({ContainerColumn.SELECT, ContainerColumn.NAME, ContainerColumn.ACTIONS})
HIDDEN_AT_FIRST: Final = frozenset(
    {ContainerColumn.UPTIME, ContainerColumn.RESTARTS, ContainerColumn.CREATED, ContainerColumn.ID}
)
SORTABLE: Final = frozenset(ContainerColumn) - {ContainerColumn.SELECT, ContainerColumn.ACTIONS}
FIGURES: Final = frozenset({ContainerColumn.CPU, ContainerColumn.MEMORY})
"""Columns that change with every stats sample."""

SortKey = tuple[float | str, ...]

_STATUS: Final = re.compile(r"(?:Up|Exited \(-?\d+\)|Dead|Restarting \(-?\d+\)) ?(.*?)(?: ago)?(?: \(.*\))?")
_SPAN: Final = re.compile(r"(?:About )?(an?|Less than a|\d+) (second|minute|hour|day|week|month|year)s?")


@dataclass(frozen=True, slots=True)
class Group:
    """The row of a Compose project."""

    project: str
    members: tuple[Container, ...]
    """The project's containers that match the filter."""
    expanded: bool
    everyone: tuple[Container, ...]
    """All containers of the project, whatever the filter: its state is theirs."""

    @property
    def key(self) -> str:
        """The row's key; its colon distinguishes it from container ids."""
        return f"project:{self.project}"

    @property
    def running(self) -> int:
        """Number of the project's containers that run; one that the engine keeps restarting does not."""
        return count_running(self.everyone)


@dataclass(frozen=True, slots=True)
class Facts:
    """Data about containers beyond the engine's list."""

    stats: StatsStore
    pending: Mapping[str, ContainerAction]
    restart_counts: Mapping[str, int]
    slow_stops: Mapping[str, float] = field(default_factory=dict)
    """Seconds since a stop was requested, by container id, for those that take long."""


@lru_cache(maxsize=8192)
def span_s(status: str) -> int | None:
    """Duration of the state in the engine's status text, in seconds, as coarse as the text.

    "Up 5 minutes (healthy)" is 300; None for a text without a duration.
    """
    match = _STATUS.fullmatch(status)
    span = _SPAN.fullmatch(match.group(1)) if match else None
    if span is None:
        return None
    count = int(span.group(1)) if span.group(1).isdigit() else 1
    return count * UNIT_S[span.group(2)]


def span_text(status: str) -> str:
    """The duration in the engine's status text, translated; "" if there is none."""
    seconds = span_s(status)
    return "" if seconds is None else rough_time(seconds)


def state_text(container: Container) -> str:
    """A container's state with health or exit code: "Running, healthy", "Stopped (3)"."""
    cell_text = texts.container_state(container.state)
    if container.state is ContainerState.EXITED and container.exit_code:
        return _("{state} ({code})", state=cell_text, code=container.exit_code)
    if container.state.is_up and container.health is not Health.NONE:
        return _("{state}, {health}", state=cell_text, health=texts.health(container.health))
    return cell_text


def status_lines(container: Container, facts: Facts) -> tuple[str, str]:
    """The two lines of the status column: the state, and its duration and restarts."""
    pending = facts.pending.get(container.id)
    if (waited := facts.slow_stops.get(container.id)) is not None:
        return _("Still stopping…"), texts.seconds(waited)
    first = state_text(container) if pending is None else texts.action_pending(pending)
    span = span_text(container.status)
    parts = []
    if span:
        parts.append(_("for {time}", time=span) if container.state.is_up else _("{time} ago", time=span))
    if restarts := facts.restart_counts.get(container.id):
        parts.append(ngettext("{count} restart", "{count} restarts", restarts))
    return first, ", ".join(parts)


def count_running(containers: Iterable[Container]) -> int:
    """Number of containers that run or are paused; one that the engine keeps restarting does not run."""
    return sum(entry.state in (ContainerState.RUNNING, ContainerState.PAUSED) for entry in containers)


def group_text(group: Group) -> str:
    """State of a whole project: "2 of 3 running, 1 restarting"."""
    parts = [_("{running} of {total} running", running=group.running, total=len(group.everyone))]
    restarting = sum(member.state is ContainerState.RESTARTING for member in group.everyone)
    if restarting:
        parts.append(ngettext("{count} restarting", "{count} restarting", restarting))
    unhealthy = sum(member.state.is_up and member.health is Health.UNHEALTHY for member in group.everyone)
    if unhealthy:
        parts.append(ngettext("{count} unhealthy", "{count} unhealthy", unhealthy))
    return ", ".join(parts)


def cell_text(row: Container | Group, column: ContainerColumn, facts: Facts) -> str:
    """A cell as one line of text, for painting, screen readers, copying and searching."""
    if column in (ContainerColumn.CPU, ContainerColumn.MEMORY):
        used = usage(row, facts.stats)
        if used is None:
            return NOTHING
        return figures.percent(used[0]) if column is ContainerColumn.CPU else figures.size(used[1])
    if isinstance(row, Group):
        return {ContainerColumn.NAME: row.project, ContainerColumn.STATUS: group_text(row)}.get(column, "")
    match column:
        case ContainerColumn.NAME:
            return row.name
        case ContainerColumn.IMAGE:
            return row.image
        case ContainerColumn.PORTS:
            return ", ".join(link.words for link in port_links(row))
        case ContainerColumn.STATUS:
            return ", ".join(part for part in status_lines(row, facts) if part)
        case ContainerColumn.UPTIME:
            return span_text(row.status) if row.state.is_up else NOTHING
        case ContainerColumn.RESTARTS:
            return str(facts.restart_counts.get(row.id, NOTHING))
        case ContainerColumn.CREATED:
            return created_text(row)
        case ContainerColumn.ID:
            return row.short_id
        case _:
            return ""


def created_text(container: Container) -> str:
    """The container's age: "2 hours ago"."""
    return _("{time} ago", time=rough_time(max(0.0, time.time() - container.created)))


def created_tip(container: Container) -> str:
    """The creation time, in this computer's time zone."""
    moment = datetime.datetime.fromtimestamp(container.created, datetime.UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def usage(row: Container | Group, stats: StatsStore) -> tuple[float, int] | None:
    """CPU (percent of one processor) and memory (bytes); for a group the sum of its members. None if unknown."""
    if isinstance(row, Container):
        one = stats.container(row.id)
        return (one.cpu_percent, one.memory_bytes) if one is not None else None
    usages: list[ContainerUsage] = [one for member in row.members if (one := stats.container(member.id)) is not None]
    return (sum(one.cpu_percent for one in usages), sum(one.memory_bytes for one in usages)) if usages else None


def sort_key(row: Container | Group, column: ContainerColumn, facts: Facts) -> SortKey:
    """Sort key of a row. A group is sorted like the first of its members."""
    if isinstance(row, Group):
        if column is ContainerColumn.NAME:
            return (natural(row.project),)
        if column not in FIGURES:
            return min(sort_key(member, column, facts) for member in row.members)
    if column in FIGURES:
        used = usage(row, facts.stats)
        return (-1.0,) if used is None else (float(used[0] if column is ContainerColumn.CPU else used[1]),)
    assert isinstance(row, Container)
    match column:
        case ContainerColumn.PORTS:
            first = next((port.host_port for port in row.ports if port.host_port), 0)
            return (float(first), float(len(row.ports)))
        case ContainerColumn.STATUS:
            # Containers with problems first, then running ones, then those that ended last.
            sick = row.health is Health.UNHEALTHY or row.state in (ContainerState.RESTARTING, ContainerState.DEAD)
            return (0.0 if sick else 1.0 if row.state.is_up else 2.0, float(span_s(row.status) or 0))
        case ContainerColumn.UPTIME:
            return (float(span_s(row.status) or 0) if row.state.is_up else -1.0,)
        case ContainerColumn.RESTARTS:
            return (float(facts.restart_counts.get(row.id, -1)),)
        case ContainerColumn.CREATED:
            return (-float(row.created),)
        case ContainerColumn.IMAGE:
            return (natural(row.image),)
        case ContainerColumn.ID:
            return (row.id,)
        case _:
            return (natural(row.name),)
