"""The columns of the table of published ports: texts, icons and sort order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtGui import QIcon

from app.features.ports.rows import PortRow
from app.texts import Message, _, message, message_in, say
from app.ui import figures, icons, theme
from app.ui.figures import NOTHING
from app.ui.ports import WILDCARD, bracketed
from app.ui.tables.listing_model import TableColumn
from backend.api import PortOrigin, PortState

ADDRESS: Final = 0
CONTAINER: Final = 1
GLYPHS: Final = {
    PortState.OPEN: "check-circle",
    PortState.TAKEN: "alert-circle",
    PortState.REFUSED: "cancel",
    PortState.OPENING: "progress-clock",
}
_STATE_ORDER: Final = (PortState.TAKEN, PortState.REFUSED, PortState.OPENING, PortState.OPEN)

_STATES: Final = {
    PortState.OPEN: message_in("port", "Open"),
    PortState.TAKEN: message("In use"),
    PortState.REFUSED: message("Denied"),
    PortState.OPENING: message("Opening"),
}
_STATE_TIPS: Final = {
    PortState.OPEN: message("The port is reachable."),
    PortState.TAKEN: message("Another program on this computer uses this port. Wherry retries until it is free."),
    PortState.REFUSED: message("This computer doesn't allow Wherry to use this port."),
    PortState.OPENING: message("The port will be ready in a moment."),
}
_ORIGINS: Final = {
    PortOrigin.CONTAINER: (
        message("Container"),
        message("Published when the container was created, with -p, -P or ports in a Compose file"),
    ),
    PortOrigin.SERVICE: (message("Swarm service"), message("Published by a Swarm service")),
    PortOrigin.HOST_NETWORK: (
        message("Host network"),
        message("The container uses the machine's network (--network host)"),
    ),
}
"""Name and tool tip."""


def shown_address(row: PortRow) -> str:
    """The address to show: "localhost:8080", or "0.0.0.0:8080" for a port on all addresses of this computer."""
    first = row.statuses[0].address
    return f"{bracketed(first)}:{row.port}" if first in WILDCARD else row.address


def state_text(row: PortRow) -> str:
    """Name of a port's state, such as "Open"."""
    return say(_STATES[row.state])


def state_colour(state: PortState) -> str:
    """Color of a state's icon."""
    current = theme.current()
    return {PortState.OPEN: current.running, PortState.OPENING: current.warning}.get(state, current.danger)


def columns() -> tuple[TableColumn, ...]:
    """The columns in display order."""
    return (
        TableColumn(
            message("Address"),
            0.175,
            158,
            shown_address,
            order=lambda row: row.port,
            tip=_address_tip,
            is_amount=False,
            icon=_reach_icon,
            colour=lambda row: theme.current().accent if row.url else theme.current().text,
            said=lambda row: f"{shown_address(row)}, {_reach(row)}",
        ),
        TableColumn(
            message("Container"),
            0.13,
            110,
            lambda row: row.container or NOTHING,
            colour=lambda row: theme.current().accent if row.container_id else theme.current().text,
        ),
        TableColumn(
            message("Container port"),
            0.105,
            96,
            _container_port,
            order=lambda row: row.container_port or 0,
            is_amount=False,
        ),
        TableColumn(
            message("Source"),
            0.13,
            116,
            lambda row: say(_ORIGINS[row.origin][0]),
            tip=lambda row: say(_ORIGINS[row.origin][1]),
        ),
        TableColumn(
            message("State"),
            0.13,
            114,
            state_text,
            order=lambda row: _STATE_ORDER.index(row.state),
            tip=lambda row: row.problem or say(_STATE_TIPS[row.state]),
            is_amount=False,
            icon=lambda row: icons.glyph(GLYPHS[row.state], state_colour(row.state)),
            said=lambda row: f"{state_text(row)}. {row.problem}" if row.problem else state_text(row),
        ),
        _figure(
            (message("Connections"), message("Currently open connections")),
            0.125,
            112,
            lambda row: row.connections,
            str,
        ),
        _figure(
            (message("Received"), message("Data received by the container over the currently open connections")),
            0.1,
            88,
            lambda row: row.received_bytes,
            figures.size,
        ),
        _figure(
            (message("Sent"), message("Data sent by the container over the currently open connections")),
            0.095,
            84,
            lambda row: row.sent_bytes,
            figures.size,
        ),
    )


def also(row: PortRow) -> tuple[str, ...]:
    """Search terms of a row beyond its visible texts."""
    return (row.address, row.container_id, row.problem, *(status.address for status in row.statuses))


def _container_port(row: PortRow) -> str:
    return f"{NOTHING if row.container_port is None else row.container_port}/{row.protocol.value}"


def _figure(
    names: tuple[Message, Message],
    share: float,
    least: int,
    take: Callable[[PortRow], int | None],
    format_value: Callable[[int], str],
) -> TableColumn:
    """A numeric column. An unknown value is shown as a dash and sorted before zero."""

    def shown(row: PortRow) -> str:
        value = take(row)
        return NOTHING if value is None else format_value(value)

    def order(row: PortRow) -> float:
        value = take(row)
        return -1.0 if value is None else float(value)

    title, tip = names
    return TableColumn(title, share, least, shown, order=order, tip=lambda row: say(tip))  # noqa: ARG005 -- every row has the same


def _reach(row: PortRow) -> str:
    return _("reachable from other computers too") if row.is_everywhere else _("reachable from this computer only")


def _reach_icon(row: PortRow) -> QIcon:
    return icons.glyph("earth" if row.is_everywhere else "laptop", theme.current().muted)


def _address_tip(row: PortRow) -> str:
    places = [f"{bracketed(status.address)}:{status.port}" for status in row.statuses]
    first = _("Open {url}", url=row.url) if row.url else ""
    return "\n".join(line for line in (first, *places, _reach(row)) if line)
