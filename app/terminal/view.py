"""The terminal widget: scrollback, selection, clipboard, keyboard and mouse input, accessibility.

Only changed rows are redrawn. Tab is sent to the program, so Ctrl+Tab and Ctrl+Shift+Tab leave the widget.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QGuiApplication,
    QInputMethodEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QMenu, QWidget

from app.terminal.keys import control_modifier, encode_key, encode_paste
from app.terminal.line import StyledRun, runs_of
from app.terminal.mouse import MouseReports
from app.terminal.picture import cells_of, draw_row, draw_run, measure
from app.terminal.screen import APPLICATION_CURSOR, BRACKETED_PASTE, REVERSED
from app.terminal.selection import CellPosition, TerminalSelection, text_of, word_at
from app.terminal.session import TerminalSession, TerminalState
from app.texts import _
from app.ui import theme

MAX_PASTE_CHARS: Final = 2_000_000
_PADDING: Final = 6
_DEFAULT_POINTS: Final = 10.5
"""Font size at a zoom of 100 per cent."""
_POINTS: Final = (6.0, 32.0)
_DESCRIBE_MS: Final = 300
"""Screen readers are notified of the line after the screen was unchanged for this time."""


class TerminalView(QAbstractScrollArea):
    """Shows one session at a time, or none."""

    refused_paste = Signal(int)  # its length in characters

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session: TerminalSession | None = None
        self._points = _usual_points()
        self._cell = measure(self._points)
        self._selection: TerminalSelection | None = None
        self._was_at_end = True
        self._cursor_rect = QRect()
        self._pushed = 0
        self._mouse = MouseReports()
        self.setObjectName("terminal")
        self.setAccessibleName(_("Terminal"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("keepsTab", True)
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.viewport().setMouseTracking(True)
        self.verticalScrollBar().valueChanged.connect(lambda _value: self.viewport().update())
        self._describe = QTimer(self, singleShot=True, interval=_DESCRIBE_MS)
        self._describe.timeout.connect(self._announce_line)

    # -- session and selection ------------------------------------------------------------------------------------
    @property
    def session(self) -> TerminalSession | None:
        """The session shown."""
        return self._session

    def show_session(self, session: TerminalSession | None) -> None:
        """Show another session in its current state."""
        if session is self._session:
            return
        if self._session is not None:
            self._session.drawn.disconnect(self._on_drawn)
        self._session = session
        self._selection = None
        if session is not None:
            session.drawn.connect(self._on_drawn)
            self._fit()
            session.screen.dirty.update(range(session.screen.lines))
        self._scroll_range(to_end=True)
        self.viewport().update()

    def zoom(self, steps: int) -> None:
        """Increase or decrease the font size; 0 resets it."""
        points = self._points + steps if steps else _usual_points()
        self._points = min(max(points, _POINTS[0]), _POINTS[1])
        self._cell = measure(self._points)
        self._fit()
        self.viewport().update()

    def selected_text(self) -> str:
        """The selected text; empty without a selection."""
        if self._session is None or self._selection is None:
            return ""
        return text_of(self._session.screen, self._selection)

    def copy(self) -> None:
        """Copy the selection to the clipboard."""
        if words := self.selected_text():
            QGuiApplication.clipboard().setText(words)

    def paste(self) -> None:
        """Paste the clipboard into the program."""
        self._paste_text(QGuiApplication.clipboard().text())

    def select_all(self) -> None:
        """Select the whole text, scrollback included."""
        if self._session is not None:
            screen = self._session.screen
            first = screen.pushed - len(screen.history)
            self._select(
                TerminalSelection(
                    CellPosition(first, 0), CellPosition(screen.pushed + screen.lines - 1, screen.columns)
                )
            )

    def cells(self) -> tuple[int, int]:
        """Number of columns and lines that fit."""
        room = self.viewport().size()
        columns = max(2, (room.width() - 2 * _PADDING) // self._cell.width)
        return columns, max(1, (room.height() - 2 * _PADDING) // self._cell.height)

    def sizeHint(self) -> QSize:
        return QSize(self._cell.width * 80 + 2 * _PADDING, self._cell.height * 24 + 2 * _PADDING)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._cell.width * 20, self._cell.height * 4)

    # -- drawing --------------------------------------------------------------------------------------------------
    def _on_drawn(self) -> None:
        session = self._session
        assert session is not None
        screen = session.screen
        if screen.pushed != self._pushed:
            self._scroll_range(to_end=self._was_at_end)
            self.viewport().update()
        else:
            shift = self.verticalScrollBar().maximum() - self.verticalScrollBar().value()
            for row in screen.dirty:
                self.viewport().update(self._row_rect(row + shift))
        screen.dirty.clear()
        self._update_cursor()
        self._describe.start()

    def _update_cursor(self) -> None:
        rect = self._place_of_cursor()
        if rect != self._cursor_rect:
            self.viewport().update(self._cursor_rect)
            self._cursor_rect = rect
            self.updateMicroFocus()
        self.viewport().update(rect)

    def _scroll_range(self, *, to_end: bool) -> None:
        bar = self.verticalScrollBar()
        screen = self._session.screen if self._session is not None else None
        length = len(screen.history) if screen is not None and not screen.is_alternate else 0
        before_end = bar.maximum() - bar.value()
        grown = screen.pushed - self._pushed if screen is not None else 0
        self._pushed = screen.pushed if screen is not None else 0
        bar.setPageStep(screen.lines if screen is not None else 1)
        bar.setRange(0, length)
        # While scrolled back, keep the visible lines in place when more are added.
        bar.setValue(length if to_end else max(0, length - before_end - grown))

    @property
    def _first_line(self) -> int:
        """Number of the topmost visible line in the whole text."""
        assert self._session is not None
        screen = self._session.screen
        bar = self.verticalScrollBar()
        return screen.pushed - (bar.maximum() - bar.value())

    def _row_rect(self, row: int) -> QRect:
        return QRect(0, _PADDING + row * self._cell.height, self.viewport().width(), self._cell.height)

    def _place_of_cursor(self) -> QRect:
        if self._session is None:
            return QRect()
        screen = self._session.screen
        row = screen.pushed + screen.cursor.y - self._first_line
        x = _PADDING + screen.cursor_column * self._cell.width
        return QRect(x, _PADDING + row * self._cell.height, self._cell.width, self._cell.height)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        colours = theme.current()
        session = self._session
        reverse = session is not None and REVERSED in session.screen.mode
        painter.fillRect(event.rect(), QColor(colours.text if reverse else colours.log_ground))
        if session is None:
            return
        screen = session.screen
        height = self._cell.height
        first = max(0, (event.rect().top() - _PADDING) // height)
        last = min(screen.lines - 1, (event.rect().bottom() - _PADDING) // height)
        for row in range(first, last + 1):
            line = self._first_line + row
            top = _PADDING + row * height
            runs = self._line(line)
            draw_row(painter, self._cell, colours, runs, left=_PADDING, top=top, reversed_screen=reverse)
            self._draw_selection(painter, line, runs, top)
        self._draw_cursor(painter)

    def _line(self, number: int) -> tuple[StyledRun, ...]:
        assert self._session is not None
        screen = self._session.screen
        if number >= screen.pushed:
            return runs_of(screen.buffer.get(number - screen.pushed), screen.columns)
        at = number - (screen.pushed - len(screen.history))
        return screen.history[at].runs if 0 <= at < len(screen.history) else ()

    def _draw_selection(self, painter: QPainter, line: int, runs: tuple[StyledRun, ...], top: int) -> None:
        assert self._session is not None
        chosen = self._selection.columns(line, self._session.screen.columns) if self._selection is not None else None
        if chosen is None:
            return
        first, stop = chosen
        rect = QRect(_PADDING + first * self._cell.width, top, (stop - first) * self._cell.width, self._cell.height)
        painter.save()
        painter.setClipRect(rect)
        colours = theme.current()
        painter.fillRect(rect, QColor(colours.selected))
        column = 0
        for run in runs:
            width = cells_of(run)
            plain = StyledRun(run.text, run.style._replace(fg="default", bg="default", reverse=False))
            x = _PADDING + column * self._cell.width
            draw_run(painter, self._cell, colours, plain, x=x, top=top, width=width, reversed_screen=False)
            column += width
        painter.restore()

    def _draw_cursor(self, painter: QPainter) -> None:
        assert self._session is not None
        screen = self._session.screen
        rect = self._place_of_cursor()
        running = self._session.state is TerminalState.RUNNING
        if screen.cursor.hidden or not running or not self.viewport().rect().intersects(rect):
            return
        colours = theme.current()
        if not self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent)))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
            return
        under = screen.buffer[screen.cursor.y][screen.cursor_column] if screen.cursor.y in screen.buffer else None
        painter.fillRect(rect, QColor(colours.accent))
        if under is not None and under.data.strip():
            painter.setFont(self._cell.fonts[under.bold + 2 * under.italics])
            painter.setPen(QColor(colours.on_accent))
            painter.drawText(rect.x(), round(rect.y() + self._cell.ascent), under.data)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Resize the terminal to the widget."""
        if self._session is None or not self.isVisible():
            return
        self._session.resize(*self.cells())
        self._scroll_range(to_end=True)
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self.viewport().update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update(self._cursor_rect)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update(self._cursor_rect)

    # -- keyboard -------------------------------------------------------------------------------------------------
    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent):
            if event.type() is QEvent.Type.ShortcutOverride and self._is_for_program(event):
                event.accept()
                return True
            if event.type() is QEvent.Type.KeyPress and event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
                if event.modifiers() & control_modifier():
                    self.focusNextPrevChild(event.key() == Qt.Key.Key_Tab)
                else:
                    self.keyPressEvent(event)
                event.accept()
                return True
        return super().event(event)

    def _is_for_program(self, event: QKeyEvent) -> bool:
        """Whether a key that may be a shortcut of the window belongs to the program instead."""
        modifiers = event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if control and modifiers & Qt.KeyboardModifier.ShiftModifier:
            return event.key() in (Qt.Key.Key_C, Qt.Key.Key_V, Qt.Key.Key_A)
        if control and (event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab) or _is_zoom(event)):
            return _is_zoom(event)
        if control_modifier() is not Qt.KeyboardModifier.ControlModifier and control:
            return event.key() in (Qt.Key.Key_C, Qt.Key.Key_V)  # the command key: only the shortcuts handled here
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        session = self._session
        if session is None or self._own_key(event):
            return
        data = encode_key(event, application_cursor=APPLICATION_CURSOR in session.screen.mode)
        if data:
            self._select(None)
            self._to_end()
            session.send(data)

    def _own_key(self, event: QKeyEvent) -> bool:
        """Handle the terminal's own shortcuts. Returns whether the key was one."""
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        command = control and (shift or control_modifier() is not Qt.KeyboardModifier.ControlModifier)
        key = event.key()
        if command and key in (Qt.Key.Key_C, Qt.Key.Key_V, Qt.Key.Key_A):
            {Qt.Key.Key_C: self.copy, Qt.Key.Key_V: self.paste, Qt.Key.Key_A: self.select_all}[Qt.Key(key)]()
        elif shift and not control and key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + (bar.pageStep() if key == Qt.Key.Key_PageDown else -bar.pageStep()))
            self._was_at_end = bar.value() == bar.maximum()
        elif shift and key == Qt.Key.Key_Insert:
            self.paste()
        elif control and not shift and _is_zoom(event):
            self.zoom(0 if key == Qt.Key.Key_0 else -1 if key == Qt.Key.Key_Minus else 1)
        else:
            return False
        return True

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        if self._session is not None and event.commitString():
            self._session.send(event.commitString().encode("utf-8", "replace"))
        event.accept()

    def inputMethodQuery(self, query: Qt.InputMethodQuery) -> object:
        if query is Qt.InputMethodQuery.ImCursorRectangle:
            return self._place_of_cursor()
        return super().inputMethodQuery(query)

    def _to_end(self) -> None:
        self._was_at_end = True
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    def _paste_text(self, words: str) -> None:
        if self._session is None or not words:
            return
        if len(words) > MAX_PASTE_CHARS:
            self.refused_paste.emit(len(words))
            return
        self._to_end()
        self._session.send(encode_paste(words, bracketed=BRACKETED_PASTE in self._session.screen.mode))

    # -- mouse ----------------------------------------------------------------------------------------------------
    def _place_at(self, point: QPoint) -> CellPosition:
        """The nearest position between letters."""
        assert self._session is not None
        column = round((point.x() - _PADDING) / self._cell.width)
        row = (point.y() - _PADDING) // self._cell.height
        row = min(max(row, 0), self._session.screen.lines - 1)
        return CellPosition(self._first_line + row, min(max(column, 0), self._session.screen.columns))

    def _cell_at(self, point: QPoint) -> tuple[int, int]:
        assert self._session is not None
        screen = self._session.screen
        column = min(max((point.x() - _PADDING) // self._cell.width, 0), screen.columns - 1)
        return column, min(max((point.y() - _PADDING) // self._cell.height, 0), screen.lines - 1)

    def _report(self, event: QMouseEvent, kind: str) -> bool:
        """Report a mouse event to the program, if it requested reports. Returns whether it was sent."""
        if self._session is None or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            return False
        data = self._mouse.encode(self._session.screen.mode, kind, event, self._cell_at(event.position().toPoint()))
        if data is None:
            return False
        self._session.send(data)
        return True

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._session is None or self._report(event, "press"):
            return
        if event.button() is Qt.MouseButton.LeftButton:
            place = self._place_at(event.position().toPoint())
            extend = event.modifiers() & Qt.KeyboardModifier.ShiftModifier and self._selection is not None
            self._select(self._selection.to(place) if extend and self._selection else TerminalSelection(place, place))
        elif event.button() is Qt.MouseButton.MiddleButton:
            board = QGuiApplication.clipboard()
            self._paste_text(board.text(board.Mode.Selection) if board.supportsSelection() else board.text())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._session is None or self._report(event, "move"):
            return
        if event.buttons() & Qt.MouseButton.LeftButton and self._selection is not None:
            self._select(self._selection.to(self._place_at(event.position().toPoint())))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._session is None or self._report(event, "release"):
            return
        if event.button() is Qt.MouseButton.LeftButton:
            board = QGuiApplication.clipboard()
            if board.supportsSelection() and (words := self.selected_text()):
                board.setText(words, board.Mode.Selection)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._session is None or self._report(event, "press"):
            return
        column, row = self._cell_at(event.position().toPoint())
        self._select(word_at(self._session.screen, CellPosition(self._first_line + row, column)))

    def wheelEvent(self, event: QWheelEvent) -> None:
        steps = round(event.angleDelta().y() / 40)
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1 if steps > 0 else -1 if steps < 0 else 0) if steps else None
        elif self._session is not None and self._session.screen.is_alternate:
            mode = self._session.screen.mode
            data = self._mouse.wheel(mode, steps, self._cell_at(event.position().toPoint()))
            self._session.send(data)
        else:
            super().wheelEvent(event)
            self._was_at_end = self.verticalScrollBar().value() == self.verticalScrollBar().maximum()
        event.accept()

    def _select(self, selection: TerminalSelection | None) -> None:
        if selection != self._selection:
            self._selection = selection
            self.viewport().update()

    def contextMenuEvent(self, event: object) -> None:
        menu = QMenu(self)
        has_session = self._session is not None
        copy = menu.addAction(_("Copy"), self.copy)
        copy.setEnabled(bool(self.selected_text()))
        menu.addAction(_("Paste"), self.paste).setEnabled(has_session)
        menu.addAction(_("Select all"), self.select_all).setEnabled(has_session)
        menu.addSeparator()
        if self._session is not None:
            menu.addAction(_("Clear scrollback"), self._session.clear_history)
        menu.exec(event.globalPos())  # type: ignore[attr-defined] # typed as object: PySide's base is wider
        menu.deleteLater()

    # -- accessibility --------------------------------------------------------------------------------------------
    def _announce_line(self) -> None:
        if self._session is not None:
            screen = self._session.screen
            self.setAccessibleDescription(screen.row_text(screen.cursor.y)[:500])


def _usual_points() -> float:
    return _DEFAULT_POINTS * theme.zoom() / 100


def _is_zoom(event: QKeyEvent) -> bool:
    return event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus, Qt.Key.Key_0) and bool(
        event.modifiers() & Qt.KeyboardModifier.ControlModifier
    )
