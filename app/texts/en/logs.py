"""Logs: the pane and the page."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "logs.title": "Logs of {name}",
    "logs.text": "Log text",
    "logs.follow": "Jump to end",
    "logs.wrap": "Wrap lines",
    "logs.clear": "Clear",
    "logs.copy": "Copy all",
    "logs.close": "Close logs",
    "logs.search": "Find in logs",
    "logs.search.next": "Next match",
    "logs.search.previous": "Previous match",
    "logs.search.none": "No match",
    "logs.search.count": "{at} of {total}",
    "logs.search.many": "over {total}",
    "logs.search.total.one": "{count} match",
    "logs.search.total.other": "{count} matches",
    "logs.state.opening": "Opening…",
    "logs.state.following": "Following",
    "logs.state.ended": "The container is stopped",
    "logs.state.reconnecting": "Reconnecting…",
    "logs.empty": "This container has written nothing yet.",
    "logs.cut": "… {count} bytes cut",
    "logs.trimmed": "Only the last {count} lines are kept here; docker logs shows all.",
}
