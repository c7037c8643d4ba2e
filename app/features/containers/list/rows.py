"""Computes the rows of the container list: grouping, filtering and sorting. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from app.features.containers.list.columns import ContainerColumn, Facts, Group, sort_key
from app.ui.ports import port_links
from backend.api import Container

Row = Container | Group
_Row = TypeVar("_Row", Container, Row)


class StateFilter(StrEnum):
    """Filter by state."""

    ALL = "all"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """The user's choice of grouping, filter and sorting."""

    needle: str = ""
    """Search words that a container must all contain; lower case."""
    shown: StateFilter = StateFilter.ALL
    column: ContainerColumn = ContainerColumn.NAME
    descending: bool = False
    collapsed: frozenset[str] = field(default_factory=frozenset)
    """Names of the collapsed projects."""

    def accepts(self, container: Container) -> bool:
        """Whether a container matches the filter."""
        if self.shown is not StateFilter.ALL and container.state.is_up is not (self.shown is StateFilter.RUNNING):
            return False
        if not self.needle:
            return True
        haystack = haystack_of(container)
        return all(word in haystack for word in self.needle.split())


def haystack_of(container: Container) -> str:
    """The text of a container that the filter searches, in lower case."""
    return " ".join(
        (
            container.name,
            container.image,
            container.short_id,
            container.compose_project or "",
            container.compose_service or "",
            *(link.words for link in port_links(container)),
        )
    ).casefold()


def row_key(row: Row) -> str:
    """The key that identifies a row across refreshes."""
    return row.id if isinstance(row, Container) else row.key


def arrange(containers: tuple[Container, ...], arrangement: Arrangement, facts: Facts) -> list[Row]:
    """The rows from top to bottom. A project's row is followed by its members, unless collapsed."""
    singles: list[Row] = []
    projects: dict[str, list[Container]] = {}
    everyone: dict[str, list[Container]] = {}
    for container in containers:
        if container.compose_project:
            everyone.setdefault(container.compose_project, []).append(container)
        if arrangement.accepts(container):
            if container.compose_project:
                projects.setdefault(container.compose_project, []).append(container)
            else:
                singles.append(container)
    for project, members in projects.items():
        # A search shows its matches even in collapsed projects.
        expanded = bool(arrangement.needle) or project not in arrangement.collapsed
        shown = tuple(_sorted(members, arrangement, facts))
        singles.append(Group(project, shown, expanded, tuple(everyone[project])))
    rows: list[Row] = []
    for row in _sorted(singles, arrangement, facts):
        rows.append(row)
        if isinstance(row, Group) and row.expanded:
            rows.extend(row.members)
    return rows


def _sorted(rows: Sequence[_Row], arrangement: Arrangement, facts: Facts) -> list[_Row]:
    by_name = sorted(rows, key=lambda row: sort_key(row, ContainerColumn.NAME, facts))
    if arrangement.column is ContainerColumn.NAME:
        return by_name[::-1] if arrangement.descending else by_name
    return sorted(by_name, key=lambda row: sort_key(row, arrangement.column, facts), reverse=arrangement.descending)
