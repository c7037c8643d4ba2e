"""A directory of a container as a Qt table model: its entries, and their changes since the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor, QFont

from app.features.containers.data.files import FileEntry, Listing, child, parent, shown_path
from app.texts import _, message, say
from app.ui import icons, theme
from app.ui.figures import size
from app.ui.safe_text import tooltip
from backend.api import ChangeKind

SORT_ROLE: Final = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex


class FileColumn(IntEnum):
    """The columns in display order."""

    NAME = 0
    SIZE = 1
    MODIFIED = 2
    MODE = 3
    OWNER = 4
    CHANGE = 5


_TITLES: Final = {
    FileColumn.NAME: message("Name"),
    FileColumn.SIZE: message("Size"),
    FileColumn.MODIFIED: message("Modified"),
    FileColumn.MODE: message("Permissions"),
    FileColumn.OWNER: message("Owner"),
    FileColumn.CHANGE: message("Change"),
}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row: an existing entry, or one deleted since the image, which has no `entry`."""

    untrusted_name: str
    entry: FileEntry | None
    change: ChangeKind | None

    @property
    def name(self) -> str:
        """The name to show, with unprintable characters replaced."""
        return shown_path(self.untrusted_name)


def rows_of(listing: Listing, changes: Mapping[str, ChangeKind]) -> tuple[FileRow, ...]:
    """The rows of a listing: its entries with their changes, and the deleted entries."""
    # The engine replaces bytes that are not UTF-8 in paths, so paths are compared in that form.
    changed_paths = {path.encode("utf-8", "replace").decode(): kind for path, kind in changes.items()}
    rows = [
        FileRow(entry.untrusted_name, entry, changed_paths.get(_as_engine(child(listing.path, entry.untrusted_name))))
        for entry in listing.entries
    ]
    names = {_as_engine(row.untrusted_name) for row in rows}
    directory = _as_engine(listing.path)
    rows += [
        FileRow(path.rpartition("/")[2], None, kind)
        for path, kind in changed_paths.items()
        if kind is ChangeKind.DELETED and parent(path) == directory and path.rpartition("/")[2] not in names
    ]
    return tuple(rows)


def _as_engine(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class FilesModel(QAbstractTableModel):
    """The model of one directory."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[FileRow, ...] = ()
        self._mounts: frozenset[str] = frozenset()

    def show(self, rows: tuple[FileRow, ...], mounts: frozenset[str] = frozenset()) -> None:
        """Replace the rows. `mounts` are the names of entries that are mount points."""
        if (rows, mounts) != (self._rows, self._mounts):
            self.beginResetModel()
            self._rows, self._mounts = rows, mounts
            self.endResetModel()

    def row(self, number: int) -> FileRow:
        """The row with this number."""
        return self._rows[number]

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 -- Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 -- likewise
        return 0 if parent.isValid() else len(FileColumn)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags if index.isValid() and self._rows[index.row()].entry is not None else flags & ~_ENABLED

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return say(_TITLES[FileColumn(section)])
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            alignment = Qt.AlignmentFlag.AlignRight if section == FileColumn.SIZE else Qt.AlignmentFlag.AlignLeft
            return Qt.AlignmentFlag.AlignVCenter | alignment
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self._rows[index.row()], FileColumn(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.DecorationRole if column is FileColumn.NAME:
                return icons.glyph(self._glyph(row))
            case Qt.ItemDataRole.ToolTipRole if column is FileColumn.NAME:
                return tooltip(self._text(row, column))
            case Qt.ItemDataRole.AccessibleTextRole if column is FileColumn.NAME:
                return ", ".join(filter(None, (row.name, self._kind(row), self._text(row, FileColumn.CHANGE))))
            case Qt.ItemDataRole.ForegroundRole if column is FileColumn.CHANGE:
                return QColor(_colour(row.change)) if row.change is not None else None
            case Qt.ItemDataRole.FontRole if row.entry is None and column is FileColumn.NAME:
                font = QFont()
                font.setStrikeOut(True)
                return font
            case Qt.ItemDataRole.TextAlignmentRole if column is FileColumn.SIZE:
                return Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            case role if role == SORT_ROLE:
                return _sort_key(row, column)
            case _:
                return None

    def _text(self, row: FileRow, column: FileColumn) -> str:
        entry = row.entry
        if column is FileColumn.NAME:
            arrow = f"  →  {entry.target}" if entry is not None and entry.is_link else ""
            return row.name + arrow
        if column is FileColumn.CHANGE:
            return say(_CHANGES[row.change]) if row.change is not None else ""
        if entry is None:
            return ""
        match column:
            case FileColumn.SIZE:
                return size(entry.size) if entry.is_file else ""
            case FileColumn.MODIFIED:
                return _moment(entry.modified)
            case FileColumn.MODE:
                return entry.mode_text
            case _:
                return f"{entry.user_id}:{entry.group_id}"

    def _glyph(self, row: FileRow) -> str:
        entry = row.entry
        if entry is None:
            return "file-remove-outline"
        if entry.is_link:
            return "link-variant"
        if row.untrusted_name in self._mounts:
            return "harddisk"
        if entry.is_directory:
            return "folder-outline"
        return "file-outline" if entry.is_file else "file-cog-outline"

    def _kind(self, row: FileRow) -> str:
        if row.untrusted_name in self._mounts:
            return _("mount")
        entry = row.entry
        if entry is None or entry.is_file:
            return ""
        return _("link") if entry.is_link else _("folder") if entry.is_directory else _("special file")


_CHANGES: Final = {
    ChangeKind.ADDED: message("added"),
    ChangeKind.MODIFIED: message("modified"),
    ChangeKind.DELETED: message("deleted"),
}
_ENABLED: Final = Qt.ItemFlag.ItemIsEnabled


class FilesProxy(QSortFilterProxyModel):
    """Sorts directories first; optionally shows only changed entries."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._only_changes = False
        self.setSortRole(SORT_ROLE)

    def set_only_changes(self, only: bool) -> None:
        """Whether to hide entries that are unchanged since the image."""
        self._only_changes = only
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:  # noqa: ARG002 -- Qt's own signature
        model = self.sourceModel()
        assert isinstance(model, FilesModel)
        return not self._only_changes or model.row(source_row).change is not None

    def lessThan(self, left: _Index, right: _Index) -> bool:
        model = self.sourceModel()
        assert isinstance(model, FilesModel)
        one, other = (_is_directory(model.row(index.row())) for index in (left, right))
        if one != other:
            # In both sort directions.
            return one == (self.sortOrder() is Qt.SortOrder.AscendingOrder)
        return bool(left.data(SORT_ROLE) < right.data(SORT_ROLE))


def _is_directory(row: FileRow) -> bool:
    return row.entry is not None and row.entry.is_directory


def _sort_key(row: FileRow, column: FileColumn) -> Any:
    entry = row.entry
    match column:
        case FileColumn.SIZE:
            return entry.size if entry is not None else -1
        case FileColumn.MODIFIED:
            return entry.modified if entry is not None else -1
        case FileColumn.NAME:
            return row.name.casefold()
        case FileColumn.MODE:
            return entry.mode_text if entry is not None else ""
        case FileColumn.OWNER:
            return f"{entry.user_id:010}:{entry.group_id:010}" if entry is not None else ""
        case _:
            return row.change.value if row.change is not None else "~"


def _colour(change: ChangeKind) -> str:
    colours = theme.current()
    return {
        ChangeKind.ADDED: colours.running,
        ChangeKind.MODIFIED: colours.warning,
        ChangeKind.DELETED: colours.danger,
    }[change]


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"
