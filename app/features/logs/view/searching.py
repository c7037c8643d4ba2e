"""The search bar of a log: field, switches, and number of matches."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from app.features.logs.data.search import MAX_PATTERN_CHARS, LogQuery, LogSearch
from app.texts import _, ngettext
from app.ui import icons, theme
from app.ui.widgets import IconButton, label


class Searching(QWidget):
    """Edits the query; the pane runs the search."""

    changed = Signal()  # a switch has changed: search again
    filtered = Signal()  # only matching lines, or all
    wanted = Signal(bool)  # next match; True: previous match
    left = Signal()  # Escape in an empty field

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = QLineEdit(clearButtonEnabled=True)
        self.field.setMaxLength(MAX_PATTERN_CHARS)
        self.field.setPlaceholderText(_("Find in logs"))
        self.field.setAccessibleName(_("Find in logs"))
        self.field.addAction(icons.glyph("magnify"), QLineEdit.ActionPosition.LeadingPosition)
        self.field.setMinimumWidth(theme.px(72))
        self.field.installEventFilter(self)
        self.regex = _switch("regex", _("Regular expression"))
        self.case = _switch("format-letter-case", _("Match case"))
        self.only = _switch("filter-outline", _("Matching lines only"))
        self.previous = IconButton("chevron-up", _("Previous match"), "Shift+F3")
        self.next = IconButton("chevron-down", _("Next match"), "F3")
        self.count = label("", "muted")
        self.count.hide()
        self.complaint = label("", "warning", wrap=True)
        """To be placed below the bar."""
        self.complaint.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        self.complaint.hide()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(6))
        row.addWidget(self.field, 1)
        for widget in (self.regex, self.case, self.only, self.previous, self.next, self.count):
            row.addWidget(widget)
        for switch in (self.regex, self.case):
            switch.toggled.connect(lambda _on: self.changed.emit())
        self.only.toggled.connect(lambda _on: self.filtered.emit())
        self.next.clicked.connect(lambda _checked=False: self.wanted.emit(False))
        self.previous.clicked.connect(lambda _checked=False: self.wanted.emit(True))
        self.field.textChanged.connect(lambda _words: self._enable())
        self._enable()

    @property
    def query(self) -> LogQuery:
        """The query; empty when the field is empty."""
        return LogQuery(self.field.text(), is_regex=self.regex.isChecked(), is_case_sensitive=self.case.isChecked())

    def show_error(self, words: str) -> None:
        """Show an error of the pattern; empty for none."""
        self.complaint.setText(words)
        self.complaint.setVisible(bool(words))

    def show_count(self, words: str) -> None:
        """Show the number of matches."""
        if words != self.count.text():
            self.count.setText(words)
            self.count.setVisible(bool(words))
            # It belongs to the field, so it is part of the field's description.
            self.field.setAccessibleDescription(words)

    def show_found(self, search: LogSearch, first: int, current: int | None) -> None:
        """Show the progress of a search.

        Args:
            search: the search.
            first: number of the oldest line that counts.
            current: line of the current match.
        """
        matches = search.matches
        base = bisect_left(matches, first)
        total = len(matches) - base
        if not search.is_done and not search.is_too_slow:
            self.show_count(_("{total:,} lines, {percent}%…", total=total, percent=round(search.progress * 100)))
        elif not total:
            self.show_count(_("No matches"))
        elif current is not None:
            at = bisect_right(matches, current) - base
            self.show_count(_("{at:,} of {total:,} lines", at=at, total=total))
        else:
            self.show_count(ngettext("{count:,} line", "{count:,} lines", total))

    @staticmethod
    def next_match(search: LogSearch, first: int, number: int, *, backwards: bool, inclusive: bool) -> int | None:
        """The matching line after or before a line, wrapping around; None when there is none.

        Args:
            search: the search.
            first: number of the oldest line that counts.
            number: the line to start from.
            backwards: search for the previous match.
            inclusive: whether the line itself counts.
        """
        matches = search.matches
        base, end = bisect_left(matches, first), len(matches)
        if base == end:
            return None
        if backwards:
            at = (bisect_right if inclusive else bisect_left)(matches, number) - 1
            return matches[at if at >= base else end - 1]
        at = (bisect_left if inclusive else bisect_right)(matches, number)
        return matches[at if at < end else base]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.wanted.emit(bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
                return True
            if event.key() == Qt.Key.Key_Escape:
                if self.field.text():
                    self.field.clear()
                self.left.emit()
                return True
        return super().eventFilter(watched, event)

    def _enable(self) -> None:
        for widget in (self.next, self.previous):
            widget.setEnabled(bool(self.field.text()))


def _switch(glyph: str, words: str) -> IconButton:
    button = IconButton(glyph, words)
    button.setCheckable(True)
    return button
