"""The terminal screen, with recorded output of real programs and with hostile output."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.terminal.parser import SequenceParser
from app.terminal.screen import (
    APPLICATION_CURSOR,
    BRACKETED_PASTE,
    SCROLLBACK_LINES,
    Screen,
)
from app.terminal.selection import CellPosition, TerminalSelection, text_of, word_at
from tests.gui.scenes.samples import recorded


class Terminal:
    """A screen that is written to."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.answers: list[str] = []
        self.screen = Screen(columns, lines, self.answers.append)
        self._parser = SequenceParser(self.screen)

    def write(self, data: bytes | str) -> Terminal:
        self._parser.feed(data.encode() if isinstance(data, str) else data)
        return self

    @property
    def rows(self) -> list[str]:
        """All of them, without trailing blanks."""
        return [self.screen.row_text(row) for row in range(self.screen.lines)]

    @property
    def mode(self) -> str:
        return "alternate" if self.screen.is_alternate else "main"

    @property
    def cursor(self) -> tuple[int, int]:
        return self.screen.cursor.x, self.screen.cursor.y

    def style(self, column: int, row: int = 0) -> Any:
        return self.screen.buffer[row][column]


def steps(name: str) -> list[bytes]:
    """What a real program wrote after each of some keys."""
    return [base64.b64decode(part) for part in recorded("terminal")[name]]


def test_vi_has_a_screen_of_its_own_and_gives_the_old_one_back() -> None:
    terminal = Terminal()
    start, before, opened, appended, top, left, after = steps("vi")
    terminal.write(start).write(before)
    shown = terminal.rows
    assert "before" in shown
    terminal.write(opened)
    assert terminal.mode == "alternate"
    assert terminal.rows[0] == "line 1 of boats"
    assert terminal.rows[23].startswith("- boats.txt 1/60")
    terminal.write(appended)
    assert "added here" in terminal.rows
    assert terminal.rows[22] == "~"
    terminal.write(top)
    assert terminal.rows[0] == "line 1 of boats"
    terminal.write(left)
    assert terminal.mode == "main"
    assert [row for row in terminal.rows if row][: len([row for row in shown if row])] == [
        row if row != "box#" else "box# busybox vi boats.txt" for row in shown if row
    ]
    terminal.write(after)
    assert "after" in terminal.rows


def test_top_draws_over_itself() -> None:
    terminal = Terminal()
    for part in steps("top"):
        terminal.write(part)
    assert any("PID  PPID USER" in row for row in terminal.rows)
    assert terminal.rows[terminal.cursor[1]].startswith("box#")


def test_less_scrolls() -> None:
    terminal = Terminal()
    start, first, second, _left = steps("less")
    terminal.write(start).write(first)
    assert terminal.rows[0] == "line 1 of boats"
    terminal.write(second)
    assert terminal.rows[0] == "line 24 of boats"


@pytest.mark.parametrize("name", ["vi", "top", "less"])
def test_it_makes_no_difference_where_the_bytes_are_cut(name: str) -> None:
    whole, cut = Terminal(), Terminal()
    data = b"".join(steps(name))
    whole.write(data)
    for at in range(len(data)):
        cut.write(data[at : at + 1])
    assert cut.rows == whole.rows
    assert cut.cursor == whole.cursor


@pytest.mark.parametrize(
    ("sequence", "field", "value"),
    [
        ("\x1b[31m", "fg", "1"),
        ("\x1b[97m", "fg", "15"),
        ("\x1b[105m", "bg", "13"),
        ("\x1b[38;5;208m", "fg", "ff8700"),
        ("\x1b[48;5;3m", "bg", "3"),
        ("\x1b[38;2;1;2;300m", "fg", "0102ff"),
        ("\x1b[38:2::9:8:7m", "fg", "090807"),
        ("\x1b[48:5:255m", "bg", "eeeeee"),
        ("\x1b[1;3;4;7;9m", "reverse", True),
        ("\x1b[4:0m", "underscore", False),
        ("\x1b[1m\x1b[22m", "bold", False),
        ("\x1b[31m\x1b[m", "fg", "default"),
        ("\x1b[31m\x1b[39m", "fg", "default"),
        ("\x1b[>4;2m", "underscore", False),
        ("\x1b[38;5m", "fg", "default"),
        ("\x1b[38m", "fg", "default"),
    ],
)
def test_styles(sequence: str, field: str, value: object) -> None:
    assert getattr(Terminal().write(f"{sequence}x").style(0), field) == value


def test_erasing_leaves_the_present_ground_and_no_underline() -> None:
    terminal = Terminal(10, 3).write("\x1b[44;4m\x1b[2J")
    assert (terminal.style(5, 1).bg, terminal.style(5, 1).underscore) == ("4", False)


def test_wide_letters_take_two_cells_and_marks_none() -> None:
    terminal = Terminal(10, 3).write("漢e\u0301x")
    assert terminal.rows[0] == "漢éx"
    assert terminal.cursor == (4, 0)
    # Half of one that is written over is a blank, so that what follows stays in its column.
    terminal.write("\r a")
    assert [run.text for run in _runs(terminal)] == [" aéx"]
    assert Terminal(3, 2).write("ab漢").rows == ["ab", "漢"]


def test_marks_without_end_stay_in_bounds() -> None:
    terminal = Terminal().write("a" + "\u0301" * 100_000)
    assert len(terminal.style(0).data) <= 8


def _runs(terminal: Terminal) -> Any:
    from app.terminal.line import runs_of

    return runs_of(terminal.screen.buffer.get(0), terminal.screen.columns)


def test_line_drawing() -> None:
    assert Terminal().write("\x1b(0lqk\x1b(Bx").rows[0] == "┌─┐x"


def test_a_region_scrolls_alone_and_keeps_nothing() -> None:
    terminal = Terminal(10, 4).write("a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\r\nnew")
    assert terminal.rows == ["a", "c", "new", "d"]
    assert not terminal.screen.history
    terminal.write("\x1b[2;1H\x1bM")
    assert terminal.rows == ["a", "", "c", "d"]
    terminal.write("\x1b[r\x1b[S")
    assert terminal.rows == ["", "c", "d", ""]


def test_what_leaves_at_the_top_is_kept_to_a_bound() -> None:
    terminal = Terminal(10, 4)
    for number in range(SCROLLBACK_LINES + 100):
        terminal.write(f"\x1b[32m{number}\x1b[m\r\n")
    assert len(terminal.screen.history) == SCROLLBACK_LINES
    assert terminal.screen.history[-1].runs[0].text == str(SCROLLBACK_LINES + 100 - 4)
    terminal.write("\x1b[3J")
    assert not terminal.screen.history


def test_insert_and_delete() -> None:
    terminal = Terminal(10, 3).write("abcdef\x1b[1;3H\x1b[2@")
    assert terminal.rows[0] == "ab  cdef"
    assert terminal.write("\x1b[2P").rows[0] == "abcdef"
    assert terminal.write("\x1b[L").rows == ["", "abcdef", ""]
    assert terminal.write("\x1b[M").rows == ["abcdef", "", ""]
    assert terminal.write("\x1b[4h\x1b[1;1H>>\x1b[4l").rows[0] == ">>abcdef"
    assert terminal.write("\x1b[1;1H\x1b[3X").rows[0] == "   bcdef"
    assert terminal.write("\x1b[1;1Hz\x1b[4b").rows[0] == "zzzzzdef"


def test_saved_cursors_do_not_pile_up() -> None:
    terminal = Terminal().write("\x1b[5;5H" + "\x1b7" * 10_000 + "\x1b[9;9H\x1b8\x1b8")
    assert terminal.cursor == (4, 4)
    assert len(terminal.screen.savepoints) == 1


def test_it_answers_what_programs_ask() -> None:
    terminal = Terminal().write("\x1b[3;7H\x1b[6n\x1b[5n\x1b[c\x1b[>c")
    assert terminal.answers == ["\x1b[3;7R", "\x1b[0n", "\x1b[?62;22c", "\x1b[>1;10;0c"]


def test_titles_clipboards_and_device_strings_do_nothing() -> None:
    harm = (
        "\x1b]0;title\x07\x1b]52;c;aGFybQ==\x1b\\\x1bPq#0\x1b\\\x1b^private\x1b\\\x1b]8;;http://x\x1b\\link\x1b]8;;\x07"
    )
    terminal = Terminal().write(harm)
    assert terminal.rows[0] == "link"
    assert terminal.answers == []
    # One that never ends takes no memory, and the next sequence ends it.
    terminal.write("\x1b]0;" + "x" * 1_000_000).write("\x1b[1;1Hback")
    assert terminal.rows[0] == "back"
    assert len(terminal._parser._held) < 10


def test_modes() -> None:
    terminal = Terminal().write("\x1b[?1;2004h\x1b[?25l")
    assert {APPLICATION_CURSOR, BRACKETED_PASTE} <= terminal.screen.mode
    hidden = [terminal.screen.cursor.hidden]
    terminal.write("\x1b[!p")
    hidden.append(terminal.screen.cursor.hidden)
    assert hidden == [True, False]
    assert APPLICATION_CURSOR not in terminal.screen.mode


def test_a_smaller_screen_keeps_the_line_with_the_cursor() -> None:
    terminal = Terminal(20, 6).write("1\r\n2\r\n3\r\n4\r\n5")
    terminal.screen.resize(3, 20)
    assert terminal.rows == ["3", "4", "5"]
    assert [line.runs[0].text for line in terminal.screen.history] == ["1", "2"]
    terminal.screen.resize(6, 10)
    assert terminal.rows[:3] == ["3", "4", "5"]
    terminal = Terminal(20, 6).write("1\r\n2")
    terminal.screen.resize(3, 20)
    assert terminal.rows == ["1", "2", ""]


def test_a_resize_under_a_full_screen_program() -> None:
    terminal = Terminal(20, 6).write("old\r\n\x1b[?1049hfull\x1b[6;1Hend")
    terminal.screen.resize(3, 30)
    assert terminal.write("\x1b[?1049l").rows[0] == "old"
    assert terminal.cursor == (0, 1)


def test_selection_joins_what_only_the_width_broke() -> None:
    terminal = Terminal(10, 6).write("docker run --rm\r\nnext 漢字 line\r\n")
    chosen = TerminalSelection(CellPosition(0, 0), CellPosition(4, 0))
    assert text_of(terminal.screen, chosen) == "docker run --rm\nnext 漢字 line\n"
    assert text_of(terminal.screen, word_at(terminal.screen, CellPosition(0, 8))) == "run"
    assert text_of(terminal.screen, TerminalSelection(CellPosition(2, 7), CellPosition(2, 5))) == "漢"
    terminal.write("more\r\n" * 10)
    assert text_of(terminal.screen, chosen) == "docker run --rm\nnext 漢字 line\n"


@given(st.lists(st.text("ab ", max_size=9), min_size=1, max_size=40), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_many_lines_at_once_are_the_same_as_one_by_one(lines: list[str], before: int) -> None:
    quick, slow = Terminal(9, 4), Terminal(9, 4)
    for terminal in (quick, slow):
        terminal.write("x\r\n" * (3 + before) + "\x1b[35m")
    taken = quick.screen.draw_lines(lines)
    assert taken == (len(lines) > 3)
    if taken:
        slow.write("".join(f"{line}\r\n" for line in lines))
        assert (quick.rows, quick.cursor, quick.screen.pushed) == (slow.rows, slow.cursor, slow.screen.pushed)
        told = [
            ["".join(run.text for run in line.runs).rstrip() for line in terminal.screen.history]
            for terminal in (quick, slow)
        ]
        assert told[0] == told[1]


_SEQUENCES = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda prefix, numbers, final: f"\x1b[{prefix}{';'.join(map(str, numbers))}{final}".encode(),
        st.sampled_from(["", "?", ">", "=", "!"]),
        st.lists(st.integers(0, 100_000), max_size=6),
        st.sampled_from([chr(code) for code in range(0x40, 0x7F)]),
    ),
    st.sampled_from(
        [b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"\x1b#8", b"\x1bc", "漢".encode(), b"\xff", b"\x1b[?1049h"]
    ),
    st.text(max_size=30).map(lambda words: words.encode("utf-8", "replace")),
)


@given(st.lists(_SEQUENCES, max_size=60), st.integers(2, 40), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_nothing_that_a_program_writes_is_an_error(parts: list[bytes], columns: int, lines: int) -> None:
    terminal = Terminal(columns, lines)
    for number, part in enumerate(parts):
        terminal.write(part)
        if number % 7 == 3:
            terminal.screen.resize(lines + number % 3, columns + number % 5)
        assert 0 <= terminal.screen.cursor.y < terminal.screen.lines
        assert 0 <= terminal.screen.cursor.x <= terminal.screen.columns
    assert len(terminal.rows) == terminal.screen.lines
    assert all(0 <= row < terminal.screen.lines for row in terminal.screen.buffer)
