"""Containers: the list, what can be done with them, the form."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {}
