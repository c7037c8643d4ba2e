"""The tray's menu for each state of the store."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.frame.tray import MENU_CONTAINERS, Tray
from app.state.store import AppStore
from backend.engine.types import ContainerAction
from backend.model import Phase
from tests.gui.scenes import samples
from tests.gui.screenshots import machine, running


@pytest.fixture
def tray(store: AppStore) -> Tray:
    return Tray(store, store)


def entries(tray: Tray) -> list[str]:
    return [action.text() for action in tray.menu.actions() if not action.isSeparator()]


def test_before_anything_is_known(tray: Tray) -> None:
    assert entries(tray) == ["Open Wherry", "Machine: Connecting", "Settings", "Quit"]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.STOPPED, ["Start", "Settings", "Quit"]),
        (Phase.BOOTING, ["Stop", "Settings", "Quit and keep the machine running", "Stop the machine and quit"]),
        (
            Phase.RUNNING,
            [
                *("Suspend", "Restart", "Stop", "Settings", "Quit and keep the machine running"),
                *("Suspend the machine and quit", "Stop the machine and quit"),
            ],
        ),
        (Phase.SUSPENDED, ["Resume", "Stop", "Settings", "Quit"]),
        (Phase.STOPPING, ["Settings", "Quit and keep the machine running", "Stop the machine and quit"]),
        (Phase.FAILED, ["Start again", "Settings", "Quit"]),
    ],
)
def test_the_menu_of_each_phase(store: AppStore, tray: Tray, phase: Phase, expected: list[str]) -> None:
    machine(store, phase)
    assert entries(tray)[2:] == expected
    assert entries(tray)[0] == "Open Wherry", "on some desktops a click only opens the menu: the window comes first"


def test_running_containers_have_a_menu_each(store: AppStore, tray: Tray, qtbot: QtBot) -> None:
    running(store)
    tray.refresh()
    assert tray.icon.toolTip() == f"Wherry: Running, {len(store.running)} containers"
    menus = {action.text(): action.menu() for action in tray.menu.actions() if action.menu()}
    assert set(menus) == {entry.name for entry in store.running} | {"Stopped containers"}
    web = menus["web"]
    assert isinstance(web, QMenu)
    assert [action.text() for action in web.actions()] == [
        "Logs",
        "Open http://localhost:8080",
        "Open https://localhost:8443",
        "Stop",
        "Restart",
    ]
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        web.actions()[3].trigger()
    assert asked.args is not None
    assert asked.args[1] is ContainerAction.STOP
    with qtbot.waitSignals([store.intents.show_window, store.intents.open_container]):
        web.actions()[0].trigger()
    with qtbot.waitSignal(store.intents.open_url):
        web.actions()[1].trigger()


def test_stopped_containers_can_be_started(store: AppStore, tray: Tray, qtbot: QtBot) -> None:
    running(store)
    tray.refresh()
    stopped = next(action.menu() for action in tray.menu.actions() if action.text() == "Stopped containers")
    assert isinstance(stopped, QMenu)
    chatty = next(action.menu() for action in stopped.actions() if action.text() == "chatty")
    assert isinstance(chatty, QMenu)
    assert [action.text() for action in chatty.actions()] == ["Logs", "Start"]
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        chatty.actions()[1].trigger()
    assert asked.args is not None
    assert asked.args[1] is ContainerAction.START


def test_the_state_says_the_step(store: AppStore, tray: Tray, qtbot: QtBot) -> None:
    machine(store, Phase.BOOTING)
    assert entries(tray)[1] == "Machine: Starting · Booting the Linux kernel"
    settings = next(action for action in tray.menu.actions() if action.text() == "Settings")
    with qtbot.waitSignals([store.intents.show_window, store.intents.show_page]):
        settings.trigger()


def test_many_containers_do_not_fill_the_screen(store: AppStore, tray: Tray) -> None:
    running(store)
    tray.refresh()
    store.set_containers(samples.many(200))
    tray.refresh()
    assert sum(action.menu() is not None for action in tray.menu.actions()) == MENU_CONTAINERS + 1
    assert any("more" in words for words in entries(tray))


def test_a_name_with_an_ampersand_is_no_shortcut(store: AppStore, tray: Tray) -> None:
    running(store)
    tray.refresh()
    store.set_containers(samples.hostile())
    tray.refresh()
    assert "A&&B" in entries(tray)


@pytest.mark.parametrize(
    ("words", "intent"), [("Stop the machine and quit", "stop_and_quit"), ("Stop", "stop_machine")]
)
def test_entries_emit_their_intents(store: AppStore, tray: Tray, qtbot: QtBot, words: str, intent: str) -> None:
    running(store)
    tray.refresh()
    action = next(action for action in tray.menu.actions() if action.text() == words)
    with qtbot.waitSignal(getattr(store.intents, intent)):
        action.trigger()


def test_a_click_on_a_message_does_what_that_message_is_about(store: AppStore, tray: Tray, qtbot: QtBot) -> None:
    opened: list[str] = []
    tray.message("web failed", "Exited with code 1.", lambda: opened.append("log"))
    tray.icon.messageClicked.emit()
    assert opened == ["log"]
    tray.message("Wherry is still running", "You can open or quit it from its tray icon.")
    with qtbot.waitSignal(store.intents.show_window):
        tray.icon.messageClicked.emit()
    assert opened == ["log"], "not what an earlier message was about"
