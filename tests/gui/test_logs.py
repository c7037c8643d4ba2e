"""The log pane: following, bounds, search, hostile lines."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app import theme
from app.main_window import MainWindow
from app.safe_text import LineAssembler, LogLine, Span, Style
from app.store import AppStore, LogSession, LogState
from app.views import log_text
from app.views.log_text import LogText
from app.views.logs import LogView
from backend.engine.types import LogStream
from tests.gui.screenshots import running, sample_log


def plain(count: int, start: int = 0) -> tuple[LogLine, ...]:
    return tuple(
        LogLine(LogStream.STDOUT, (Span(f"line {number}", Style()),)) for number in range(start, start + count)
    )


@pytest.fixture
def pane(store: AppStore, window: MainWindow) -> LogView:
    running(store)
    store.set_log(LogSession("a" * 64, "web"))
    assert window.logs.isVisible()
    return window.logs


def test_lines_are_shown_as_they_come(store: AppStore, pane: LogView) -> None:
    store.add_log_lines(plain(3))
    store.add_log_lines(plain(2, 3))
    assert pane.text.toPlainText().split("\n") == [f"line {number}" for number in range(5)]


def test_it_follows_until_scrolled_up_and_jumps_back(store: AppStore, pane: LogView, qtbot: QtBot) -> None:
    bar = pane.text.verticalScrollBar()
    store.add_log_lines(plain(300))
    assert bar.value() == bar.maximum()
    assert not pane.to_end.isEnabled()
    bar.setValue(10)
    assert pane.to_end.isEnabled()
    store.add_log_lines(plain(50, 300))
    assert bar.value() == 10
    QTest.mouseClick(pane.to_end, Qt.MouseButton.LeftButton)
    assert bar.value() == bar.maximum()
    store.add_log_lines(plain(50, 350))
    assert bar.value() == bar.maximum()


def test_memory_is_bounded_in_lines(pane: LogView, monkeypatch: pytest.MonkeyPatch, store: AppStore) -> None:
    monkeypatch.setattr(log_text, "MAX_LINES", 100)
    store.add_log_lines(plain(80))
    store.add_log_lines(plain(80, 80))
    lines = pane.text.toPlainText().split("\n")
    assert (len(lines), lines[0], lines[-1]) == (100, "line 60", "line 159")
    assert pane.text.is_trimmed


def test_memory_is_bounded_in_characters(pane: LogView, monkeypatch: pytest.MonkeyPatch, store: AppStore) -> None:
    monkeypatch.setattr(log_text, "MAX_CHARS", 1000)
    for _ in range(20):
        store.add_log_lines((LogLine(LogStream.STDOUT, (Span("x" * 199, Style()),)),))
    assert pane.text.line_count == 5
    assert len(pane.text.toPlainText()) < 1000


def test_what_is_read_stays_in_place_while_old_lines_are_dropped(
    pane: LogView, monkeypatch: pytest.MonkeyPatch, store: AppStore
) -> None:
    monkeypatch.setattr(log_text, "MAX_LINES", 500)
    pane.text.set_wrapped(wrapped=False)
    store.add_log_lines(plain(500))
    pane.text.verticalScrollBar().setValue(300)
    first = pane.text.firstVisibleBlock().text()
    store.add_log_lines(plain(100, 500))
    assert pane.text.firstVisibleBlock().text() == first


def test_hostile_lines_are_plain_text(store: AppStore, pane: LogView) -> None:
    assembler = LineAssembler(LogStream.STDERR, timestamps=False)
    raw = b"<b>x</b> <img src='file:///etc/passwd'>\n" + b"y" * 1_000_000 + b"\n\xff\x1b[2J\n"
    store.add_log_lines(tuple(assembler.feed(raw)))
    words = pane.text.toPlainText()
    assert words.startswith("<b>x</b>")
    assert "bytes cut" in words
    assert len(words) < 10_000


def test_colours_are_the_themes_and_readable(store: AppStore, pane: LogView) -> None:
    store.add_log_lines((LogLine(LogStream.STDOUT, (Span("red", Style(1)), Span("dark", Style("#ffffff")))),))
    document = pane.text.document()
    formats = [item.format.foreground().color() for item in document.firstBlock().layout().formats()]
    assert not formats, "colours are the text's own, not a highlighter's"
    cursor = pane.text.textCursor()
    cursor.setPosition(1)
    assert cursor.charFormat().foreground().color() == QColor(theme.LIGHT.terminal[1])
    cursor.setPosition(5)
    shown = cursor.charFormat().foreground().color().name()
    assert theme.contrast(shown, theme.LIGHT.log_ground) >= 4.5


def test_search_finds_counts_and_wraps_around(store: AppStore, pane: LogView, qtbot: QtBot) -> None:
    store.add_log_lines(sample_log())
    QTest.keyClicks(pane.search, "boats/1")
    assert pane._count.text() == "11 matches"
    QTest.keyClick(pane.search, Qt.Key.Key_Return)
    QTest.keyClick(pane.search, Qt.Key.Key_Return)
    assert pane._count.text() == "2 of 11"
    QTest.keyClick(pane.search, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(pane.search, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert pane._count.text() == "11 of 11"
    pane.search.setText("no such words")
    assert pane._count.text() == "No match"


@pytest.mark.parametrize("before", ["", "🚣 ", "ß İ "])
def test_marks_stand_where_the_match_is(qtbot: QtBot, store: AppStore, before: str) -> None:
    view = LogText()
    qtbot.addWidget(view)
    view.add_lines((LogLine(LogStream.STDOUT, (Span(f"{before}Boat", Style()),)),))
    view.search("boat")
    qtbot.waitUntil(lambda: len(view.document().firstBlock().layout().formats()) == 1)
    (mark,) = view.document().firstBlock().layout().formats()
    assert (mark.start, mark.length) == (len(before.encode("utf-16-le")) // 2, 4)
    assert view.find_match("boat")
    assert view.matches("boat", 10) == (1, 1)


def test_copy_clear_and_wrap(store: AppStore, pane: LogView, qtbot: QtBot) -> None:
    store.add_log_lines(plain(2))
    QTest.mouseClick(pane.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "line 0\nline 1"
    QTest.mouseClick(pane.wrap, Qt.MouseButton.LeftButton)
    assert pane.text.lineWrapMode() is LogText.LineWrapMode.NoWrap
    QTest.mouseClick(pane.clear, Qt.MouseButton.LeftButton)
    assert pane.text.toPlainText() == ""
    store.add_log_lines(plain(1, 9))
    assert pane.text.toPlainText() == "line 9"


def test_another_container_begins_anew_and_closing_hides(store: AppStore, pane: LogView) -> None:
    store.add_log_lines(plain(2))
    store.set_log(LogSession("b" * 64, "db", LogState.ENDED))
    assert pane.text.toPlainText() == ""
    store.set_log(None)
    assert not pane.isVisible()
