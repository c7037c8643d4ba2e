"""User preferences of the window: typed, with defaults, and saved shortly after a change.

An invalid value (a file edited by hand, or from another version) is replaced by its default. An unreadable file is
renamed by the backend and reported as a problem. Saving runs in a thread, because a disk can be slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.links.workers import Workers
from app.ui.theme import Scheme
from backend.api import PreferencesFile, Problem, WherryError

SAVE_AFTER_MS: Final = 400
CLOSE_DEADLINE_S: Final = 5.0
ZOOMS: Final = (100, 125, 150, 175, 200)
"""Per cent."""
LANGUAGES: Final = ("system", "en", "pt")
ON_QUIT: Final = ("ask", "keep", "suspend", "stop")
RECENT_KEPT: Final = 20

T = TypeVar("T")


class _Option(Generic[T]):
    """A descriptor for one preference: validates the value, saves it and emits `Preferences.changed`."""

    def __init__(self, default: T, read: Callable[[Any], T]) -> None:
        """Define a preference.

        Args:
            default: the value while none is set.
            read: converts the JSON value from the file; raises ValueError, TypeError or KeyError for an invalid one.
        """
        self._default = default
        self._read = read

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type) -> _Option[T]: ...
    @overload
    def __get__(self, owner: Preferences, kind: type) -> T: ...
    def __get__(self, owner: Preferences | None, kind: type) -> T | _Option[T]:
        if owner is None:
            return self
        try:
            return self._read(owner.raw[self._name])
        except (ValueError, TypeError, KeyError):
            return self._default

    def __set__(self, owner: Preferences, value: T) -> None:
        owner.put(self._name, list(value) if isinstance(value, tuple) else value)


def _one_of(*allowed: T) -> Callable[[Any], T]:
    def read(value: Any) -> T:
        return allowed[allowed.index(value)]

    return read


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(_string(entry) for entry in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """The user's layout of a table: hidden columns, widths and sorting."""

    hidden: tuple[str, ...] = ()
    """Names of hidden columns."""
    sort_by: str = ""
    """Name of the column to sort by; "" for the table's default order."""
    descending: bool = False


class Preferences(QObject):
    """Preferences as attributes. `changed` is emitted with an attribute's name. For the GUI thread only."""

    changed = Signal(str)
    failed = Signal(object)  # Problem: a change could not be saved

    theme = _Option(Scheme.SYSTEM, Scheme)
    zoom = _Option(100, _one_of(*ZOOMS))
    """Per cent; one of ZOOMS."""
    language = _Option("system", _one_of(*LANGUAGES))
    close_to_tray = _Option(True, _boolean)
    notifications = _Option(True, _boolean)
    start_in_background = _Option(True, _boolean)
    """Whether a start at login shows only the tray icon."""
    start_machine = _Option(False, _boolean)
    """Whether the machine is started when the window is."""
    on_quit = _Option("ask", _one_of(*ON_QUIT))
    """What to do with a running machine when the user quits: one of ON_QUIT."""
    page = _Option("", _string)
    """Name of the last open page."""
    geometry = _Option("", _string)
    """Qt's saved window geometry, in hexadecimal."""
    recent: _Option[tuple[str, ...]] = _Option((), _strings)
    """Keys of recent palette entries, newest first."""

    _saved = Signal(object)  # Problem | None

    def __init__(self, file: PreferencesFile | None = None, parent: QObject | None = None) -> None:
        """Load the preferences from `file`; without one they are kept in memory only."""
        super().__init__(parent)
        self._file = file
        self.problem: Problem | None = None
        """Why the file could not be read; None if it could."""
        self.raw: dict[str, Any] = {}
        """The JSON object of the file. Read-only; use `put` to change it."""
        if file is not None:
            self.raw, self.problem = file.load()
        self._workers: Workers | None = None
        self._delay = QTimer(self, singleShot=True, interval=SAVE_AFTER_MS)
        self._delay.timeout.connect(self._save)
        self._saved.connect(self._on_saved, Qt.ConnectionType.QueuedConnection)

    def table(self, name: str) -> TableLayout:
        """The saved layout of a table."""
        try:
            kept = self.raw["tables"][name]
            return TableLayout(
                hidden=_strings(kept["hidden"]),
                sort_by=_string(kept["sort_by"]),
                descending=_boolean(kept["descending"]),
            )
        except (KeyError, TypeError):
            return TableLayout()

    def set_table(self, name: str, layout: TableLayout) -> None:
        """Save the layout of a table; `changed` is emitted with "tables"."""
        tables = dict(self.raw["tables"]) if isinstance(self.raw.get("tables"), dict) else {}
        tables[name] = {
            "hidden": list(layout.hidden),
            "sort_by": layout.sort_by,
            "descending": layout.descending,
        }
        self.put("tables", tables)

    def note_recent(self, key: str) -> None:
        """Move a palette entry's key to the front of `recent`."""
        others = [entry for entry in self.recent if entry != key]
        self.recent = (key, *others[: RECENT_KEPT - 1])

    def put(self, name: str, value: Any) -> None:
        """Set a raw value of the file and schedule saving. Used by `_Option` and `set_table`."""
        if name in self.raw and self.raw[name] == value:
            return
        self.raw[name] = value
        if self._file is not None:
            self._delay.start()
        self.changed.emit(name)

    def close(self) -> None:
        """Save pending changes and wait until they are written."""
        if self._delay.isActive():
            self._delay.stop()
            self._save()
        if self._workers is not None:
            self._workers.finish(CLOSE_DEADLINE_S)
            self._workers = None

    def _save(self) -> None:
        file, values = self._file, dict(self.raw)
        if file is None:
            return

        def save() -> None:
            problem = None
            try:
                file.save(values)
            except WherryError as error:
                problem = error.problem
            self._saved.emit(problem)

        if self._workers is None:
            self._workers = Workers("preferences", 1)
        self._workers.submit(save)

    def _on_saved(self, problem: Problem | None) -> None:
        if problem is not None:
            self.failed.emit(problem)
