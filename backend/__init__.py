"""Wherry without its window: the machine, its agent, the engine's endpoint and the command line. No Qt here."""

from typing import Final

VERSION: Final = "0.1.0"
"""The only place that names it: pyproject.toml reads this line."""
