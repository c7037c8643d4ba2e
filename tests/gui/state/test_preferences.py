"""Preferences: stored, validated and saved atomically; an unreadable file is renamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from app import texts
from app.features.logs.store import LogStore
from app.frame.main_window import PAGES, MainWindow
from app.state.preferences import RECENT_KEPT, Preferences, TableLayout
from app.state.store import AppStore
from app.ui import theme
from app.ui.theme import Scheme
from backend.errors import ProblemCode
from backend.preferences import PreferencesFile
from tests.gui.screenshots import running


@pytest.fixture
def file(tmp_path: Path) -> PreferencesFile:
    return PreferencesFile(tmp_path / "home" / "preferences.json")


def test_values_are_restored_at_the_next_start(qapp: QApplication, file: PreferencesFile) -> None:
    first = Preferences(file)
    assert (first.theme, first.zoom, first.language, first.notifications) == (Scheme.SYSTEM, 100, "system", True)
    first.theme = Scheme.DARK
    first.zoom = 150
    first.set_table("containers", TableLayout(hidden=("image",), sort_by="cpu", descending=True))
    first.note_recent("page:settings")
    first.close()
    second = Preferences(file)
    assert (second.theme, second.zoom) == (Scheme.DARK, 150)
    assert second.table("containers") == TableLayout(hidden=("image",), sort_by="cpu", descending=True)
    assert second.table("images") == TableLayout()
    assert second.recent == ("page:settings",)
    assert file.path.stat().st_mode & 0o077 == 0
    second.close()


def test_a_change_is_notified_once_and_saved_soon(qtbot: QtBot, file: PreferencesFile) -> None:
    preferences = Preferences(file)
    told: list[str] = []
    preferences.changed.connect(told.append)
    preferences.zoom = 125
    preferences.zoom = 125
    assert told == ["zoom"]
    qtbot.waitUntil(lambda: file.path.exists() and json.loads(file.path.read_text())["zoom"] == 125)
    preferences.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=str)
def test_a_broken_file_is_reported_and_kept(qapp: QApplication, file: PreferencesFile, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    preferences = Preferences(file)
    assert preferences.problem is not None
    assert preferences.problem.code is ProblemCode.CONFIG_BROKEN
    assert preferences.theme is Scheme.SYSTEM
    aside = file.path.with_name("preferences.json.broken")
    assert aside.read_bytes() == content
    assert str(aside) in str(preferences.problem.hint)


@pytest.mark.parametrize("odd", ["purple", 7, None, [], {"a": 1}, True], ids=str)
def test_an_odd_value_is_the_default(qapp: QApplication, file: PreferencesFile, odd: object) -> None:
    file.save(
        dict.fromkeys(("theme", "zoom", "language", "recent", "tables"), odd) | {"notifications": "yes", "page": 3}
    )
    preferences = Preferences(file)
    assert preferences.problem is None
    assert preferences.theme is Scheme.SYSTEM
    assert preferences.zoom == 100
    assert preferences.language == "system"
    assert preferences.notifications is True
    assert preferences.page == ""
    assert preferences.table("containers") == TableLayout()
    assert all(isinstance(entry, str) for entry in preferences.recent)


def test_a_failed_save_is_reported(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    preferences = Preferences(PreferencesFile(tmp_path / "file" / "preferences.json"))
    with qtbot.waitSignal(preferences.failed) as told:
        preferences.zoom = 200
    assert told.args is not None
    assert told.args[0].code is ProblemCode.PATH_UNUSABLE
    preferences.close()


def test_the_recent_are_few_and_the_newest_first(qapp: QApplication) -> None:
    preferences = Preferences()
    for number in range(40):
        preferences.note_recent(f"container:{number}")
    preferences.note_recent("container:30")
    assert len(preferences.recent) == RECENT_KEPT
    assert preferences.recent[:2] == ("container:30", "container:39")


def test_another_language_or_zoom_rebuilds_the_window(
    store: AppStore, window: MainWindow, qapp: QApplication, qtbot: QtBot
) -> None:
    running(store)
    for name in PAGES:
        window.show_page(name)
    old = window.centralWidget()
    assert old is not None
    with qtbot.waitSignal(old.destroyed):
        texts.choose_language("pt")
        theme.apply(qapp, theme.DARK, 200)
        window.rebuild()
    try:
        assert window.page_name == list(PAGES)[-1]
        window.show_page("containers")
        words = {label.text() for label in window.findChildren(QLabel)}
        assert texts._("Containers") in words
        # The old views must be disconnected: a slot of theirs would raise here.
        running(store)
        store.set_containers(())
        store.machine_changed.emit()
        store.engine_changed.emit()
        store.pending_changed.emit()
        store.part(LogStore).opened.emit("page")
    finally:
        texts.choose_language("en")
        theme.apply(qapp, theme.LIGHT)


def test_size_and_page_are_remembered(store: AppStore, window: MainWindow) -> None:
    window.resize(790, 640)  # the offscreen screen is 800 wide
    window.show_page("machine")
    window.remember()
    other = MainWindow(store)
    other.restore()
    assert other.page_name == "machine"
    assert other.size() == window.size()
    other.close_for_good()
