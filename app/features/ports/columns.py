"""The columns of the table of published ports: their words, pictures and what they are sorted by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtGui import QIcon

from app.features.ports.rows import PortRow
from app.texts import text
from app.ui import figures, icons, theme
from app.ui.figures import NOTHING
from app.ui.ports import WILDCARD, bracketed
from app.ui.tables.listing_model import TableColumn
from backend.api import PortState

ADDRESS: Final = 0
CONTAINER: Final = 1
GLYPHS: Final = {
    PortState.OPEN: "check-circle",
    PortState.TAKEN: "alert-circle",
    PortState.REFUSED: "cancel",
    PortState.OPENING: "progress-clock",
}
_STATE_ORDER: Final = (PortState.TAKEN, PortState.REFUSED, PortState.OPENING, PortState.OPEN)


def shown_address(row: PortRow) -> str:
    """ "localhost:8080"; "0.0.0.0:8080" for what every address of this computer has."""
    first = row.statuses[0].address
    return f"{bracketed(first)}:{row.port}" if first in WILDCARD else row.address


def state_words(row: PortRow) -> str:
    """ "Open"."""
    return text(f"ports.state.{row.state.value}")


def state_colour(state: PortState) -> str:
    """Of the state's mark."""
    current = theme.current()
    return {PortState.OPEN: current.running, PortState.OPENING: current.warning}.get(state, current.danger)


def columns() -> tuple[TableColumn, ...]:
    """In the order of the screen."""
    return (
        TableColumn(
            "ports.column.address",
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
            "ports.column.container",
            0.13,
            110,
            lambda row: row.container or NOTHING,
            colour=lambda row: theme.current().accent if row.container_id else theme.current().text,
        ),
        TableColumn(
            "ports.column.container-port",
            0.105,
            96,
            _inner_port,
            order=lambda row: row.container_port or 0,
            is_amount=False,
        ),
        TableColumn(
            "ports.column.origin",
            0.13,
            116,
            lambda row: text(f"ports.origin.{row.origin.value}"),
            tip=lambda row: text(f"ports.origin.{row.origin.value}.tip"),
        ),
        TableColumn(
            "ports.column.state",
            0.13,
            114,
            state_words,
            order=lambda row: _STATE_ORDER.index(row.state),
            tip=lambda row: row.problem or text(f"ports.state.{row.state.value}.tip"),
            is_amount=False,
            icon=lambda row: icons.glyph(GLYPHS[row.state], state_colour(row.state)),
            said=lambda row: f"{state_words(row)}. {row.problem}" if row.problem else state_words(row),
        ),
        _figure("ports.column.connections", 0.125, 112, lambda row: row.connections, str),
        _figure("ports.column.received", 0.1, 88, lambda row: row.received_bytes, figures.size),
        _figure("ports.column.sent", 0.095, 84, lambda row: row.sent_bytes, figures.size),
    )


def also(row: PortRow) -> tuple[str, ...]:
    """Words by which a row is found beside those that are seen."""
    return (row.address, row.container_id, row.problem, *(status.address for status in row.statuses))


def _inner_port(row: PortRow) -> str:
    return f"{NOTHING if row.container_port is None else row.container_port}/{row.protocol.value}"


def _figure(
    key: str, share: float, least: int, take: Callable[[PortRow], int | None], words: Callable[[int], str]
) -> TableColumn:
    """What is not known is a dash, and comes before nothing at all."""

    def shown(row: PortRow) -> str:
        known = take(row)
        return NOTHING if known is None else words(known)

    def order(row: PortRow) -> float:
        known = take(row)
        return -1.0 if known is None else float(known)

    return TableColumn(key, share, least, shown, order=order, tip=lambda row: text(f"{key}.tip"))  # noqa: ARG005 -- for all


def _reach(row: PortRow) -> str:
    return text("ports.reach.everywhere" if row.is_everywhere else "ports.reach.here")


def _reach_icon(row: PortRow) -> QIcon:
    return icons.glyph("earth" if row.is_everywhere else "laptop", theme.current().muted)


def _address_tip(row: PortRow) -> str:
    places = [f"{bracketed(status.address)}:{status.port}" for status in row.statuses]
    first = text("containers.open-port", url=row.url) if row.url else ""
    return "\n".join(line for line in (first, *places, _reach(row)) if line)
