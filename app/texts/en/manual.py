"""The Help menu and window. The manual itself is in app/help, in English."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "menu.help": "&Help",
    "menu.help.manual": "Wherry help",
    "menu.help.keys": "Keyboard shortcuts",
    "menu.help.report": "Report a problem…",
    "menu.help.about": "About Wherry",
    "search.kind.help": "Help",
    "help.title": "Wherry help",
    "help.search": "Search help",
    "help.topics": "Topics",
    "help.no-match": "No topic matches.",
    "help.back": "Back",
    "help.forward": "Forward",
    "about.title": "About Wherry",
    "about.text": "A Docker engine for this computer, in a small virtual machine.",
    "about.licence": "Apache License 2.0. No account, no telemetry.",
    "about.copy": "Copy version information",
}
