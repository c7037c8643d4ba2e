"""The first-run page: shown once, starts with the chosen settings, shows the steps, closes when the engine is up."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.features.machine.console import ConsoleView
from app.features.machine.first_run import FirstRunView
from app.frame.main_window import MainWindow
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from backend.control import messages
from backend.control.messages.request import Request
from backend.model import Phase
from tests.gui.scenes import samples, settings_samples
from tests.gui.scenes.replies import reply
from tests.gui.scenes.settings_samples import config_answer, settings_loaded
from tests.gui.screenshots import SCENES, machine, running

LEFT = Qt.MouseButton.LeftButton
SERIAL = messages.ReadLog(which=messages.MachineLog.SERIAL)


@pytest.fixture
def asked(store: AppStore) -> list[Request[Any]]:
    made: list[Request[Any]] = []
    store.intents.request_agent.connect(made.append)
    return made


@pytest.fixture
def page(store: AppStore, window: MainWindow, asked: list[Any]) -> FirstRunView:
    SCENES["first-run"](store, window)
    assert window.first_run is not None
    assert window.first_run.isVisible()
    return window.first_run


def test_a_machine_with_a_disk_has_no_first_run(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.STOPPED)
    settings_loaded(store)
    assert window.first_run is None
    assert window.containers.isVisible()


def test_the_defaults_are_started_at_once(store: AppStore, page: FirstRunView, qtbot: QtBot, asked: list[Any]) -> None:
    with qtbot.waitSignal(store.intents.start_machine):
        QTest.mouseClick(page.start, LEFT)
    assert asked == []


def test_what_was_chosen_is_saved_before_the_start(
    store: AppStore, page: FirstRunView, qtbot: QtBot, asked: list[Any]
) -> None:
    page.rows.memory.field.setValue(2048)
    page.rows.disk.field.setValue(20)
    page.context.box.click()
    page.login.box.click()
    with qtbot.assertNotEmitted(store.intents.start_machine):
        QTest.mouseClick(page.start, LEFT)
    chosen = {"machine.memory_mib": 2048, "machine.disk_gib": 20, "docker.context": False}
    assert asked == [messages.SetAutostart(on=True), messages.SetSettings(values=chosen)]
    with qtbot.waitSignal(store.intents.start_machine):
        store.part(SettingsStore).take(
            *reply(messages.SetSettings(values={}), config_answer(disk_gib=None, machine_memory_mib=2048))
        )
    with qtbot.assertNotEmitted(store.intents.start_machine):
        store.part(SettingsStore).take(*reply(messages.GetSettings(), config_answer(disk_gib=None)))


def test_a_refused_choice_is_shown_and_not_started(store: AppStore, page: FirstRunView, qtbot: QtBot) -> None:
    page.rows.memory.field.setValue(2048)
    with qtbot.assertNotEmitted(store.intents.start_machine):
        QTest.mouseClick(page.start, LEFT)
        store.part(SettingsStore).take(messages.SetSettings(values={}), settings_samples.CONFIG_PROBLEM)
        store.part(SettingsStore).take(*reply(messages.GetSettings(), config_answer(disk_gib=None)))
    assert page.start.isEnabled()


def test_the_first_boot_is_followed_to_the_list(store: AppStore, window: MainWindow, page: FirstRunView) -> None:
    machine(store, Phase.BOOTING)
    assert page.steps.isVisible()
    assert not page.start.isVisible()
    settings_loaded(store)  # the disk exists now, but it is still the first run
    assert page.isVisible()
    running(store)
    assert window.first_run is None
    assert window.containers.isVisible()


def test_nothing_else_is_blocked(store: AppStore, window: MainWindow, page: FirstRunView, qtbot: QtBot) -> None:
    machine(store, Phase.BOOTING)
    for name in ("settings", "machine"):
        window.show_page(name)
        assert window.page(name).isVisible()
    with qtbot.waitSignal(store.intents.quit):
        window.quit_action.trigger()
    window.show_page("containers")
    assert page.isVisible()


def test_a_failed_first_start_can_be_tried_again(store: AppStore, page: FirstRunView, qtbot: QtBot) -> None:
    machine(store, Phase.FAILED)
    assert page.problem.problem == samples.BOOT_PROBLEM
    assert page.console.toggle.isVisible()
    with qtbot.waitSignal(store.intents.start_machine):
        QTest.mouseClick(page.start, LEFT)
    assert page.start.text() == "Start again"


def test_the_console_is_read_while_it_is_shown(
    store: AppStore, qtbot: QtBot, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.features.machine.console.READ_EVERY_MS", 20)
    console = ConsoleView(store)
    qtbot.addWidget(console)
    console.show()
    assert asked == []
    QTest.mouseClick(console.toggle, LEFT)
    qtbot.waitUntil(lambda: len(asked) >= 2)
    assert asked[0] == SERIAL
    QTest.mouseClick(console.toggle, LEFT)
    asked.clear()
    qtbot.wait(100)  # a timer that still ran would have fired first
    assert asked == []


def test_the_console_is_shown_safely_and_keeps_its_selection(store: AppStore, qtbot: QtBot) -> None:
    console = ConsoleView(store)
    qtbot.addWidget(console)
    console.show()
    QTest.mouseClick(console.toggle, LEFT)
    said = "one \x1b[31mred\x1b[0m\r\n<b>two</b>\x07\n"
    store.part(SettingsStore).take(*reply(SERIAL, {"which": "serial", "text": said}))
    assert console.text.toPlainText() == "one red\n<b>two</b>\n"
    console.text.selectAll()
    store.part(SettingsStore).take(*reply(SERIAL, {"which": "serial", "text": said + "three\n"}))
    assert console.text.toPlainText() == "one red\n<b>two</b>\nthree\n"
    assert console.text.textCursor().selectedText().startswith("one red")
    store.part(SettingsStore).take(*reply(SERIAL, {"which": "serial", "text": "another boot"}))
    assert console.text.toPlainText() == "another boot"
    store.part(SettingsStore).take(SERIAL, settings_samples.CONFIG_PROBLEM)
    assert store.part(SettingsStore).problem(Topic.LOGS) == settings_samples.CONFIG_PROBLEM
    assert console.problem.isVisible()
