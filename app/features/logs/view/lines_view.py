"""Log lines with mouse and keyboard: selecting, scrolling, copying."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.features.logs.view.canvas import LinesCanvas, VisibleRow
from app.features.logs.view.layouts import utf16_length
from app.features.logs.view.selection import LogPosition

_WHEEL_ROWS: Final = 3
_AUTOSCROLL_MS: Final = 40
_IN_WORDS: Final = "_-./:@"
_MOVES: Final = (
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
)


class LinesView(LinesCanvas):
    """An interactive `LinesCanvas`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._clicks = 0
        self._clicked_at = QPoint()
        self._wheel = 0
        self._autoscroll = QTimer(self, interval=_AUTOSCROLL_MS)
        self._autoscroll.timeout.connect(self._drag_on)
        self._click_timer = QTimer(self, singleShot=True, interval=QApplication.doubleClickInterval())

    # -- the mouse -----------------------------------------------------------------------------------------------
    def place_at(self, point: QPoint) -> LogPosition | None:
        """The position between characters nearest to a point of the viewport; None without lines."""
        rows = self.visible_rows()
        if not rows:
            return None
        if point.y() < 0:
            return (
                LogPosition(rows[0].number, 0)
                if self.scroller.row == 0
                else self._place_in(rows[0], QPoint(point.x(), 0))
            )
        for row in rows:
            if point.y() < row.top + row.laid.rows * self.layouts.row_height:
                return self._place_in(row, point)
        last = rows[-1]
        return LogPosition(last.number, utf16_length(last.laid.words))

    def _place_in(self, row: VisibleRow, point: QPoint) -> LogPosition:
        which = max(0, min(row.laid.rows - 1, (point.y() - row.top) // self.layouts.row_height))
        line = row.laid.layout.lineAt(which)
        x = point.x() - self.text_left + self.horizontalScrollBar().value()
        return LogPosition(row.number, line.xToCursor(x) if line.isValid() else 0)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        near = (event.position().toPoint() - self._clicked_at).manhattanLength() < QApplication.startDragDistance()
        # The second click arrives as a double click; a third one soon after selects the line.
        self._press(event, 3 if self._clicks == 2 and near and self._click_timer.isActive() else 1)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._press(event, 2)

    def _press(self, event: QMouseEvent, clicks: int) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        point = event.position().toPoint()
        self._clicks = clicks
        self._clicked_at = point
        self._click_timer.start()
        place = self.place_at(point)
        if place is None:
            return
        if self._clicks >= 3:
            self._select_line(place)
        elif self._clicks == 2:
            self._select_word(place)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.selection.extend(place)
        else:
            self.selection.set(place, place)
        self._selected()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not event.buttons() & Qt.MouseButton.LeftButton or self.selection.anchor is None or self._clicks > 1:
            return
        point = event.position().toPoint()
        if place := self.place_at(point):
            self.selection.extend(place)
            self._selected()
        if self.viewport().rect().contains(point):
            self._autoscroll.stop()
        elif not self._autoscroll.isActive():
            self._autoscroll.start()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        self._autoscroll.stop()

    def _drag_on(self) -> None:
        point = self.viewport().mapFromGlobal(self.cursor().pos())
        height, row = self.viewport().height(), self.layouts.row_height
        rows = point.y() // row if point.y() < 0 else max(0, point.y() - height) // row + 1 if point.y() > height else 0
        self.scroll_rows(max(-20, min(20, rows)))
        if place := self.place_at(point):
            self.selection.extend(place)
            self._selected()

    def _select_line(self, place: LogPosition) -> None:
        self.selection.set(
            LogPosition(place.number, 0), LogPosition(place.number, utf16_length(self.layouts.laid(place.number).words))
        )

    def _select_word(self, place: LogPosition) -> None:
        words = self.layouts.laid(place.number).words
        data = words.encode("utf-16-le", "surrogatepass")
        units = [data[at : at + 2].decode("utf-16-le", "replace") for at in range(0, len(data), 2)]
        start = stop = min(place.at, len(units))
        while start > 0 and (units[start - 1].isalnum() or units[start - 1] in _IN_WORDS):
            start -= 1
        while stop < len(units) and (units[stop].isalnum() or units[stop] in _IN_WORDS):
            stop += 1
        self.selection.set(
            LogPosition(place.number, start), LogPosition(place.number, max(stop, min(start + 1, len(units))))
        )

    def _selected(self) -> None:
        self.selection_changed.emit()
        self.viewport().update()

    def select_all(self) -> None:
        """Select every line that is shown."""
        if self.shown.count:
            last = self.shown.number(self.shown.count - 1)
            self.selection.set(
                LogPosition(self.shown.number(0), 0), LogPosition(last, utf16_length(self.layouts.laid(last).words))
            )
            self._selected()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta()
        if (turned.x() and abs(turned.x()) > abs(turned.y())) or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - (turned.x() or turned.y()) // 2)
            return
        self._wheel += turned.y() * _WHEEL_ROWS
        rows, self._wheel = int(self._wheel / 120), self._wheel - int(self._wheel / 120) * 120
        if rows:
            self.scroll_rows(-rows)

    # -- keys ----------------------------------------------------------------------------------------------------
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
            return
        key, modifiers = event.key(), event.modifiers()
        if modifiers & Qt.KeyboardModifier.ShiftModifier and key in _MOVES:
            self._move_cursor(key)
            return
        page = max(1, self.scroller.page - 1)
        rows = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -page, Qt.Key.Key_PageDown: page}
        sideways = self.horizontalScrollBar()
        if key in rows:
            self.scroll_rows(rows[Qt.Key(key)])
        elif key == Qt.Key.Key_Space:
            self.scroll_rows(page)
        elif key == Qt.Key.Key_Home:
            self.scroller.go_to_position(0)
            sideways.setValue(0)
            self.refresh()
        elif key == Qt.Key.Key_End:
            self.jump_to_end()
        elif key == Qt.Key.Key_Left:
            sideways.setValue(sideways.value() - sideways.singleStep())
        elif key == Qt.Key.Key_Right:
            sideways.setValue(sideways.value() + sideways.singleStep())
        elif key == Qt.Key.Key_Escape and not self.selection.is_empty:
            self.selection.clear()
            self._selected()
        else:
            event.ignore()

    def _move_cursor(self, key: int) -> None:
        """Extend the selection with a key, from the cursor or from the first visible line."""
        shown = self.shown
        if not shown.count:
            return
        cursor = self.selection.cursor or LogPosition(self.scroller.number, 0)
        if self.selection.anchor is None:
            self.selection.set(cursor, cursor)
        at = min(shown.position(cursor.number), shown.count - 1)
        number = shown.number(at)
        column = cursor.at if number == cursor.number else 0
        length = utf16_length(self.layouts.laid(number).words)
        page = max(1, self.scroller.page - 1)
        if key == Qt.Key.Key_Left:
            column -= 1
            if column < 0 < at:
                at, column = at - 1, 1 << 30
        elif key == Qt.Key.Key_Right:
            column += 1
            if column > length and at + 1 < shown.count:
                at, column = at + 1, 0
        elif key == Qt.Key.Key_Home:
            at, column = (0, 0) if column == 0 else (at, 0)
        elif key == Qt.Key.Key_End:
            at, column = (shown.count - 1 if column >= length else at), 1 << 30
        else:
            by = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -page, Qt.Key.Key_PageDown: page}
            at = max(0, min(shown.count - 1, at + by[Qt.Key(key)]))
        number = shown.number(at)
        laid = self.layouts.laid(number)
        column = max(0, min(column, utf16_length(laid.words)))
        self.selection.extend(LogPosition(number, column))
        self.scroller.show(number, max(0, laid.layout.lineForTextPosition(column).lineNumber()))
        self.show_column(laid, column)
        self.refresh()
        self._selected()
