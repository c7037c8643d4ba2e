"""The grid of cells, based on pyte's `Screen`, with scrollback, alternate screen and further modes.

It replaces what pyte lacks or does unsafely: the alternate screen, line-drawing characters in UTF-8, erasing with the
current background, unbounded saved cursors, and drawing a run of letters at once, which is faster.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pyte
from pyte import charsets, modes
from pyte.screens import Char, Cursor, Margins, wcwidth

from app.terminal.line import HistoryLine, Line, StyledRun, is_wrapped, runs_of, set_wrapped
from app.terminal.style import style_changes

SCROLLBACK_LINES: Final = 5000
MIN_COLUMNS: Final = 2
MIN_LINES: Final = 1
MAX_SIDE: Final = 1000
_MAX_COMBINED: Final = 8
"""Limit of letters in a cell: unlimited combining marks would be drawn over the whole window."""

APPLICATION_CURSOR: Final = 1 << 5
CURSOR_SHOWN: Final = 25 << 5
REVERSED: Final = 5 << 5
BRACKETED_PASTE: Final = 2004 << 5
MOUSE_CLICKS: Final = 1000 << 5
MOUSE_DRAGS: Final = 1002 << 5
MOUSE_MOVES: Final = 1003 << 5
MOUSE_SGR: Final = 1006 << 5
_KEPT_PRIVATE: Final = frozenset((1, 5, 6, 7, 25, 1000, 1002, 1003, 1006, 2004))
_ALTERNATE: Final = frozenset((47, 1047, 1049))


class _Cells(dict[str, Char]):
    """Cache of the cells of one style."""

    def __init__(self, style: Char) -> None:
        super().__init__()
        self._style = style

    def __missing__(self, letter: str) -> Char:
        cell = self[letter] = self._style._replace(data=letter)
        return cell


class _Page(NamedTuple):
    """The main screen while the alternate one is shown."""

    buffer: dict[int, Line]
    cursor: Cursor
    margins: Margins | None


class Screen(pyte.Screen):
    """State of a terminal. `dirty` contains the rows to redraw; the drawing code clears it."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None] = lambda _text: None) -> None:
        """The screen is empty at first.

        Args:
            columns: width in cells.
            lines: height in cells.
            answer: called with the terminal's replies to the program, such as the cursor's position.
        """
        self.history: deque[HistoryLine] = deque(maxlen=SCROLLBACK_LINES)
        self.pushed = 0
        """Number of lines that have ever left the screen: the top row's number in the whole text."""
        self.keypad_application = False
        self._answer = answer
        self._main: _Page | None = None
        self._styles: dict[Char, _Cells] = {}
        self._last = ""
        super().__init__(columns, lines)

    # -- queries of the view --------------------------------------------------------------------------------------
    @property
    def is_alternate(self) -> bool:
        """Whether a full-screen program uses the alternate screen."""
        return self._main is not None

    @property
    def cursor_column(self) -> int:
        """Column of the visible cursor: the last column while a line is full."""
        return int(min(self.cursor.x, self.columns - 1))

    def row_text(self, row: int) -> str:
        """Text of a row without trailing blanks."""
        line = self.buffer.get(row)
        if not line:
            return ""
        last = min(max(line) + 1, self.columns)
        return "".join(line[x].data for x in range(last)).rstrip()

    def is_wrapped(self, row: int) -> bool:
        """Whether the next row continues this one."""
        return is_wrapped(self.buffer.get(row))

    # -- size -----------------------------------------------------------------------------------------------------
    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the size. Rows move to the scrollback only if the cursor would not fit otherwise."""
        lines = min(max(lines or self.lines, MIN_LINES), MAX_SIDE)
        columns = min(max(columns or self.columns, MIN_COLUMNS), MAX_SIDE)
        surplus = self.cursor.y - lines + 1
        for _ in range(max(0, surplus)):
            self._leave_at_top()
            self._scroll(0, self.lines - 1, 1)
            self.cursor.y -= 1
        for y in range(lines, self.lines):
            self.buffer.pop(y, None)
        self.tabstops.update(range(-(-self.columns // 8) * 8, columns, 8))
        self.lines, self.columns = lines, columns
        self.margins = None
        self.ensure_hbounds()
        self.ensure_vbounds()
        self.dirty.update(range(lines))

    # -- text -----------------------------------------------------------------------------------------------------
    def draw(self, data: str) -> None:
        """Write text at the cursor."""
        mapping = self.g1_charset if self.charset else self.g0_charset
        if mapping is not charsets.LAT1_MAP:
            data = data.translate(mapping)
        self._last = data[-1]
        if data.isascii() and modes.IRM not in self.mode:
            self._draw_narrow(data)
        else:
            for letter in data:
                self._draw_one(letter)

    def _draw_narrow(self, data: str) -> None:
        cells = self._cells()
        cursor, columns = self.cursor, self.columns
        at, end = 0, len(data)
        while at < end:
            x = self._room_for(1)
            part = data[at : at + columns - x]
            line = self.buffer[cursor.y]
            for letter in part:
                line[x] = cells[letter]
                x += 1
            self.dirty.add(cursor.y)
            cursor.x = x
            at += len(part)

    def _draw_one(self, letter: str) -> None:
        width = wcwidth(letter)
        if width <= 0:
            if unicodedata.combining(letter) or letter in "\u200d\ufe0f":
                self._combine(letter)
            return
        x = self._room_for(width)
        if modes.IRM in self.mode:
            self.insert_characters(width)
        line = self.buffer[self.cursor.y]
        cells = self._cells()
        line[x] = cells[letter]
        if width == 2:
            line[x + 1] = cells[""]
        self.cursor.x = x + width
        self.dirty.add(self.cursor.y)

    def _room_for(self, width: int) -> int:
        """Wrap to the next line if the letter does not fit. Returns its column."""
        cursor = self.cursor
        if cursor.x + width > self.columns:
            if modes.DECAWM in self.mode:
                set_wrapped(self.buffer[cursor.y], wrapped=True)
                self.dirty.add(cursor.y)
                cursor.x = 0
                self.index()
            else:
                cursor.x = self.columns - width
        return int(cursor.x)

    def _combine(self, mark: str) -> None:
        line = self.buffer[self.cursor.y]
        x = self.cursor.x - 1
        if x > 0 and line[x].data == "":
            x -= 1
        if x >= 0 and len(line[x].data) < _MAX_COMBINED:
            line[x] = line[x]._replace(data=unicodedata.normalize("NFC", line[x].data + mark))
            self.dirty.add(self.cursor.y)

    def draw_lines(self, lines: list[str]) -> bool:
        """Write complete lines of printable ASCII at once; lines that scroll out of view are not split into cells.

        Returns:
            False, and nothing is done, if the result would differ from writing them one by one.
        """
        shown = self.lines - 1
        simple = self.margins is None and not self.is_alternate and self.cursor.attrs.bg == "default"
        if not (
            simple
            and (self.cursor.x, self.cursor.y) == (0, shown)
            and len(lines) > shown
            and not self.buffer.get(shown)
        ):
            return False
        if self.charset or self.g0_charset is not charsets.LAT1_MAP or max(map(len, lines)) > self.columns:
            return False
        for y in range(shown):
            self._leave_at_top(y)
        style = self.cursor.attrs
        leaving = lines[: len(lines) - shown]
        for words in leaving[-SCROLLBACK_LINES:]:
            self.history.append(HistoryLine((StyledRun(words, style),) if words else (), wrapped=False))
        self.pushed += len(leaving)
        self.buffer.clear()
        cells = self._cells()
        for y, words in enumerate(lines[len(leaving) :]):
            line = self.buffer[y]
            for x, letter in enumerate(words):
                line[x] = cells[letter]
        self.dirty.update(range(self.lines))
        return True

    def repeat(self, count: int) -> None:
        """Repeat the last letter."""
        if self._last:
            self.draw(self._last * min(count, self.columns * self.lines))

    def _cells(self) -> _Cells:
        attributes = self.cursor.attrs
        cells = self._styles.get(attributes)
        if cells is None or len(cells) > 4096:
            if len(self._styles) > 512:  # a program may never use a colour twice
                self._styles.clear()
            cells = self._styles[attributes] = _Cells(attributes)
        return cells

    def choose_charset(self, code: str, which: str) -> None:
        """Select letters or line drawing, as used by curses without UTF-8."""
        chosen = charsets.VT100_MAP if code == "0" else charsets.LAT1_MAP
        if which == "(":
            self.g0_charset = chosen
        else:
            self.g1_charset = chosen

    # -- cursor movement ------------------------------------------------------------------------------------------
    def index(self) -> None:
        """Move down a row; scroll on the last one."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y != bottom:
            if self.cursor.y < self.lines - 1:
                self.cursor.y += 1
            return
        if top == 0:
            self._leave_at_top()
        self._scroll(top, bottom, 1)

    def reverse_index(self) -> None:
        """Move up a row; scroll on the first one."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == top:
            self._scroll(top, bottom, -1)
        elif self.cursor.y > 0:
            self.cursor.y -= 1

    def next_line(self) -> None:
        """Move to the start of the next line, independent of modes."""
        self.index()
        self.cursor.x = 0

    def scroll_up(self, count: int) -> None:
        """Move the rows of the region up."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        self._scroll(top, bottom, min(count, bottom - top + 1))

    def scroll_down(self, count: int) -> None:
        """Move the rows of the region down."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        self._scroll(top, bottom, -min(count, bottom - top + 1))

    def _scroll(self, top: int, bottom: int, count: int) -> None:
        buffer = self.buffer
        rows = [buffer.pop(y, None) for y in range(top, bottom + 1)]
        for y, line in enumerate(rows, top - count):
            if line is not None and top <= y <= bottom:
                buffer[y] = line
        if self.cursor.attrs.bg != "default":
            for y in range(bottom - count + 1, bottom + 1) if count > 0 else range(top, top - count):
                self._fill(y)
        self.dirty.update(range(top, bottom + 1))

    def _leave_at_top(self, row: int = 0) -> None:
        """Move the top row to the scrollback."""
        if self._main is not None:
            return
        line = self.buffer.get(row)
        self.history.append(HistoryLine(runs_of(line, self.columns), is_wrapped(line)))
        self.pushed += 1

    def tab_forward(self, count: int) -> None:
        """Move to a later tab stop."""
        for _ in range(min(count, self.columns)):
            self.tab()

    def tab_back(self, count: int) -> None:
        """Move to an earlier tab stop."""
        for _ in range(min(count, self.columns)):
            self.cursor.x = max((stop for stop in self.tabstops if stop < self.cursor.x), default=0)

    def cursor_to_line(self, line: int | None = None) -> None:
        """Move to a row, starting at 1; relative to the scroll region in origin mode."""
        top = self.margins.top if self.margins is not None and modes.DECOM in self.mode else 0
        self.cursor.y = (line or 1) - 1 + top
        self.ensure_vbounds()

    def choose_margins(self, top: int, bottom: int) -> None:
        """Set the scroll region, starting at 1; 0 for the screen's edges. Moves the cursor home."""
        first = max(top, 1) - 1
        last = min(bottom or self.lines, self.lines) - 1
        if last > first:
            self.margins = None if (first, last) == (0, self.lines - 1) else Margins(first, last)
            self.cursor_position()

    def save_cursor(self) -> None:
        """Save position and style of the cursor; only the last ones are kept."""
        self.savepoints.clear()
        super().save_cursor()

    def restore_cursor(self) -> None:
        """Restore the saved cursor; can be repeated."""
        super().restore_cursor()
        super().save_cursor()

    # -- erasing --------------------------------------------------------------------------------------------------
    def _blank(self) -> Char | None:
        """The cell for erased places, with only the current background; None when that is the default."""
        ground = self.cursor.attrs.bg
        return None if ground == "default" else Char(" ", bg=ground)

    def _fill(self, y: int, first: int = 0, stop: int | None = None) -> None:
        blank = self._blank()
        stop = self.columns if stop is None else min(stop, self.columns)
        if blank is None:
            line = self.buffer.get(y)
            if line is not None:
                if first == 0 and stop == self.columns:
                    del self.buffer[y]
                else:
                    for x in range(first, stop):
                        line.pop(x, None)
        else:
            line = self.buffer[y]
            for x in range(first, stop):
                line[x] = blank
        if stop == self.columns and y in self.buffer:
            set_wrapped(self.buffer[y], wrapped=False)
        self.dirty.add(y)

    def erase_characters(self, count: int | None = None) -> None:
        """Erase cells starting at the cursor."""
        self._fill(self.cursor.y, self.cursor.x, self.cursor.x + (count or 1))

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """Erase the line from the cursor (0), up to the cursor (1), or all of it (2)."""
        x = self.cursor_column
        del private  # part of pyte's signature
        if how in (0, 1, 2):
            first, stop = ((x, None), (0, x + 1), (0, None))[how]
            self._fill(self.cursor.y, first, stop)

    def erase_in_display(self, how: int = 0, *_args: Any, **_kwargs: Any) -> None:
        """Erase the screen from the cursor (0), up to the cursor (1), all of it (2), or the scrollback (3)."""
        if how == 3:
            self.history.clear()
            return
        y = self.cursor.y
        for row in ((range(y + 1, self.lines)), range(y), range(self.lines))[how]:
            self._fill(row)
        if how in (0, 1):
            self.erase_in_line(how)

    # -- modes ----------------------------------------------------------------------------------------------------
    def reset(self) -> None:
        """Reset everything except the scrollback."""
        self._main = None
        self._styles.clear()
        self.keypad_application = False
        self.savepoints.clear()
        super().reset()

    def soft_reset(self) -> None:
        """Reset modes and style; the text stays."""
        self.mode.clear()
        self.mode.update((modes.DECAWM, modes.DECTCEM))
        self.cursor.hidden = False
        self.cursor.attrs = self.default_char
        self.margins = None
        self.keypad_application = False
        self.savepoints.clear()

    @property
    def default_char(self) -> Char:
        """An empty cell. A reversed screen is handled when drawing."""
        return Char(" ")

    def set_keypad(self, *, application: bool) -> None:
        """Set whether the number keys send special sequences."""
        self.keypad_application = application

    def change_mode(self, number: int, *, on: bool) -> None:
        """Set an ANSI mode: insert, or new line."""
        if number in (modes.IRM, modes.LNM):
            (self.mode.add if on else self.mode.discard)(number)

    def change_private_mode(self, number: int, *, on: bool) -> None:
        """Set a private mode of DEC or xterm."""
        if number in _ALTERNATE:
            self._alternate(on=on, with_cursor=number == 1049)
        elif number == 1048:
            (self.save_cursor if on else self.restore_cursor)()
        elif number in _KEPT_PRIVATE:
            (self.mode.add if on else self.mode.discard)(number << 5)
            self.cursor.hidden = CURSOR_SHOWN not in self.mode
            if number == 6:
                self.cursor_position()
            if number == 5:
                self.dirty.update(range(self.lines))

    def _alternate(self, *, on: bool, with_cursor: bool) -> None:
        if on == self.is_alternate:
            return
        if on:
            self._main = _Page(dict(self.buffer), self.cursor, self.margins)
            self.buffer.clear()
            self.cursor = Cursor(self.cursor.x, self.cursor.y, self.cursor.attrs)
        else:
            assert self._main is not None
            saved, self._main = self._main, None
            self.buffer.clear()
            self.buffer.update({y: line for y, line in saved.buffer.items() if y < self.lines})
            if with_cursor:
                self.cursor = saved.cursor
        self.margins = None
        self.ensure_hbounds()
        self.ensure_vbounds()
        self.cursor.hidden = CURSOR_SHOWN not in self.mode
        self.dirty.update(range(self.lines))

    # -- style ----------------------------------------------------------------------------------------------------
    def select_style(self, words: str) -> None:
        """Set colours and attributes from the parameters of "CSI … m"."""
        self.cursor.attrs = self.cursor.attrs._replace(**style_changes(words, self.default_char))

    # -- replies --------------------------------------------------------------------------------------------------
    def write_process_input(self, data: str) -> None:
        """Send a reply to the program."""
        self._answer(data)

    def report_device_attributes(self, mode: int = 0, **_kwargs: Any) -> None:
        """Report the type of the terminal: one with colours."""
        if mode == 0:
            self._answer("\x1b[?62;22c")

    def report_secondary_attributes(self) -> None:
        """Report the version in xterm's form."""
        self._answer("\x1b[>1;10;0c")

    def report_device_status(self, mode: int = 0) -> None:
        """Report readiness (5), or the cursor's position (6)."""
        if mode == 5:
            self._answer("\x1b[0n")
        elif mode == 6:
            top = self.margins.top if self.margins is not None and modes.DECOM in self.mode else 0
            self._answer(f"\x1b[{self.cursor.y + 1 - top};{self.cursor_column + 1}R")
