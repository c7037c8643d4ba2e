"""File modes that keep other users out. On Windows, access lists are inherited from the home directory instead."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def has_modes() -> bool:
    """Whether this system has file modes."""
    return hasattr(os, "getuid")


def is_open_to_others(path: Path) -> bool:
    """Whether its mode lets another user read, write or enter it. False when there is no such file."""
    if not has_modes():
        return False
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def close_to_others(path: Path) -> None:
    """Remove all permissions of group and others. Raises OSError."""
    if has_modes():
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
