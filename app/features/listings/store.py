"""State of the lists of images, volumes and networks in the window. They are loaded while their page is visible."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from PySide6.QtCore import QObject, Signal

from backend.api import Listing, Problem

KINDS: Final = ("images", "volumes", "networks")


class ListingStore(QObject):
    """The last list of each kind. Only the wiring calls the `set_` methods and `clear`, in the GUI thread."""

    changed = Signal(str)  # kind

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: dict[str, Listing] = {}
        self._problems: dict[str, Problem] = {}
        self._sizes: dict[str, int] = {}

    def entries(self, kind: str) -> Listing | None:
        """The last list of this kind; None before the first one."""
        return self._entries.get(kind)

    def problem(self, kind: str) -> Problem | None:
        """Why the last request failed; the entries of the one before are kept."""
        return self._problems.get(kind)

    @property
    def volume_sizes(self) -> Mapping[str, int]:
        """Sizes in bytes by volume name, where known."""
        return MappingProxyType(self._sizes)

    def set_entries(self, kind: str, entries: Listing) -> None:
        """Store a new list."""
        old_problem = self._problems.pop(kind, None)
        if old_problem is not None or entries != self._entries.get(kind):
            self._entries[kind] = entries
            self.changed.emit(kind)

    def set_problem(self, kind: str, problem: Problem) -> None:
        """Record that loading the list failed."""
        if problem != self._problems.get(kind):
            self._problems[kind] = problem
            self.changed.emit(kind)

    def set_volume_sizes(self, sizes: Mapping[str, int]) -> None:
        """Store the sizes that the engine calculated."""
        if sizes != self._sizes:
            self._sizes = dict(sizes)
            self.changed.emit("volumes")

    def clear(self) -> None:
        """Clear everything, after the engine stopped or changed."""
        if self._entries or self._problems or self._sizes:
            self._entries, self._problems, self._sizes = {}, {}, {}
            for kind in KINDS:
                self.changed.emit(kind)
