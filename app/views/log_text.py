"""The text of a log: coloured lines, following, bounded memory, and marks where the search matches."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextOption,
)
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from app import theme
from app.safe_text import LogLine, Style
from app.texts import text
from app.widgets import MONOSPACE

MAX_LINES: Final = 10_000
MAX_CHARS: Final = 4_000_000
"""Qt needs some four bytes a character: ten thousand long lines would be a lot."""


class LogText(QPlainTextEdit):
    """Read-only. Stays at the end as long as it is scrolled there."""

    followed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("log")
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setAccessibleName(text("logs.text"))
        self.setPlaceholderText(text("logs.empty"))
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        # A right-to-left line must not jump to the other side of the pane.
        option = QTextOption(Qt.AlignmentFlag.AlignLeft)
        option.setTextDirection(Qt.LayoutDirection.LeftToRight)
        self.document().setDefaultTextOption(option)
        self.document().setDocumentMargin(8)
        font = QFont(self.font())
        font.setFamilies(MONOSPACE)
        font.setFixedPitch(True)
        self.setFont(font)
        self._lengths: deque[int] = deque()
        self._chars = 0
        self._trimmed = False
        self._follows = True
        self._adding = False
        self._marks = _Marks()
        self.set_wrapped(wrapped=True)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.verticalScrollBar().rangeChanged.connect(self._ranged)

    @property
    def follows(self) -> bool:
        """Whether new lines scroll into view."""
        return self._follows

    @property
    def is_trimmed(self) -> bool:
        """Whether the oldest lines were dropped."""
        return self._trimmed

    @property
    def line_count(self) -> int:
        """Lines that are held."""
        return len(self._lengths)

    def set_wrapped(self, *, wrapped: bool) -> None:
        """Break long lines at the pane's edge, or scroll sideways."""
        mode = QPlainTextEdit.LineWrapMode.WidgetWidth if wrapped else QPlainTextEdit.LineWrapMode.NoWrap
        self.setLineWrapMode(mode)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere if wrapped else QTextOption.WrapMode.NoWrap)

    def add_lines(self, lines: tuple[LogLine, ...]) -> None:
        """Append."""
        follows, bar = self._follows, self.verticalScrollBar()
        self._adding = True
        # Own cursor: the user's selection stays.
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for line in lines[-MAX_LINES:]:
            if self._lengths:
                cursor.insertBlock()
            length = 1
            for span in line.spans:
                cursor.insertText(span.text, _format(span.style))
                length += len(span.text)
            if line.cut_bytes:
                note = text("logs.cut", count=f"{line.cut_bytes:,}")
                cursor.insertText(note, _muted())
                length += len(note)
            self._lengths.append(length)
            self._chars += length
        dropped = self._trim(cursor)
        cursor.endEditBlock()
        self._adding = False
        if follows:
            bar.setValue(bar.maximum())
        elif dropped:
            bar.setValue(max(0, bar.value() - dropped))
        self._tell(follows=follows)

    def empty(self) -> None:
        """Forget all lines."""
        self.clear()
        self._lengths.clear()
        self._chars = 0
        self._trimmed = False
        self.jump_to_end()

    def jump_to_end(self) -> None:
        """Show the newest line and follow."""
        self._tell(follows=True)
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    def search(self, needle: str) -> None:
        """Mark all matches; an empty needle marks none."""
        self._marks.search(needle, self.document())

    def matches(self, needle: str, limit: int) -> tuple[int, int]:
        """The number of the match that is selected, from 1, or 0, and how many there are, up to `limit` + 1."""
        content = self.toPlainText()
        cursor = self.textCursor()
        selected = _to_python(content, cursor.selectionStart()) if cursor.hasSelection() else -1
        at = total = 0
        for match in _pattern(needle).finditer(content):
            total += 1
            if match.start() == selected:
                at = total
            if total > limit:
                break
        return at, total

    def find_match(self, needle: str, *, backwards: bool = False) -> bool:
        """Select the next match, going on at the other end; False: there is none."""
        flags = QTextDocument.FindFlag.FindBackward if backwards else QTextDocument.FindFlag(0)
        cursor = self.document().find(needle, self.textCursor(), flags)
        if cursor.isNull():
            edge = QTextCursor(self.document())
            if backwards:
                edge.movePosition(QTextCursor.MoveOperation.End)
            cursor = self.document().find(needle, edge, flags)
        if cursor.isNull():
            return False
        self._tell(follows=False)
        self.setTextCursor(cursor)
        self.centerCursor()
        return True

    def _trim(self, cursor: QTextCursor) -> int:
        count = 0
        while len(self._lengths) > MAX_LINES or self._chars > MAX_CHARS:
            self._chars -= self._lengths.popleft()
            count += 1
        if count:
            self._trimmed = True
            cursor.movePosition(QTextCursor.MoveOperation.Start)
            cursor.movePosition(QTextCursor.MoveOperation.NextBlock, QTextCursor.MoveMode.KeepAnchor, count)
            cursor.removeSelectedText()
        return count

    def _scrolled(self, value: int) -> None:
        if not self._adding:
            self._tell(follows=value >= self.verticalScrollBar().maximum())

    def _ranged(self, _low: int, high: int) -> None:
        # A taller pane or another wrapping moves the end.
        if self._follows and not self._adding:
            self.verticalScrollBar().setValue(high)

    def _tell(self, *, follows: bool) -> None:
        if follows != self._follows:
            self._follows = follows
            self.followed.emit(follows)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_marks"):
            self._marks.rehighlight()


class _Marks(QSyntaxHighlighter):
    """Marks matches line by line, as lines come. Off the document while there is no search."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[call-overload]
        self._needle = ""

    def search(self, needle: str, document: QTextDocument) -> None:
        self._needle = needle
        wanted = document if needle else None
        if self.document() is not wanted:
            self.setDocument(wanted)
        else:
            self.rehighlight()

    def highlightBlock(self, words: str) -> None:
        if not self._needle:
            return
        mark = QTextCharFormat()
        current = theme.current()
        mark.setBackground(QColor(current.warning))
        mark.setForeground(QColor(current.window))
        for match in _pattern(self._needle).finditer(words):
            start, end = _to_qt(words, match.start()), _to_qt(words, match.end())
            self.setFormat(start, end - start, mark)


def _pattern(needle: str) -> re.Pattern[str]:
    return re.compile(re.escape(needle), re.IGNORECASE)


# Qt counts UTF-16 units, Python counts characters: they differ behind the first emoji.
def _to_qt(words: str, at: int) -> int:
    return at if words.isascii() else len(words[:at].encode("utf-16-le")) // 2


def _to_python(words: str, at: int) -> int:
    return at if words.isascii() else len(words.encode("utf-16-le")[: 2 * at].decode("utf-16-le", "replace"))


def _format(style: Style) -> QTextCharFormat:
    made = QTextCharFormat()
    if isinstance(style.colour, int):
        made.setForeground(QBrush(QColor(theme.current().terminal[style.colour])))
    elif isinstance(style.colour, str):
        made.setForeground(QBrush(QColor(_readable(style.colour))))
    if style.bold:
        made.setFontWeight(QFont.Weight.Bold)
    return made


def _readable(colour: str) -> str:
    """A colour that a container chose, moved towards the text's until it can be read."""
    current = theme.current()
    chosen, target = QColor(colour), QColor(current.text)
    for part in range(0, 11, 2):
        mixed = QColor(
            (chosen.red() * (10 - part) + target.red() * part) // 10,
            (chosen.green() * (10 - part) + target.green() * part) // 10,
            (chosen.blue() * (10 - part) + target.blue() * part) // 10,
        ).name()
        if theme.contrast(mixed, current.log_ground) >= 4.5:
            return mixed
    return current.text


def _muted() -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(QBrush(QColor(theme.current().muted)))
    made.setFontItalic(True)
    return made
