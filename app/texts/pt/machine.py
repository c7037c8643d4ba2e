"""The machine: its phases, the steps of a start, its page."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {}
