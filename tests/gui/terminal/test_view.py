"""The terminal widget: keys, mouse, clipboard, scrolling, floods, and screen readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QInputMethodEvent, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.terminal.keys import encode, encode_paste
from app.terminal.line import StyledRun
from app.terminal.palette import colours
from app.terminal.session import TerminalSession, TerminalState
from app.terminal.style import colour_of_256
from app.terminal.view import MAX_PASTE_CHARS, TerminalView
from app.ui import theme

_Key = Qt.Key
_Modifier = Qt.KeyboardModifier


class Shown:
    """A terminal between two fields, and the input sent to its program."""

    def __init__(self) -> None:
        self.sent = b""
        self.whole = QWidget()
        self.before, self.view, self.after = QLineEdit(), TerminalView(), QLineEdit()
        layout = QVBoxLayout(self.whole)
        for widget in (self.before, self.view, self.after):
            layout.addWidget(widget)
        self.whole.resize(800, 500)
        self.session = TerminalSession("x", parent=self.whole)
        self.session.opened(self._take)
        self.view.show_session(self.session)

    def _take(self, data: bytes) -> None:
        self.sent += data

    def write(self, words: str) -> None:
        self.session._parser.feed(words.encode())
        self.session.drawn.emit()

    def take(self) -> bytes:
        sent, self.sent = self.sent, b""
        return sent


@pytest.fixture
def shown(qapp: QApplication, qtbot: QtBot) -> Iterator[Shown]:
    theme.apply(qapp, theme.LIGHT)
    made = Shown()
    qtbot.addWidget(made.whole)
    made.whole.show()
    with qtbot.waitExposed(made.whole):
        pass
    made.view.setFocus()
    yield made
    made.session.close()


@pytest.mark.parametrize(
    ("key", "modifiers", "expected"),
    [
        (_Key.Key_Up, _Modifier.NoModifier, b"\x1b[A"),
        (_Key.Key_Left, _Modifier.ControlModifier, b"\x1b[1;5D"),
        (_Key.Key_Home, _Modifier.NoModifier, b"\x1b[H"),
        (_Key.Key_F1, _Modifier.NoModifier, b"\x1bOP"),
        (_Key.Key_F5, _Modifier.NoModifier, b"\x1b[15~"),
        (_Key.Key_F12, _Modifier.ShiftModifier, b"\x1b[24;2~"),
        (_Key.Key_Delete, _Modifier.NoModifier, b"\x1b[3~"),
        (_Key.Key_Backspace, _Modifier.NoModifier, b"\x7f"),
        (_Key.Key_Tab, _Modifier.NoModifier, b"\t"),
        (_Key.Key_Backtab, _Modifier.ShiftModifier, b"\x1b[Z"),
        (_Key.Key_Escape, _Modifier.NoModifier, b"\x1b"),
        (_Key.Key_Return, _Modifier.NoModifier, b"\r"),
        (_Key.Key_C, _Modifier.ControlModifier, b"\x03"),
        (_Key.Key_BracketLeft, _Modifier.ControlModifier, b"\x1b"),
        (_Key.Key_Space, _Modifier.ControlModifier, b"\x00"),
        (_Key.Key_B, _Modifier.AltModifier, b"\x1bb"),
    ],
)
def test_keys(shown: Shown, key: Qt.Key, modifiers: Qt.KeyboardModifier, expected: bytes) -> None:
    QTest.keyClick(shown.view, key, modifiers)
    assert shown.take() == expected


def test_application_mode_changes_the_arrows(shown: Shown) -> None:
    shown.write("\x1b[?1h")
    QTest.keyClick(shown.view, _Key.Key_Up)
    assert shown.take() == b"\x1bOA"
    assert encode(int(_Key.Key_Up), "", control=True, shift=False, alt=False, application_cursor=True) == "\x1b[1;5A"


def test_letters_of_any_keyboard(shown: Shown) -> None:
    for letter in "ñ€":
        QApplication.sendEvent(shown.view, QKeyEvent(QEvent.Type.KeyPress, 0, _Modifier.NoModifier, letter))
    committed = QInputMethodEvent()
    committed.setCommitString("漢")
    QApplication.sendEvent(shown.view, committed)
    assert shown.take().decode() == "ñ€漢"


def test_the_windows_shortcuts_belong_to_the_program(shown: Shown) -> None:
    def is_taken(key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        event = QKeyEvent(QEvent.Type.ShortcutOverride, key, modifiers)
        event.ignore()
        QApplication.sendEvent(shown.view, event)
        return event.isAccepted()

    for key in (_Key.Key_F, _Key.Key_K, _Key.Key_Q, _Key.Key_W):
        assert is_taken(key, _Modifier.ControlModifier)
    assert is_taken(_Key.Key_Escape, _Modifier.NoModifier)
    assert not is_taken(_Key.Key_F, _Modifier.ControlModifier | _Modifier.ShiftModifier)


def test_control_tab_leaves(shown: Shown) -> None:
    QTest.keyClick(shown.view, _Key.Key_Tab, _Modifier.ControlModifier)
    assert QApplication.focusWidget() is shown.after
    shown.view.setFocus()
    QTest.keyClick(shown.view, _Key.Key_Backtab, _Modifier.ControlModifier | _Modifier.ShiftModifier)
    assert QApplication.focusWidget() is shown.before
    assert shown.take() == b""


def test_select_with_the_mouse_copy_and_paste(shown: Shown) -> None:
    shown.write("docker run web\r\n")
    cell = shown.view._cell
    row = 6 + cell.height // 2

    def at(column: int) -> QPoint:
        return QPoint(6 + column * cell.width, row)

    viewport = shown.view.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=at(7))
    QTest.mouseMove(viewport, at(10))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=at(10))
    assert shown.view.selected_text() == "run"
    QTest.keyClick(shown.view, _Key.Key_C, _Modifier.ControlModifier | _Modifier.ShiftModifier)
    assert QGuiApplication.clipboard().text() == "run"
    assert shown.take() == b""
    QTest.mouseDClick(viewport, Qt.MouseButton.LeftButton, pos=at(1))
    assert shown.view.selected_text() == "docker"
    QGuiApplication.clipboard().setText("one\ntwo\x1b[201~\x03")
    QTest.keyClick(shown.view, _Key.Key_V, _Modifier.ControlModifier | _Modifier.ShiftModifier)
    assert shown.take() == b"one\rtwo[201~"
    shown.write("\x1b[?2004h")
    shown.view.paste()
    assert shown.take() == b"\x1b[200~one\rtwo[201~\x1b[201~"
    assert not shown.whole.grab().isNull()


def test_a_paste_without_end_is_refused(shown: Shown, qtbot: QtBot) -> None:
    QGuiApplication.clipboard().setText("x" * (MAX_PASTE_CHARS + 1))
    with qtbot.waitSignal(shown.view.refused_paste):
        shown.view.paste()
    assert shown.take() == b""
    assert encode_paste("\x1b[201~rm -rf /\n", bracketed=True) == b"\x1b[200~[201~rm -rf /\r\x1b[201~"


def test_the_mouse_for_programs_that_ask(shown: Shown) -> None:
    shown.write("\x1b[?1002;1006h")
    cell = shown.view._cell
    place = QPoint(6 + 2 * cell.width + 1, 6 + cell.height + 1)
    QTest.mouseClick(shown.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert shown.take() == b"\x1b[<0;3;2M\x1b[<0;3;2m"
    QTest.mouseClick(shown.view.viewport(), Qt.MouseButton.LeftButton, _Modifier.ShiftModifier, pos=place)
    assert shown.take() == b""


def test_it_gives_the_program_as_many_cells_as_there_is_room(shown: Shown, qtbot: QtBot) -> None:
    columns = shown.session.screen.columns
    with qtbot.waitSignal(shown.session.size_changed):
        shown.whole.resize(600, 400)
    assert shown.session.screen.columns < columns
    shown.view.zoom(3)
    assert shown.session.screen.columns < columns * 600 // 800


def test_who_reads_further_up_is_left_there(shown: Shown) -> None:
    shown.write("".join(f"line {number}\r\n" for number in range(200)))
    bar = shown.view.verticalScrollBar()
    assert bar.value() == bar.maximum() > 100
    QTest.keyClick(shown.view, _Key.Key_PageUp, _Modifier.ShiftModifier)
    first = shown.view._first_line
    shown.write("more\r\n" * 50)
    assert shown.view._first_line == first
    QTest.keyClick(shown.view, _Key.Key_X)
    assert bar.value() == bar.maximum()
    assert not shown.whole.grab().isNull()


def test_only_what_changed_is_drawn_again(shown: Shown, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    shown.write("one\r\ntwo\r\n")
    qtbot.wait(50)
    drawn: list[int] = []
    plain = TerminalView._line

    def noted(view: TerminalView, number: int) -> tuple[StyledRun, ...]:
        drawn.append(number)
        return plain(view, number)

    monkeypatch.setattr(TerminalView, "_line", noted)
    shown.write("x")
    qtbot.wait(50)
    assert set(drawn) == {2}


def test_a_screen_reader_gets_the_current_line(shown: Shown, qtbot: QtBot) -> None:
    shown.write("hello\r\nroot@web# ls")
    qtbot.waitUntil(lambda: shown.view.accessibleDescription() == "root@web# ls")
    assert shown.view.accessibleName()


def test_a_flood_holds_up_neither_the_window_nor_memory(shown: Shown, qtbot: QtBot) -> None:
    block = b"".join(b"\x1b[3%dmcolour\x1b[m %06d and some more words on a line\r\n" % (n % 8, n) for n in range(1500))
    stop = threading.Event()
    fed = 0

    def flood() -> None:
        nonlocal fed
        while not stop.is_set():
            shown.session.feed(block)
            fed += len(block)

    gaps: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    timer = QTimer(shown.whole, interval=1)
    timer.timeout.connect(tick)
    thread = threading.Thread(target=flood)
    thread.start()
    timer.start()
    qtbot.wait(1500)
    timer.stop()
    stop.set()
    shown.session.close()
    thread.join(5)
    assert not thread.is_alive()
    assert shown.session.screen.pushed > 500
    gaps.sort()
    # Most frames; one may be lost to whatever else the computer does.
    assert gaps[len(gaps) * 95 // 100] < 0.06
    assert shown.session._waiting < 600_000


def test_an_ended_program_takes_nothing_more(shown: Shown) -> None:
    shown.session.ended(TerminalState.ENDED, exit_code=0)
    QTest.keyClicks(shown.view, "x")
    assert shown.take() == b""


def test_no_text_vanishes_in_its_ground() -> None:
    from pyte.screens import Char

    for chosen in (theme.LIGHT, theme.DARK):
        grounds = ["default", *(str(number) for number in range(16)), *(colour_of_256(n) for n in range(16, 256, 7))]
        for ground in grounds:
            fore, behind = colours(Char(" ", bg=ground), chosen, False)
            assert theme.contrast(fore.name(), behind.name() if behind else chosen.log_ground) > 3
        fore, behind = colours(Char(" ", fg="000000", bg="000000"), chosen, False)
        assert behind is not None
        assert theme.contrast(fore.name(), behind.name()) > 3
