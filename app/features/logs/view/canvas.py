"""Drawing of log lines: only visible ones, however many there are."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QBrush,
    QColor,
    QFocusEvent,
    QFont,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextCharFormat,
    QTextLayout,
    QTextLine,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QWidget

from app.features.logs.data.followed import FollowedLog
from app.features.logs.data.levels import Level
from app.features.logs.data.search import LogSearch, Pattern
from app.features.logs.view import accessible
from app.features.logs.view.layouts import (
    NAME_CHARS,
    LaidLine,
    Layouts,
    format_range,
    level_colour,
    source_colours,
    utf16_length,
)
from app.features.logs.view.rows import ShownLines
from app.features.logs.view.scroller import Scroller
from app.features.logs.view.selection import LogPosition, LogSelection
from app.texts import _
from app.ui import theme
from app.ui.widgets import MONOSPACE

_MARGIN: Final = 10
_GAP_CHARS: Final = 2
_STRIPE: Final = 3
_TIME_CHARS: Final = 23
_DESCRIBE_MS: Final = 500
_DESCRIBED_CHARS: Final = 4_000
_MAX_SPAN: Final = 20_000


class VisibleRow(NamedTuple):
    """A visible line."""

    number: int
    top: int
    """Top of its first row in pixels of the viewport; may be negative."""
    laid: LaidLine


class LinesCanvas(QAbstractScrollArea):
    """Shows a `FollowedLog`. Follows new lines while scrolled to the end. `LinesView` adds mouse and keyboard."""

    followed = Signal(bool)
    selection_changed = Signal()
    scrolled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("loglines")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(_("Log text"))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.shown = ShownLines()
        self.selection = LogSelection()
        self.layouts = Layouts()
        self.current_match: int | None = None
        """The line of the current match."""
        self._log: FollowedLog | None = None
        self._colours: list[int] = []
        self.scroller = Scroller(self.shown, lambda number: self.layouts.laid(number).rows)
        self._pattern: Pattern | None = None
        self._wraps = True
        self._shows_time = True
        self._widest = 0.0
        self._followed = True
        self.verticalScrollBar().valueChanged.connect(self._bar_moved)
        self.horizontalScrollBar().valueChanged.connect(self.viewport().update)
        accessible.install()
        self._describe = QTimer(self, singleShot=True, interval=_DESCRIBE_MS)
        self._describe.timeout.connect(lambda: self.setAccessibleDescription(self.visible_text()[:_DESCRIBED_CHARS]))
        self._set_font()

    # -- content and options --------------------------------------------------------------------------------------
    @property
    def follows(self) -> bool:
        """Whether new lines scroll into view."""
        return self.scroller.follows

    def set_log(self, log: FollowedLog | None) -> None:
        """Show another log from its end; None shows nothing."""
        self._log = log
        self._colours = source_colours(log.container_ids) if log else []
        self.shown.buffer = log.buffer if log else None
        self.shown.start = 0
        self.shown.search = None
        self.layouts.set_log(self.shown.buffer)
        self.selection.clear()
        self.current_match = None
        self._widest = 0.0
        self.scroller.follows = True
        self._measure()
        self.refresh()

    def refresh(self) -> None:
        """Update after lines were added or dropped."""
        self.scroller.normalise()
        self._update_bars()
        self._update_accessible_text()
        self.viewport().update()

    def clear(self) -> None:
        """Hide all present lines; later ones are shown."""
        if self.shown.buffer is not None:
            self.shown.start = self.shown.buffer.end
            self.selection.clear()
            self.scroller.follows = True
            self.refresh()

    def set_wraps(self, *, wraps: bool) -> None:
        """Set whether long lines wrap, or scroll sideways."""
        self._wraps = wraps
        self._measure()
        self.refresh()

    def set_shows_time(self, *, shows: bool) -> None:
        """Set whether to show each line's time."""
        self._shows_time = shows
        self._measure()
        self.refresh()

    def set_pattern(self, pattern: Pattern | None) -> None:
        """Highlight the matches of a pattern."""
        self._pattern = pattern
        self.current_match = None
        self.viewport().update()

    def set_filter(self, search: LogSearch | None) -> None:
        """Show only matching lines; None shows all. The topmost line, or the next one shown, stays on top."""
        self.shown.search = search
        if not self.scroller.follows:
            self.scroller.row = 0
        self.refresh()

    def jump_to_end(self) -> None:
        """Scroll to the newest line and follow."""
        self.scroller.go_to_end()
        self.refresh()

    def show_match(self, number: int) -> None:
        """Scroll to a line, and select its first match."""
        self.current_match = number
        self.scroller.show(number)
        laid = self.layouts.laid(number)
        spans = self._pattern.spans(laid.words, 1) if self._pattern else []
        if spans:
            start, length = spans[0]
            self.scroller.show(number, laid.layout.lineForTextPosition(start).lineNumber())
            self.selection.set(LogPosition(number, start), LogPosition(number, start + length))
            self.show_column(laid, start)
            self.selection_changed.emit()
        self.refresh()

    @property
    def top_number(self) -> int:
        """Number of the topmost visible line."""
        return self.scroller.number

    @property
    def shows_time(self) -> bool:
        """Whether times are shown."""
        return self._shows_time

    @property
    def shows_names(self) -> bool:
        """Whether the containers' names are shown: there are several containers."""
        return self._log is not None and len(self._log.names) > 1

    def visible_rows(self) -> list[VisibleRow]:
        """The visible lines."""
        rows: list[VisibleRow] = []
        if not self.shown.count:
            return rows
        height = self.layouts.row_height
        at = self.scroller.position
        top = -self.scroller.row * height
        while top < self.viewport().height() and at < self.shown.count:
            number = self.shown.number(at)
            laid = self.layouts.laid(number)
            rows.append(VisibleRow(number, top, laid))
            top += laid.rows * height
            at += 1
        return rows

    def visible_text(self) -> str:
        """The visible lines as plain text, for screen readers."""
        return "\n".join(row.laid.words for row in self.visible_rows())

    # -- geometry ------------------------------------------------------------------------------------------------
    def _set_font(self) -> None:
        font = QFont(self.font())
        font.setFamilies(MONOSPACE)
        font.setFixedPitch(True)
        self.layouts.set_font(font)
        self._font = font
        self._measure()

    @property
    def text_left(self) -> int:
        """Horizontal start of the text, in pixels."""
        left = float(_MARGIN + _STRIPE)
        if self._shows_time:
            left += self.layouts.char_width * (_TIME_CHARS + _GAP_CHARS)
        if self.shows_names:
            left += self._name_width
        return round(left)

    @property
    def _name_width(self) -> float:
        longest = max((len(name) for name in self._log.names), default=0) if self._log else 0
        return self.layouts.char_width * (min(longest, NAME_CHARS) + _GAP_CHARS)

    def _measure(self) -> None:
        room = self.viewport().width() - self.text_left - _MARGIN
        self.layouts.set_wrap_width(max(room, self.layouts.char_width * 8) if self._wraps else None)
        self.scroller.page = max(1, self.viewport().height() // self.layouts.row_height)

    def _update_bars(self) -> None:
        bar = self.verticalScrollBar()
        at, row = self.scroller.bottom()
        last = at + (1 if row else 0)
        bar.blockSignals(True)
        bar.setPageStep(max(1, self.scroller.page))
        bar.setRange(0, last)
        bar.setValue(last if self.scroller.follows else min(self.scroller.position, last))
        bar.blockSignals(False)
        sideways = self.horizontalScrollBar()
        if self._wraps:
            sideways.setRange(0, 0)
            return
        self._widest = max([self._widest, *(row.laid.width for row in self.visible_rows())])
        room = self.viewport().width() - self.text_left - _MARGIN
        sideways.setPageStep(max(1, room))
        sideways.setSingleStep(round(self.layouts.char_width * 4))
        sideways.setRange(0, max(0, round(self._widest) - room))

    def show_column(self, laid: LaidLine, at: int) -> None:
        """Scroll sideways to make a position in a line visible."""
        if self._wraps:
            return
        self._update_bars()
        x = _x_of(laid.layout.lineForTextPosition(at), at)
        bar = self.horizontalScrollBar()
        room = self.viewport().width() - self.text_left - _MARGIN
        if not bar.value() <= x <= bar.value() + room - 4 * self.layouts.char_width:
            bar.setRange(0, max(bar.maximum(), round(laid.width) - room))
            bar.setValue(max(0, round(x - room / 3)))

    def _update_accessible_text(self) -> None:
        if self.scroller.follows != self._followed:
            self._followed = self.scroller.follows
            self.followed.emit(self._followed)
        self.scrolled.emit()
        if QAccessible.isActive() and not self._describe.isActive():
            self._describe.start()

    def _bar_moved(self, value: int) -> None:
        if value >= self.verticalScrollBar().maximum():
            self.scroller.go_to_end()
        else:
            self.scroller.go_to_position(value)
        self._update_accessible_text()
        self._update_bars()
        self.viewport().update()

    def scroll_rows(self, rows: int) -> None:
        """Scroll down by rows; negative: up."""
        self.scroller.scroll(rows)
        self.refresh()

    # -- drawing -------------------------------------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent) -> None:
        current = theme.current()
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(current.log_ground))
        painter.setFont(self._font)
        rows = self.visible_rows()
        if not rows:
            self._paint_nothing(painter)
            return
        left = self.text_left
        edge = self.viewport().rect()
        scrolled = self.horizontalScrollBar().value()
        for row in rows:
            self._paint_columns(painter, row)
        painter.setClipRect(QRect(left - 2, 0, edge.width() - left + 2, edge.height()))
        painter.setPen(QColor(current.text))
        for row in rows:
            where = QPointF(left - scrolled, row.top)
            row.laid.layout.draw(painter, where, self._marks(row), QRectF(edge))
            if self.hasFocus() and (cursor := self.selection.cursor) and cursor.number == row.number:
                row.laid.layout.drawCursor(painter, where, min(cursor.at, utf16_length(row.laid.words)), 2)

    def _paint_nothing(self, painter: QPainter) -> None:
        if self._log is None:
            return
        if self._log.is_opening:
            words = _("Loading…")
        else:
            words = _("No matching lines.") if self.shown.search is not None else _("No log output yet.")
        painter.setPen(QColor(theme.current().muted))
        painter.drawText(
            self.viewport().rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN), Qt.AlignmentFlag.AlignTop, words
        )

    def _paint_columns(self, painter: QPainter, row: VisibleRow) -> None:
        current, line = theme.current(), row.laid.line
        height = self.layouts.row_height
        if row.number == self.current_match:
            painter.fillRect(0, row.top, self.viewport().width(), row.laid.rows * height, QColor(current.hover))
        if line.level >= Level.WARNING:
            painter.fillRect(0, row.top, _STRIPE, row.laid.rows * height, QColor(level_colour(line.level)))
        left = float(_MARGIN + _STRIPE)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextSingleLine
        if self._shows_time:
            width = self.layouts.char_width * _TIME_CHARS
            painter.setPen(QColor(current.muted))
            painter.drawText(QRectF(left, row.top, width + 2, height), flags, row.laid.time)
            left += width + self.layouts.char_width * _GAP_CHARS
        if self._log is not None and self.shows_names and line.source < len(self._log.names):
            width = self._name_width - self.layouts.char_width * _GAP_CHARS
            painter.setPen(QColor(current.terminal[self._colours[line.source]]))
            words = painter.fontMetrics().elidedText(
                self._log.names[line.source], Qt.TextElideMode.ElideMiddle, round(width) + 1
            )
            painter.drawText(QRectF(left, row.top, width + 2, height), flags, words)

    def _marks(self, row: VisibleRow) -> list[QTextLayout.FormatRange]:
        current = theme.current()
        marks = []
        length = utf16_length(row.laid.words)
        if (part := self.selection.part(row.number, length)) is not None:
            style = QTextCharFormat()
            style.setBackground(QBrush(QColor(current.selected)))
            style.setForeground(QBrush(QColor(current.text)))
            # One more than the line's length: its end is selected too.
            more = 1 if self.selection.ends is not None and row.number < self.selection.ends[1].number else 0
            marks.append(format_range(part[0], part[1] - part[0] + more, style))
        if self._pattern is not None and len(row.laid.words) < _MAX_SPAN:
            here = row.number == self.current_match
            style = QTextCharFormat()
            style.setBackground(QBrush(QColor(current.accent if here else current.warning)))
            style.setForeground(QBrush(QColor(current.on_accent if here else current.log_ground)))
            marks += [format_range(start, size, style) for start, size in self._pattern.spans(row.laid.words)]
        return marks

    # -- events --------------------------------------------------------------------------------------------------
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()
        self.refresh()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if not hasattr(self, "_font"):
            return
        if event.type() is QEvent.Type.FontChange:
            self._set_font()
            self.refresh()
        elif event.type() is QEvent.Type.PaletteChange:
            self.layouts.recolour()
            self.viewport().update()


def _x_of(row: QTextLine, at: int) -> float:
    result: Any = row.cursorToX(at)  # typed as object: a pair or, in older versions, a number
    return float(result[0] if isinstance(result, tuple) else result)
