"""Whether a file is this user's alone, where the system has modes; elsewhere access lists come from the home."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def has_modes() -> bool:
    """Whether the modes of files mean something here."""
    return hasattr(os, "getuid")


def is_open_to_others(path: Path) -> bool:
    """Whether another user may read, write or enter it, by its mode. False when it is not there."""
    if not has_modes():
        return False
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def close_to_others(path: Path) -> None:
    """Take away every right of others; the user's own stay. Raises OSError."""
    if has_modes():
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
