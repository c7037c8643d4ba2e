"""The widths of the container list's columns: by their contents, and which columns go where there is little room.

Pure; all lengths are in pixels at the current zoom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from app.features.containers.list.columns import ContainerColumn, Facts, Group, group_text, status_lines
from app.features.containers.list.rows import Row
from app.ui import theme
from app.ui.ports import port_links

FIXED: Final = {
    ContainerColumn.SELECT: 36,
    ContainerColumn.CPU: 78,
    ContainerColumn.MEMORY: 102,
    ContainerColumn.UPTIME: 96,
    ContainerColumn.RESTARTS: 84,
    ContainerColumn.CREATED: 116,
    ContainerColumn.ID: 124,
    ContainerColumn.ACTIONS: 108,
}
"""Widths of columns whose contents are of one length, at 100 %."""
_RANGES: Final = {
    ContainerColumn.NAME: (150, 420),
    ContainerColumn.IMAGE: (100, 360),
    ContainerColumn.PORTS: (76, 240),
    ContainerColumn.STATUS: (112, 270),
}
"""Least and greatest width of the other columns, at 100 %."""
_SHRINK: Final = (ContainerColumn.IMAGE, ContainerColumn.PORTS, ContainerColumn.NAME, ContainerColumn.STATUS)
"""The columns that give way, first to last."""
_GROW: Final = (ContainerColumn.NAME, ContainerColumn.IMAGE)
"""The columns that share what is left."""
_GO: Final = (
    ContainerColumn.IMAGE,
    ContainerColumn.PORTS,
    ContainerColumn.MEMORY,
    ContainerColumn.CPU,
    ContainerColumn.RESTARTS,
    ContainerColumn.UPTIME,
    ContainerColumn.CREATED,
    ContainerColumn.ID,
    ContainerColumn.STATUS,
)
"""The columns that are left out, first to last; those that the user has added are among the last. Name and actions
stay."""
_STEP: Final = 16
"""Widths are rounded up to this, so that columns do not move with every second that a text counts."""
_NAME_BESIDE: Final = 30 + 22 + 10
_BESIDE: Final = 20
_SMALL: Final = 0.88
"""Size of a cell's second line, as part of the first one's."""


@dataclass(frozen=True, slots=True)
class Widths:
    """The result: the width of each shown column, and the columns left out."""

    shown: Mapping[ContainerColumn, int]
    left_out: frozenset[ContainerColumn]


def content_widths(
    rows: Iterable[Row], facts: Facts, plain: Callable[[str], int], strong: Callable[[str], int]
) -> dict[ContainerColumn, int]:
    """The width that each column of `_RANGES` needs for its contents.

    Args:
        rows: the rows of the list.
        facts: what the status column shows beyond the engine's list.
        plain: measures a text in the table's font.
        strong: the same in the font of names.
    """
    needed = dict.fromkeys(_RANGES, 0)

    def need(column: ContainerColumn, width: float) -> None:
        needed[column] = max(needed[column], int(width))

    for row in rows:
        if isinstance(row, Group):
            need(ContainerColumn.NAME, strong(row.project) + theme.px(_NAME_BESIDE))
            need(ContainerColumn.STATUS, plain(group_text(row)) + theme.px(_BESIDE))
            continue
        indent = theme.px(_NAME_BESIDE if row.compose_project else _NAME_BESIDE - 22)
        need(ContainerColumn.NAME, strong(row.name) + indent)
        need(ContainerColumn.IMAGE, plain(row.image) + theme.px(_BESIDE))
        need(ContainerColumn.PORTS, max((plain(link.words) for link in port_links(row)), default=0) + theme.px(_BESIDE))
        first, second = status_lines(row, facts)
        need(ContainerColumn.STATUS, max(plain(first), plain(second) * _SMALL) + theme.px(_BESIDE))
    step = theme.px(_STEP)
    return {
        column: min(max(-(-needed[column] // step) * step, theme.px(least)), theme.px(most))
        for column, (least, most) in _RANGES.items()
    }


def share(
    wanted: Iterable[ContainerColumn],
    contents: Mapping[ContainerColumn, int],
    chosen: Mapping[ContainerColumn, int],
    room: int,
) -> Widths:
    """Divide the table's width.

    Args:
        wanted: the columns that the user wants to see.
        contents: the result of `content_widths`.
        chosen: widths that the user has set by dragging.
        room: the table's width.
    """
    shown = list(wanted)
    left_out: set[ContainerColumn] = set()
    least = {column: theme.px(FIXED[column]) for column in FIXED}
    least |= {column: theme.px(bounds[0]) for column, bounds in _RANGES.items()} | dict(chosen)
    for column in _GO:
        if sum(least[each] for each in shown) <= room:
            break
        if column in shown:
            shown.remove(column)
            left_out.add(column)
    widths = {column: chosen.get(column, contents.get(column, least[column])) for column in shown}
    excess = sum(widths.values()) - room
    for column in _SHRINK:
        if excess > 0 and column in widths and column not in chosen:
            given = min(excess, widths[column] - least[column])
            widths[column] -= given
            excess -= given
    growing = [column for column in _GROW if column in widths and column not in chosen]
    for number, column in enumerate(growing):
        if excess < 0:
            widths[column] += -excess // (len(growing) - number)
            excess = sum(widths.values()) - room
    return Widths(widths, frozenset(left_out))
