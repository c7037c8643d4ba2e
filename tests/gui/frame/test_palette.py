"""The palette: its matches and their order, use by keyboard, and speed."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.frame.main_window import MainWindow
from app.frame.palette import Palette
from app.frame.palette_entries import machine_entries
from app.state.store import AppStore
from app.ui.search import NameQuery, fold
from backend.engine.types import ContainerAction
from backend.model import Phase
from tests.gui.scenes import samples
from tests.gui.scenes.maintenance_scenes import MOVING, show_machine
from tests.gui.screenshots import palette_of, running

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def palette(store: AppStore, window: MainWindow) -> Palette:
    running(store)
    QTest.keyClick(window, Qt.Key.Key_K, CONTROL)
    return palette_of(window)


def press(palette: Palette, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(palette.field, key)


@pytest.mark.parametrize(
    ("typed", "words", "found"),
    [
        ("", "anything", True),
        ("web", "my-web nginx", True),
        ("nx", "nginx", True),
        ("web stop", "stop web", True),
        ("WEB", "web", True),
        ("configuracao", "Configuração", True),
        ("maquina", "Máquina", True),
        ("x", "web", False),
        ("web x", "web", False),
        ("(.*", "web", False),
    ],
)
def test_matches(typed: str, words: str, found: bool) -> None:
    assert (NameQuery(typed).score(fold(words)) > 0) is found


def test_better_is_higher() -> None:
    scores = [NameQuery("web").score(fold(words)) for words in ("web", "my-web", "cobweb", "wide-barge")]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_a_container_is_opened(store: AppStore, window: MainWindow, palette: Palette, qtbot: QtBot) -> None:
    QTest.keyClicks(palette.field, "web")
    assert palette.titles[0] == "web"
    web = next(entry for entry in samples.containers() if entry.name == "web")
    with qtbot.waitSignal(store.intents.open_container) as opened:
        press(palette, Qt.Key.Key_Return)
    assert opened.args == [web.id, ""]
    assert store.preferences.recent == (f"container:{web.id}",)
    assert not any(found.isVisible() for found in window.findChildren(Palette))


def test_an_action_is_found_by_its_words_in_any_order(store: AppStore, palette: Palette, qtbot: QtBot) -> None:
    QTest.keyClicks(palette.field, "web stop")
    assert palette.titles[0] == "Stop web"
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        press(palette, Qt.Key.Key_Return)
    assert asked.args is not None
    assert asked.args[1] is ContainerAction.STOP


def test_only_what_applies_is_offered(store: AppStore, palette: Palette) -> None:
    QTest.keyClicks(palette.field, "chatty")
    assert "Start chatty" in palette.titles
    assert "Stop chatty" not in palette.titles
    palette.field.clear()
    QTest.keyClicks(palette.field, "the machine")
    assert {"Stop the machine", "Restart the machine"} <= set(palette.titles)
    assert "Start the machine" not in palette.titles


def test_arrows_go_round_and_pages_are_opened(window: MainWindow, palette: Palette) -> None:
    QTest.keyClicks(palette.field, "machine")
    first = palette.titles[0]
    assert first == "Machine"
    press(palette, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == len(palette.titles) - 1
    press(palette, Qt.Key.Key_Down, Qt.Key.Key_Return)
    assert window.page_name == "machine"


def test_the_recent_come_first(store: AppStore, window: MainWindow) -> None:
    running(store)
    web = next(entry for entry in samples.containers() if entry.name == "web")
    store.preferences.note_recent("page:machine")
    store.preferences.note_recent(f"container:{web.id}:logs")
    window.open_palette()
    assert palette_of(window).titles[:2] == ["Logs: web", "Machine"]


def test_escape_and_the_same_key_close_it(window: MainWindow, palette: Palette) -> None:
    press(palette, Qt.Key.Key_Escape)
    assert not any(found.isVisible() for found in window.findChildren(Palette))
    window.open_palette()
    QTest.keyClick(palette_of(window).field, Qt.Key.Key_K, CONTROL)
    assert not any(found.isVisible() for found in window.findChildren(Palette))


def test_the_selected_entry_is_announced_and_stays_selected(store: AppStore, palette: Palette) -> None:
    QTest.keyClicks(palette.field, "web")
    press(palette, Qt.Key.Key_Down)
    marked = palette.titles[1]
    assert marked in palette.field.accessibleDescription()
    store.set_containers(tuple(reversed(samples.containers())))
    assert palette.titles[palette.list.currentIndex().row()] == marked


def test_nothing_found_and_hostile_names(store: AppStore, palette: Palette) -> None:
    QTest.keyClicks(palette.field, "zzqq")
    assert palette.titles == []
    press(palette, Qt.Key.Key_Return, Qt.Key.Key_Down)
    palette.field.clear()
    store.set_containers(samples.hostile())
    QTest.keyClicks(palette.field, "x")
    assert palette.titles
    assert not palette.grab().isNull()


@pytest.mark.no_cover
def test_a_thousand_containers_are_quick(store: AppStore, palette: Palette) -> None:
    store.set_containers(samples.many(1000))
    palette.field.setText("w")  # the words of all are folded once
    best = dict.fromkeys(("we", "web", "web 9", "web 99 st", "stop"), 1.0)
    for _ in range(3):  # on a busy computer even the processor's own time is up to twice as long now and then
        for typed in best:
            began = time.process_time()
            palette.field.setText(typed)
            best[typed] = min(best[typed], time.process_time() - began)
    worst = max(best.values())
    assert worst < 0.1, "a key press must not be felt, even on a slow computer"


def test_what_the_machine_takes_is_offered_and_nothing_while_it_is_busy(store: AppStore, qtbot: QtBot) -> None:
    def offered() -> set[str]:
        return {entry.key.removeprefix("action:") for entry in machine_entries(store)}

    show_machine(store, Phase.RUNNING)
    assert {"suspend", "restart", "stop", "checkpoints", "update", "reclaim", "suspend-and-quit"} <= offered()
    suspend = next(entry for entry in machine_entries(store) if entry.key == "action:suspend")
    assert suspend.title == "Suspend the machine"
    with qtbot.waitSignal(store.intents.suspend_machine):
        suspend.run()
    show_machine(store, Phase.SUSPENDED)
    assert "start" in offered()
    assert "reclaim" not in offered()
    show_machine(store, Phase.RUNNING, operation=MOVING)
    assert offered() == {"refresh", "checks", "check-network", "quit"}
