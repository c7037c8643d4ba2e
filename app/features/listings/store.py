"""Images, volumes and networks as the engine listed them last. Asked for while somebody looks at their page."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from PySide6.QtCore import QObject, Signal

from backend.api import Listing, Problem

KINDS: Final = ("images", "volumes", "networks")


class ListingStore(QObject):
    """Part of the store. Only the wiring calls the `set_` methods and `clear`, in the GUI thread."""

    changed = Signal(str)  # kind

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: dict[str, Listing] = {}
        self._problems: dict[str, Problem] = {}
        self._sizes: dict[str, int] = {}

    def entries(self, kind: str) -> Listing | None:
        """The newest list; None while there is none."""
        return self._entries.get(kind)

    def problem(self, kind: str) -> Problem | None:
        """Why the newest list could not be had; the one before it is still there."""
        return self._problems.get(kind)

    @property
    def volume_sizes(self) -> Mapping[str, int]:
        """Bytes by the volume's name, as far as they are known."""
        return MappingProxyType(self._sizes)

    def set_entries(self, kind: str, entries: Listing) -> None:
        """The newest list."""
        known = self._problems.pop(kind, None)
        if known is not None or entries != self._entries.get(kind):
            self._entries[kind] = entries
            self.changed.emit(kind)

    def set_problem(self, kind: str, problem: Problem) -> None:
        """The list could not be had."""
        if problem != self._problems.get(kind):
            self._problems[kind] = problem
            self.changed.emit(kind)

    def set_volume_sizes(self, sizes: Mapping[str, int]) -> None:
        """What the engine added up."""
        if sizes != self._sizes:
            self._sizes = dict(sizes)
            self.changed.emit("volumes")

    def clear(self) -> None:
        """There is no engine any more, or another one."""
        if self._entries or self._problems or self._sizes:
            self._entries, self._problems, self._sizes = {}, {}, {}
            for kind in KINDS:
                self.changed.emit(kind)
