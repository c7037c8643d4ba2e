"""Settings and the first run."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "settings.theme.system": "As the desktop",
    "settings.theme.light": "Light",
    "settings.theme.dark": "Dark",
}
