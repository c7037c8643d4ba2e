"""How a connection of the window stands: to the agent, or to the engine."""

from __future__ import annotations

from enum import StrEnum


class LinkState(StrEnum):
    """How one of the two connections stands."""

    OFF = "off"  # not wanted: the other side is known not to be there
    CONNECTING = "connecting"  # the first attempt is under way
    UP = "up"
    RECONNECTING = "reconnecting"  # it was up, or an attempt failed; the next comes by itself
