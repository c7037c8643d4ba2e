"""The system's directories for an application's data."""

from __future__ import annotations

from pathlib import Path

import platformdirs

_NAME = "wherry"


def user_data_dir() -> Path:
    """Directory for permanent data (machines). Not synchronised between computers: local, not roaming, on Windows."""
    return Path(platformdirs.user_data_dir(_NAME, appauthor=False, roaming=False))


def user_cache_dir() -> Path:
    """Directory for data that can be created again (guest images)."""
    return Path(platformdirs.user_cache_dir(_NAME, appauthor=False))
