"""Everything around the pages: navigation, menus, tray, quitting, units."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "app.name": "Wherry",
    "nav.label": "Pages",
    "search.button": "Search   {keys}",
    "search.name": "Search everything",
    "search.tip": "Find containers, settings and actions",
    "common.copy": "Copy",
    "common.copied": "Copied",
    "common.cancel": "Cancel",
    "menu.machine": "&Machine",
    "menu.container": "&Container",
    "menu.view": "&View",
    "menu.file": "&File",
    "menu.refresh": "Refresh",
    "menu.find": "Find",
    "quit.too-long": "The machine did not stop within {elapsed} seconds, so Wherry stays open.",
    "quit.too-long.hint": "Try again, or use Machine, Stop at once.",
    "tray.open": "Open Wherry",
    "tray.machine": "Machine: {phase}",
    "tray.tooltip": "Wherry: {phase}",
    "tray.tooltip.containers.one": "Wherry: {phase}, {count} container",
    "tray.tooltip.containers.other": "Wherry: {phase}, {count} containers",
    "tray.containers": "Running containers",
    "tray.more": "{count} more…",
    "tray.hidden.title": "Wherry is still here",
    "tray.hidden.text": "The window is closed; Wherry stays in the tray. Quit from its menu.",
    "tray.none": "This desktop shows no tray icons: closing the window quits Wherry. The machine keeps running.",
    "quit.plain": "Quit",
    "quit.keeps": "Quit (the machine keeps running)",
    "quit.stop": "Stop machine and quit",
    "quit.waiting": "Stopping the machine, then quitting…",
    "time.seconds": "{value} s",
    "time.minutes": "{minutes} min {seconds} s",
    "size.mib": "{value} MiB",
    "size.gib": "{value} GiB",
}
