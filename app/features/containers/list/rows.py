"""Which rows the container list has, and in which order: grouping, filter and sorting. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from app.features.containers.list.columns import ContainerColumn, Facts, Group, sort_key
from app.ui.ports import port_links
from backend.api import Container, ContainerState

Row = Container | Group
_Row = TypeVar("_Row", Container, Row)


class StateFilter(StrEnum):
    """Which containers the list shows."""

    ALL = "all"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What the user chose."""

    needle: str = ""
    """Words that must all be found in a container; lower case."""
    shown: StateFilter = StateFilter.ALL
    column: ContainerColumn = ContainerColumn.NAME
    descending: bool = False
    collapsed: frozenset[str] = field(default_factory=frozenset)
    """Names of projects."""

    def accepts(self, container: Container) -> bool:
        """Whether the filter leaves it over."""
        if self.shown is not StateFilter.ALL and container.state.is_up is not (self.shown is StateFilter.RUNNING):
            return False
        if not self.needle:
            return True
        haystack = haystack_of(container)
        return all(word in haystack for word in self.needle.split())


def haystack_of(container: Container) -> str:
    """Everything that the filter box looks in."""
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
    """What a row keeps while everything else of it changes."""
    return row.id if isinstance(row, Container) else row.key


def arrange(containers: tuple[Container, ...], wanted: Arrangement, facts: Facts) -> list[Row]:
    """The rows from top to bottom. The members of a project follow its row, unless it is collapsed."""
    singles: list[Row] = []
    projects: dict[str, list[Container]] = {}
    for container in containers:
        if wanted.accepts(container):
            if container.compose_project:
                projects.setdefault(container.compose_project, []).append(container)
            else:
                singles.append(container)
    for project, members in projects.items():
        # While something is looked for, what is found is shown.
        expanded = bool(wanted.needle) or project not in wanted.collapsed
        singles.append(Group(project, tuple(_sorted(members, wanted, facts)), expanded))
    rows: list[Row] = []
    for row in _sorted(singles, wanted, facts):
        rows.append(row)
        if isinstance(row, Group) and row.expanded:
            rows.extend(row.members)
    return rows


def _sorted(rows: Sequence[_Row], wanted: Arrangement, facts: Facts) -> list[_Row]:
    by_name = sorted(rows, key=lambda row: sort_key(row, ContainerColumn.NAME, facts))
    if wanted.column is ContainerColumn.NAME:
        return by_name[::-1] if wanted.descending else by_name
    return sorted(by_name, key=lambda row: sort_key(row, wanted.column, facts), reverse=wanted.descending)


def is_startable(container: Container) -> bool:
    """Whether Start does anything."""
    return container.state in (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)
