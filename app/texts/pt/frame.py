"""Everything around the pages: navigation, menus, tray, quitting, units."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {}
