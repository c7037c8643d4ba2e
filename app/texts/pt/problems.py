"""Problems: a title for each code, and the box that shows one."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {}
