"""What the window remembers between two starts: typed, with defaults, saved a moment after a change.

A value that cannot be used (a file edited by hand, or of another version) is its default; a whole file that cannot
be read is kept aside by the backend and told as a problem. Saving is done in a thread: a disk may be slow.
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
    """One preference: an attribute of `Preferences` that checks, remembers and announces."""

    def __init__(self, default: T, read: Callable[[Any], T]) -> None:
        """Describe it.

        Args:
            read: turns what the file holds into a value; raises ValueError, TypeError or KeyError for anything odd.
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


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _words(value: Any) -> tuple[str, ...]:
    return tuple(_word(entry) for entry in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """How the user wants a table."""

    hidden: tuple[str, ...] = ()
    """Names of the columns that are not shown."""
    sort_by: str = ""
    """Name of a column; "" for the table's own order."""
    descending: bool = False


class Preferences(QObject):
    """Read and set attributes; `changed` tells each by its name. Use it in the GUI thread."""

    changed = Signal(str)
    failed = Signal(object)  # Problem: a change could not be saved

    theme = _Option(Scheme.SYSTEM, Scheme)
    zoom = _Option(100, _one_of(*ZOOMS))
    """Per cent; one of ZOOMS."""
    language = _Option("system", _one_of(*LANGUAGES))
    close_to_tray = _Option(True, _yes_or_no)
    notifications = _Option(True, _yes_or_no)
    start_in_background = _Option(True, _yes_or_no)
    """Whether a start at login shows only the tray icon."""
    start_machine = _Option(False, _yes_or_no)
    """Whether the machine is started when the window is."""
    on_quit = _Option("ask", _one_of(*ON_QUIT))
    """What becomes of a running machine when the window is quit."""
    page = _Option("", _word)
    """The page that was open last."""
    geometry = _Option("", _word)
    """Qt's own, in hexadecimal."""
    recent: _Option[tuple[str, ...]] = _Option((), _words)
    """What was chosen in the palette, newest first."""

    _saved = Signal(object)  # Problem | None

    def __init__(self, file: PreferencesFile | None = None, parent: QObject | None = None) -> None:
        """Read them; without a file they are kept in memory only."""
        super().__init__(parent)
        self._file = file
        self.problem: Problem | None = None
        """Why the file could not be read, if it could not."""
        self.raw: dict[str, Any] = {}
        """As in the file. Not to be changed."""
        if file is not None:
            self.raw, self.problem = file.load()
        self._workers: Workers | None = None
        self._delay = QTimer(self, singleShot=True, interval=SAVE_AFTER_MS)
        self._delay.timeout.connect(self._save)
        self._saved.connect(self._on_saved, Qt.ConnectionType.QueuedConnection)

    def table(self, name: str) -> TableLayout:
        """How the table of that name was left."""
        try:
            kept = self.raw["tables"][name]
            return TableLayout(
                hidden=_words(kept["hidden"]),
                sort_by=_word(kept["sort_by"]),
                descending=_yes_or_no(kept["descending"]),
            )
        except (KeyError, TypeError):
            return TableLayout()

    def set_table(self, name: str, layout: TableLayout) -> None:
        """Remember how the user wants a table; `changed` says "tables"."""
        tables = dict(self.raw["tables"]) if isinstance(self.raw.get("tables"), dict) else {}
        tables[name] = {
            "hidden": list(layout.hidden),
            "sort_by": layout.sort_by,
            "descending": layout.descending,
        }
        self.put("tables", tables)

    def note_recent(self, key: str) -> None:
        """Put a choice of the palette first."""
        others = [entry for entry in self.recent if entry != key]
        self.recent = (key, *others[: RECENT_KEPT - 1])

    def put(self, name: str, value: Any) -> None:
        """Set what the file holds for a name; for the attributes' own use."""
        if name in self.raw and self.raw[name] == value:
            return
        self.raw[name] = value
        if self._file is not None:
            self._delay.start()
        self.changed.emit(name)

    def close(self) -> None:
        """Save what is not saved yet, and wait for it."""
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
