"""A log pane: lines, search, and actions.

Search and export belong to the log (`store.logs`); how they are shown is up to this view.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from app.features.logs.data.followed import FollowedLog
from app.features.logs.data.search import LogSearch, Pattern
from app.features.logs.store import LogStore
from app.features.logs.view.exporting import Exporting
from app.features.logs.view.lines_view import LinesView
from app.features.logs.view.searching import Searching
from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.widgets import IconButton, ScrollingRow

_REFRESH_MS: Final = 33
_TYPED_MS: Final = 150
_SLOWEST_MS: Final = 250


class LogPane(QWidget):
    """Shows the log stored for `key`; owns only the search and display options.

    `show_containers` requests the log by the store's intents.
    """

    def __init__(self, store: AppStore, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._key = key
        self._log: FollowedLog | None = None
        self._search: LogSearch | None = None
        self.lines = LinesView()
        self.searching = Searching()
        self.exporting = Exporting(self.lines)
        self.times = _toggle("clock-outline", _("Show timestamps"))
        self.wrap = _toggle("wrap", _("Wrap lines"))
        self.to_end = IconButton("arrow-collapse-down", _("Scroll to end and follow"), "End")
        self.copy = IconButton("content-copy", _("Copy all"))
        self.save = IconButton("content-save-outline", _("Save to file…"), "Ctrl+S")
        self.clear = IconButton("broom", _("Clear"))
        self._soon = QTimer(self, singleShot=True, interval=_REFRESH_MS)
        self._typed = QTimer(self, singleShot=True, interval=_TYPED_MS)
        self._lay_out()
        self._connect()
        self._take_log()

    @property
    def container_ids(self) -> tuple[str, ...]:
        """The containers whose log is shown."""
        return self._log.container_ids if self._log else ()

    def show_containers(self, container_ids: tuple[str, ...]) -> None:
        """Show the merged log of these containers; an empty tuple shows nothing."""
        if container_ids != self.container_ids:
            self._store.intents.follow_logs.emit(self._key, container_ids)

    def focus_search(self) -> None:
        """Handle Ctrl+F."""
        self.searching.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.searching.field.selectAll()

    # -- construction ---------------------------------------------------------------------------------------------
    def _lay_out(self) -> None:
        bar = QFrame()
        bar.setObjectName("logbar")
        row = QHBoxLayout(bar)
        row.setContentsMargins(theme.px(10), theme.px(6), theme.px(10), theme.px(6))
        row.setSpacing(theme.px(6))
        row.addWidget(self.searching, 1)
        row.addSpacing(theme.px(8))
        for widget in (self.times, self.wrap, self.to_end, self.copy, self.save, self.clear):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(ScrollingRow(bar))
        column.addWidget(self.searching.complaint)
        column.addWidget(self.lines, 1)
        column.addWidget(self.exporting)
        self.times.setChecked(True)
        self.wrap.setChecked(True)
        self.to_end.setEnabled(False)

    def _connect(self) -> None:
        lines, searching = self.lines, self.searching
        self._store.part(LogStore).opened.connect(self._on_opened)
        self._soon.timeout.connect(self._refresh)
        self._typed.timeout.connect(self._begin_search)
        lines.followed.connect(lambda follows: self.to_end.setEnabled(not follows))
        lines.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        lines.customContextMenuRequested.connect(self._open_menu)
        self.times.toggled.connect(lambda on: lines.set_shows_time(shows=on))
        self.wrap.toggled.connect(lambda on: lines.set_wraps(wraps=on))
        self.to_end.clicked.connect(lambda _checked=False: lines.jump_to_end())
        self.copy.clicked.connect(lambda _checked=False: self.exporting.copy_all())
        self.save.clicked.connect(lambda _checked=False: self._ask_where_to_save())
        self.clear.clicked.connect(lambda _checked=False: self._clear())
        self.exporting.older_wanted.connect(lambda: self._store.intents.load_older_logs.emit(self._key))
        searching.field.textChanged.connect(lambda _words: self._typed.start())
        searching.changed.connect(self._begin_search)
        searching.filtered.connect(self._filter)
        searching.wanted.connect(lambda backwards: self._go(backwards=backwards))
        searching.left.connect(lambda: lines.setFocus(Qt.FocusReason.OtherFocusReason))
        context = Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys, what in (
            ("F3", lambda: self._go(backwards=False)),
            ("Shift+F3", lambda: self._go(backwards=True)),
            ("Ctrl+S", self._ask_where_to_save),
            ("Ctrl+End", lines.jump_to_end),
        ):
            QShortcut(QKeySequence(keys), self, what, context=context)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), lines, self.exporting.copy)
        copy.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    # -- the log -------------------------------------------------------------------------------------------------
    def _on_opened(self, key: str) -> None:
        if key == self._key:
            self._take_log()

    def _take_log(self) -> None:
        if self._log is not None:
            self._log.changed.disconnect(self._on_changed)
        self._log = self._store.part(LogStore).log(self._key)
        self._search = None
        if self._log is not None:
            self._log.changed.connect(self._on_changed)
        self.lines.set_log(self._log)
        self.exporting.set_log(self._log)
        self._begin_search()
        self._refresh()

    def _on_changed(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _refresh(self) -> None:
        begun = time.monotonic()
        if self._log is not None:
            self._log.seen()
        self.lines.refresh()
        self._show_search()
        self.exporting.refresh()
        has_lines = self.lines.shown.count > 0
        for widget in (self.copy, self.save, self.clear):
            widget.setEnabled(has_lines)
        # While many lines arrive, leave most of the time for other events.
        took_ms = round((time.monotonic() - begun) * 1000)
        self._soon.setInterval(min(_SLOWEST_MS, max(_REFRESH_MS, 4 * took_ms)))

    def _clear(self) -> None:
        self.lines.clear()
        self._begin_search()
        self._refresh()

    # -- the search ----------------------------------------------------------------------------------------------
    def _begin_search(self) -> None:
        self._typed.stop()
        if self._search is not None:
            self._search.close()
            self._search = None
        query = self.searching.query
        pattern = Pattern(query) if query.words else None
        error = pattern.error if pattern is not None else ""
        self.searching.show_error(_("Invalid regular expression: {error}", error=error) if error else "")
        if pattern is not None and not error:
            self.lines.set_pattern(pattern)
            if self._log is not None:
                self._search = self._log.search(query, self.lines.shown.start)
        else:
            self.lines.set_pattern(None)
        self._filter()
        self._show_search()

    def _filter(self) -> None:
        self.lines.set_filter(self._search if self.searching.only.isChecked() else None)

    def _show_search(self) -> None:
        search = self._search
        if search is None:
            self.searching.show_count("")
            return
        if search.is_too_slow:
            self.searching.show_error(_("Search stopped: this regular expression takes too long."))
        self.searching.show_found(search, self.lines.shown.first, self.lines.current_match)

    def _go(self, *, backwards: bool) -> None:
        """Go to the next matching line after the current or topmost one, wrapping around at the ends."""
        if self._typed.isActive():
            self._begin_search()
        if self._search is None:
            return
        current = self.lines.current_match
        number = self.searching.next_match(
            self._search,
            self.lines.shown.first,
            self.lines.top_number if current is None else current,
            backwards=backwards,
            inclusive=current is None,
        )
        if number is not None:
            self.lines.show_match(number)
            self._show_search()

    # -- other actions --------------------------------------------------------------------------------------------
    def _ask_where_to_save(self) -> None:
        if not self.lines.shown.count or self._log is None:
            return
        name = self._log.names[0] if len(self._log.names) == 1 else _("log")
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
        dialog = QFileDialog(self, _("Save log"), "", _("Text (*.log *.txt)"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("log")
        dialog.selectFile(f"{safe.lstrip('.') or 'log'}.log")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.exporting.save(Path(path)))
        dialog.open()

    def _open_menu(self, at: QPoint) -> None:
        self.build_menu().popup(self.lines.viewport().mapToGlobal(at))

    def build_menu(self) -> QMenu:
        """The context menu of the lines."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        has_lines = self.lines.shown.count > 0
        copy = menu.addAction(icons.glyph("content-copy"), _("Copy"), self.exporting.copy)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setEnabled(not self.lines.selection.is_empty)
        everything = menu.addAction(_("Copy all"), self.exporting.copy_all)
        choose = menu.addAction(_("Select all"), self.lines.select_all)
        choose.setShortcut(QKeySequence(QKeySequence.StandardKey.SelectAll))
        menu.addSeparator()
        save = menu.addAction(icons.glyph("content-save-outline"), _("Save to file…"), self._ask_where_to_save)
        clear = menu.addAction(icons.glyph("broom"), _("Clear"), self._clear)
        for action in (everything, choose, save, clear):
            action.setEnabled(has_lines)
        menu.addSeparator()
        for button in (self.times, self.wrap):
            toggle = menu.addAction(button.accessibleName(), button.toggle)
            toggle.setCheckable(True)
            toggle.setChecked(button.isChecked())
        end = menu.addAction(_("Scroll to end and follow"), self.lines.jump_to_end)
        end.setEnabled(not self.lines.follows)
        return menu


def _toggle(glyph: str, words: str) -> IconButton:
    button = IconButton(glyph, words)
    button.setCheckable(True)
    return button
