"""The pane of a log: what is in sight, following, selecting, copying, searching, saving, and lines that are hostile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shiboken6
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot

from app.features.logs.data.followed import FollowedLog
from app.features.logs.data.search import LogQuery, Pattern
from app.features.logs.store import LogStore
from app.features.logs.view import exporting
from app.features.logs.view.layouts import level_colour, readable, source_colours
from app.features.logs.view.pane import LogPane
from app.links.workers import join_threads
from app.state.store import AppStore
from app.ui import theme
from tests.gui.scenes import log_samples
from tests.gui.scenes.log_samples import lines, open_log, write

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton

Shower = Callable[..., tuple[LogPane, FollowedLog]]


@pytest.fixture
def shown(store: AppStore, qtbot: QtBot) -> Iterator[Shower]:
    """Makes a pane with a log of these containers in it."""
    made: list[tuple[LogPane, FollowedLog]] = []

    def show(*names: str, max_lines: int = 5_000_000) -> tuple[LogPane, FollowedLog]:
        log = open_log(names or ("web",), max_lines=max_lines)
        store.part(LogStore).put("test", log)
        pane = LogPane(store, "test")
        pane.resize(900, 500)
        pane.show()
        with qtbot.waitExposed(pane):
            pane.activateWindow()
        made.append((pane, log))
        return pane, log

    yield show
    for pane, log in made:
        assert join_threads(log.close(), 5)
        shiboken6.delete(pane)


def in_sight(pane: LogPane) -> list[str]:
    return pane.lines.visible_text().split("\n")


def searched(pane: LogPane, qtbot: QtBot, words: str) -> None:
    pane.searching.field.setText(words)
    pane._begin_search()
    search = pane._search
    assert search is not None
    qtbot.waitUntil(lambda: search.is_done or search.is_too_slow)
    pane._refresh()


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def test_lines_are_shown_as_they_come_and_followed(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(3))
    qtbot.waitUntil(lambda: in_sight(pane) == ["line 0", "line 1", "line 2"])
    write(log, lines(1000, 3))
    qtbot.waitUntil(lambda: in_sight(pane)[-1] == "line 1002")
    bar = pane.lines.verticalScrollBar()
    assert bar.value() == bar.maximum() > 900
    assert not pane.to_end.isEnabled()


def test_what_is_read_stays_in_place_until_one_jumps_to_the_end(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(1000))
    pane._refresh()
    pane.lines.verticalScrollBar().setValue(100)
    assert in_sight(pane)[0] == "line 100"
    assert pane.to_end.isEnabled()
    write(log, lines(500, 1000))
    pane._refresh()
    assert in_sight(pane)[0] == "line 100"
    QTest.mouseClick(pane.to_end, LEFT)
    assert in_sight(pane)[-1] == "line 1499"
    write(log, lines(500, 1500))
    pane._refresh()
    assert in_sight(pane)[-1] == "line 1999"


def test_what_is_dropped_is_said_and_what_is_read_stays(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown(max_lines=100)
    write(log, lines(60_000))
    pane._refresh()
    pane.lines.verticalScrollBar().setValue(59_000)
    write(log, lines(90_000, 60_000))
    pane._refresh()
    assert log.buffer.first > 0
    assert "newest" in pane.exporting.count.text()
    assert in_sight(pane)[0] == f"line {log.buffer.first}"


@pytest.mark.no_cover
def test_only_what_is_in_sight_is_laid_out(shown: Shower) -> None:
    pane, log = shown()
    write(log, lines(200_000))
    pane._refresh()
    began = time.monotonic()
    for position in range(0, 200_000, 10_007):
        pane.lines.verticalScrollBar().setValue(position)
        assert in_sight(pane)[0] == f"line {position}"
    assert time.monotonic() - began < 5
    assert len(pane.lines.layouts._kept) < 2_000


def test_long_lines_wrap_or_scroll_sideways(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, [b"2026-11-23T22:51:33.1Z " + b"word " * 1000, *lines(5)])
    pane._refresh()
    view = pane.lines
    view.verticalScrollBar().setValue(0)
    assert view.visible_rows()[0].laid.rows > 20
    assert view.horizontalScrollBar().maximum() == 0
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert view.visible_rows()[0].top == -view.layouts.row_height
    QTest.mouseClick(pane.wrap, LEFT)
    assert len(in_sight(pane)) == 6
    assert view.horizontalScrollBar().maximum() > 1000
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.horizontalScrollBar().value() > 0


@given(st.lists(st.sampled_from([0, 10, 100, 300, 2000]), min_size=1, max_size=40), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scrolling_by_rows_goes_over_every_row_once(shown: Shower, sizes: list[int], data: st.DataObject) -> None:
    pane, log = shown()
    write(log, [b"x" * size for size in sizes])
    pane._refresh()
    view = pane.lines
    rows = [(number, row) for number in range(len(sizes)) for row in range(view.layouts.laid(number).rows)]
    view.verticalScrollBar().setValue(0)
    for steps in data.draw(st.lists(st.integers(-50, 50), max_size=20)):
        before = rows.index((view.scroller.number, view.scroller.row))
        view.scroll_rows(steps)
        after = rows.index((view.scroller.number, view.scroller.row))
        assert after == max(0, min(before + steps, max(0, len(rows) - view.scroller.page)))


def test_selecting_with_the_mouse_over_lines(shown: Shower) -> None:
    pane, log = shown()
    write(log, lines(20))
    pane._refresh()
    view, height = pane.lines, pane.lines.layouts.row_height
    x = view.text_left
    char = view.layouts.char_width
    QTest.mousePress(view.viewport(), LEFT, pos=QPoint(round(x + 2 * char), height // 2))
    QTest.mouseMove(view.viewport(), QPoint(round(x + 4 * char), 2 * height + height // 2))
    QTest.mouseRelease(view.viewport(), LEFT, pos=QPoint(round(x + 4 * char), 2 * height + height // 2))
    pane.times.setChecked(False)
    QTest.keyClick(view, Qt.Key.Key_C, CTRL)
    assert clipboard() == "ne 0\nline 1\nline"
    QTest.mouseDClick(view.viewport(), LEFT, pos=QPoint(round(view.text_left + char), height // 2))
    QTest.keyClick(view, Qt.Key.Key_C, CTRL)
    assert clipboard() == "line"
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert view.selection.is_empty


def test_selecting_with_the_keyboard(shown: Shower) -> None:
    pane, log = shown()
    write(log, lines(100))
    pane._refresh()
    pane.times.setChecked(False)
    view = pane.lines
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Home)
    assert in_sight(pane)[0] == "line 0"
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_End):
        QTest.keyClick(view, key, SHIFT)
    QTest.keyClick(view, Qt.Key.Key_C, CTRL)
    assert clipboard() == "line 0\nline 1"
    QTest.keyClick(view, Qt.Key.Key_PageDown)
    assert in_sight(pane)[0] != "line 0"
    QTest.keyClick(view, Qt.Key.Key_End)
    assert in_sight(pane)[-1] == "line 99"
    QTest.keyClick(view, Qt.Key.Key_A, CTRL)
    QTest.keyClick(view, Qt.Key.Key_C, CTRL)
    assert clipboard() == "\n".join(f"line {number}" for number in range(100))


@pytest.mark.parametrize("text", ["🚣 boats 🚣", "שלום boats", "a\tboats"])
def test_places_in_a_line_count_as_qt_does(shown: Shower, qtbot: QtBot, text: str) -> None:
    pane, log = shown()
    write(log, [text.encode()])
    searched(pane, qtbot, "boats")
    QTest.keyClick(pane.searching.field, Qt.Key.Key_Return)
    pane.exporting.copy()
    assert clipboard() == "boats"


def test_copying_all_has_times_and_names_and_is_bounded(
    shown: Shower, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "COPY_LINES", 3)
    pane, log = shown("web", "database")
    write(log, lines(4), 0)
    write(log, lines(1, 4), 1)
    pane._refresh()
    pane.times.setChecked(False)
    QTest.mouseClick(pane.copy, LEFT)
    qtbot.waitUntil(lambda: pane.exporting.job is None)
    assert clipboard() == "web      | line 2\nweb      | line 3\ndatabase | line 4"
    assert "newest 3" in pane.exporting.state.text()


def test_search_counts_lines_and_goes_round(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(1000))
    searched(pane, qtbot, "LINE 99")
    assert pane.searching.count.text() == "11 lines"
    QTest.keyClick(pane.searching.field, Qt.Key.Key_Return)
    assert pane.searching.count.text() == "2 of 11 lines", "from the top line in sight, not from the first"
    QTest.keyClick(pane.lines, Qt.Key.Key_F3)
    assert pane.lines.current_match == 991
    for _ in range(3):
        QTest.keyClick(pane.searching.field, Qt.Key.Key_Return, SHIFT)
    assert (pane.lines.current_match, pane.searching.count.text()) == (999, "11 of 11 lines")
    assert "line 999" in in_sight(pane)
    write(log, lines(1, 99))
    qtbot.waitUntil(lambda: pane.searching.count.text() == "11 of 12 lines")
    QTest.mouseClick(pane.searching.case, LEFT)
    qtbot.waitUntil(lambda: pane.searching.count.text() == "No matches")


def test_only_matching_lines_are_shown(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(1000))
    pane.searching.regex.setChecked(True)
    searched(pane, qtbot, r"\b(10|20)$")
    QTest.mouseClick(pane.searching.only, LEFT)
    assert in_sight(pane) == ["line 10", "line 20"]
    write(log, lines(1, 10))
    qtbot.waitUntil(lambda: in_sight(pane) == ["line 10", "line 20", "line 10"])
    QTest.mouseClick(pane.searching.only, LEFT)
    assert in_sight(pane)[-1] == "line 10"
    assert pane.lines.shown.count == 1001


def test_an_invalid_pattern_says_so_and_shows_all(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(3))
    pane.searching.regex.setChecked(True)
    pane.searching.only.setChecked(True)
    pane.searching.field.setText("line (")
    pane._begin_search()
    assert pane.searching.complaint.isVisible()
    assert "Invalid" in pane.searching.complaint.text()
    assert pane.lines.shown.count == 3
    pane.searching.field.setText("line")
    pane._begin_search()
    assert not pane.searching.complaint.isVisible()


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){30}x"])
@pytest.mark.no_cover
def test_a_catastrophic_pattern_holds_up_nothing(shown: Shower, qtbot: QtBot, pattern: str) -> None:
    pane, log = shown()
    write(log, [b"a" * 5_000 + b"b"] * 500)
    pane.searching.regex.setChecked(True)
    began = time.monotonic()
    searched(pane, qtbot, pattern)
    pane.lines.viewport().repaint()
    assert time.monotonic() - began < 5


def test_the_limit_cannot_be_raised_by_the_pattern(shown: Shower) -> None:
    pane, _log = shown()
    pane.searching.regex.setChecked(True)
    pane.searching.field.setText("(*LIMIT_MATCH=4000000000)(a+)+$")
    pane._begin_search()
    assert "Invalid" in pane.searching.complaint.text()


def test_a_pattern_that_is_too_slow_is_given_up_and_said(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, [b"a" * 60 + b"b"] * 500)
    pane.searching.regex.setChecked(True)
    searched(pane, qtbot, r"(a+)+$")
    assert "too long" in pane.searching.complaint.text()


@given(
    st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20), max_size=20),
    st.text(min_size=1, max_size=3),
    st.booleans(),
)
@settings(deadline=None)
def test_words_are_found_the_same_way_by_both_ways(texts: list[str], words: str, is_case_sensitive: bool) -> None:
    pattern = Pattern(LogQuery(words.replace("\n", " "), is_case_sensitive=is_case_sensitive))
    ascii_only = [text.encode("ascii", "ignore").decode() for text in texts]
    quick = pattern.find("\n".join(ascii_only))
    slow = [at for at in range(len(ascii_only)) if pattern._regex.match(ascii_only[at]).hasMatch()]
    if words.isascii():
        assert quick == (slow if texts else [])


def test_clearing_leaves_what_comes_after(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(50))
    searched(pane, qtbot, "line")
    QTest.mouseClick(pane.clear, LEFT)
    assert pane.lines.shown.count == 0
    assert not pane.copy.isEnabled()
    write(log, lines(1, 50))
    qtbot.waitUntil(lambda: in_sight(pane) == ["line 50"])
    qtbot.waitUntil(lambda: pane.searching.count.text() == "1 line")


def test_saving_writes_all_lines(shown: Shower, qtbot: QtBot, tmp_path: Path) -> None:
    pane, log = shown("web", "db")
    write(log, [b"2026-11-23T22:51:33.100000000Z \x1b[31mred\x1b[0m \xff"], 1)
    write(log, lines(70_000), 0)
    pane._refresh()
    pane.times.setChecked(False)
    pane.exporting.save(tmp_path / "web.log")
    qtbot.waitUntil(lambda: pane.exporting.job is None)
    saved = (tmp_path / "web.log").read_text(encoding="utf-8").split("\n")
    assert saved[:2] == ["db  | red \ufffd", "web | line 0"]
    assert len(saved) == 70_002
    assert "Saved 70,001 lines" in pane.exporting.state.text()
    assert list(tmp_path.iterdir()) == [tmp_path / "web.log"]


def test_saving_can_be_cancelled_and_leaves_nothing(shown: Shower, qtbot: QtBot, tmp_path: Path) -> None:
    pane, log = shown()
    write(log, lines(300_000))
    pane._refresh()
    (tmp_path / "web.log").write_text("before")
    pane.exporting.save(tmp_path / "web.log")
    QTest.mouseClick(pane.exporting.cancel, LEFT)
    qtbot.waitUntil(lambda: pane.exporting.job is None)
    assert (tmp_path / "web.log").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "web.log"]
    assert pane.exporting.state.text() == "Canceled. Nothing was saved."


def test_saving_where_it_cannot_be_says_so(shown: Shower, qtbot: QtBot, tmp_path: Path) -> None:
    pane, log = shown()
    write(log, lines(3))
    pane._refresh()
    pane.exporting.save(tmp_path / "missing" / "web.log")
    qtbot.waitUntil(lambda: pane.exporting.job is None)
    assert "Couldn't save" in pane.exporting.state.text()


def test_hostile_lines_are_plain_text(shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, [b"<b>x</b> <img src='file:///etc/passwd'>", b"\x1b[2J\x1b]0;title\x07\xff", "\u202egnp.exe".encode()])
    write(log, [b"y" * 16_000], cut=1_000_000)
    pane._refresh()
    view = pane.lines
    view.verticalScrollBar().setValue(0)
    view.viewport().repaint()
    shown_lines = in_sight(pane)
    assert shown_lines[:3] == ["<b>x</b> <img src='file:///etc/passwd'>", "\ufffd", "gnp.exe"]
    assert shown_lines[3].endswith("… 1,000,000 bytes truncated")


@given(st.lists(st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b"")), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_can_be_drawn_and_copied(shown: Shower, raws: list[bytes]) -> None:
    pane, log = shown()
    write(log, raws)
    pane._refresh()
    assert not pane.grab().isNull()
    pane.lines.select_all()
    pane.exporting.copy()
    if pane.lines.selection.ends is not None:
        assert len(clipboard().split("\n")) == len(raws)


def test_colours_can_be_read_in_both_themes(qapp: QApplication) -> None:
    for chosen in (theme.LIGHT, theme.DARK):
        theme.apply(qapp, chosen)
        try:
            from app.features.logs.data.levels import Level

            for level in Level:
                assert theme.contrast(level_colour(level), chosen.log_ground) >= 4.5
            for colour in ("#000000", "#ffffff", "#808080", "#ff0000"):
                assert theme.contrast(readable(colour), chosen.log_ground) >= 4.5
            for number in source_colours(tuple(f"{at:064x}" for at in range(30))):
                assert theme.contrast(chosen.terminal[number], chosen.log_ground) >= 4.5
        finally:
            theme.apply(qapp, theme.LIGHT)


def test_a_containers_colour_is_its_own() -> None:
    ids = tuple(f"{at:064x}" for at in range(8))
    assert len(set(source_colours(ids))) == 8
    assert source_colours(ids[:1]) == source_colours((ids[0], ids[1]))[:1]


def test_another_log_begins_anew_and_none_is_empty(store: AppStore, shown: Shower, qtbot: QtBot) -> None:
    pane, log = shown()
    write(log, lines(100))
    pane._refresh()
    pane.lines.verticalScrollBar().setValue(3)
    other = open_log(("db",))
    write(other, lines(2, 500))
    store.part(LogStore).put("test", other)
    assert in_sight(pane) == ["line 500", "line 501"]
    assert pane.lines.follows
    store.part(LogStore).put("test", None)
    assert pane.lines.shown.count == 0
    with qtbot.waitSignal(store.intents.follow_logs) as asked:
        pane.show_containers(("a" * 64,))
    assert asked.args == ["test", ("a" * 64,)]
    assert join_threads(other.close(), 5)


def test_everything_has_a_name(shown: Shower) -> None:
    pane, log = shown("web", "db")
    write(log, log_samples.SAMPLE)
    pane._refresh()
    for button in pane.findChildren(QAbstractButton):
        if button.isVisible() and not button.objectName().startswith("qt_"):
            assert (
                button.accessibleName()
                or button.text()
                or button.toolTip()
                or "clear" in str(button.metaObject().className()).lower()
                or button.parent() is pane.searching.field
            )
    assert pane.lines.accessibleName()
    menu = pane.build_menu()
    assert all(action.text() for action in menu.actions() if not action.isSeparator())
    menu.deleteLater()
