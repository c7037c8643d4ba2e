"""State of the window's connections to the agent and to the engine."""

from __future__ import annotations

from enum import StrEnum


class LinkState(StrEnum):
    """State of a connection."""

    OFF = "off"  # not wanted: the other side is known to be down
    CONNECTING = "connecting"  # the first attempt is in progress
    UP = "up"
    RECONNECTING = "reconnecting"  # it was lost, or an attempt failed; retried automatically
