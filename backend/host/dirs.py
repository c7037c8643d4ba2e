"""The platform's directories for an application's data, by platformdirs."""

from __future__ import annotations

from pathlib import Path

import platformdirs

_NAME = "wherry"


def user_data_dir() -> Path:
    """Data that must survive: machines. Not synchronised between computers (on Windows: local, not roaming)."""
    return Path(platformdirs.user_data_dir(_NAME, appauthor=False, roaming=False))


def user_cache_dir() -> Path:
    """Data that can be made again: guest images."""
    return Path(platformdirs.user_cache_dir(_NAME, appauthor=False))
