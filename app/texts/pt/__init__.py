"""Portuguese: one module for each part of the window. Braces are filled by the caller."""

from __future__ import annotations

from typing import Final

from app.texts.pt import (
    containers,
    detail,
    frame,
    lifecycle,
    listings,
    logs,
    machine,
    manual,
    network,
    problems,
    settings,
    stats,
    upkeep,
)

TABLE: Final[dict[str, str]] = {
    **machine.TEXTS,
    **containers.TEXTS,
    **detail.TEXTS,
    **logs.TEXTS,
    **listings.TEXTS,
    **problems.TEXTS,
    **frame.TEXTS,
    **settings.TEXTS,
    **stats.TEXTS,
    **lifecycle.TEXTS,
    **upkeep.TEXTS,
    **network.TEXTS,
    **manual.TEXTS,
}
