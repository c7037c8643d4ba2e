"""The Settings page: what it shows, the requests it sends, and that typed text is never lost."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.features.settings.page import SETTINGS, SettingsPage
from app.frame.main_window import MainWindow
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.ui.theme import Scheme
from backend.control import messages
from backend.control.messages.request import Request
from backend.model import Phase
from tests.gui.scenes import settings_samples
from tests.gui.scenes.replies import reply
from tests.gui.scenes.settings_samples import config_answer, daemon_answer, settings_loaded
from tests.gui.screenshots import machine, running, settings_page

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def asked(store: AppStore) -> list[Request[Any]]:
    made: list[Request[Any]] = []
    store.intents.request_agent.connect(made.append)
    return made


@pytest.fixture
def page(store: AppStore, window: MainWindow, asked: list[Request[Any]]) -> SettingsPage:
    running(store)
    settings_loaded(store)
    return settings_page(window, "general")


def test_general_changes_preferences_at_once(store: AppStore, page: SettingsPage) -> None:
    general, kept = page.general, store.preferences
    general.tray.box.click()
    general.notifications.box.click()
    general.machine.box.click()
    assert (kept.close_to_tray, kept.notifications, kept.start_machine) == (False, False, True)
    general.theme.box.setCurrentIndex(2)
    general.theme.box.activated.emit(2)
    assert kept.theme is Scheme.DARK


def test_starting_at_login_is_the_agents(store: AppStore, page: SettingsPage, asked: list[Any]) -> None:
    assert page.general.background.isVisible()
    page.general.login.box.click()
    assert asked == [messages.SetAutostart(on=False)]
    store.part(SettingsStore).take(*reply(messages.SetAutostart(on=True), {"on": False, "place": "x"}))
    assert not page.general.login.box.isChecked()
    assert not page.general.background.isVisible()


def test_only_what_was_changed_is_applied(store: AppStore, page: SettingsPage, asked: list[Any]) -> None:
    resources = page.resources
    assert not resources.apply.isEnabled()
    assert (resources.rows.cpus.value, resources.rows.memory.value, resources.rows.disk.value) == (4, 4096, 64)
    page.tabs.setCurrentWidget(resources)
    resources.rows.memory.slider.setValue(24)
    assert resources.rows.memory.value == 6144
    QTest.mouseClick(resources.apply, LEFT)
    assert asked == [messages.SetSettings(values={"machine.memory_mib": 6144})]
    store.part(SettingsStore).take(
        *reply(messages.SetSettings(values={}), config_answer(machine_memory_mib=6144, reasons=("machine.memory_mib",)))
    )
    assert not resources.apply.isEnabled()
    assert "Memory" in page.restart._label.text()


def test_swap_can_be_turned_off_and_on(store: AppStore, page: SettingsPage, asked: list[Any]) -> None:
    resources = page.resources
    page.tabs.setCurrentWidget(resources)
    assert resources.rows.swap.value == 1024
    resources.rows.swap.field.setValue(0)
    QTest.mouseClick(resources.apply, LEFT)
    assert asked == [messages.SetSettings(values={"machine.swap_mib": 0})]
    answer = config_answer(machine_swap_mib=0, reasons=("machine.swap_mib",))
    store.part(SettingsStore).take(*reply(messages.SetSettings(values={}), answer))
    assert resources.rows.swap.value == 0
    assert "Swap" in page.restart._label.text()


def test_pending_changes_offer_a_restart(store: AppStore, page: SettingsPage, qtbot: QtBot) -> None:
    page.tabs.setCurrentWidget(page.resources)
    assert not page.restart.isVisible()
    settings_loaded(store, reasons=("machine.cpus", "daemon"))
    assert page.restart.isVisible()
    with qtbot.waitSignal(store.intents.restart_machine):
        QTest.mouseClick(page.restart.button, LEFT)
    machine(store, Phase.STOPPED)
    assert not page.restart.isVisible(), "nothing runs that could be restarted"


def test_the_disk_can_only_grow_and_much_is_marked(page: SettingsPage) -> None:
    rows = page.resources.rows
    rows.disk.field.setValue(10)
    assert rows.disk.value == 64
    before = rows.memory.is_dangerous
    rows.memory.field.setValue(15_000)
    assert (before, rows.memory.is_dangerous) == (False, True)
    assert "slow" in rows.memory.note.text()
    assert "slow" in rows.memory.field.accessibleDescription()


def test_an_unapplied_choice_survives_updates(store: AppStore, page: SettingsPage) -> None:
    page.resources.rows.cpus.field.setValue(6)
    settings_loaded(store)
    assert page.resources.rows.cpus.value == 6
    page.tabs.setCurrentWidget(page.resources)
    QTest.mouseClick(page.resources.discard, LEFT)
    assert page.resources.rows.cpus.value == 4


def test_letting_wherry_choose(store: AppStore, page: SettingsPage, asked: list[Any]) -> None:
    assert not page.resources.automatic.isEnabled()
    settings_loaded(store, machine_cpus=2)
    page.tabs.setCurrentWidget(page.resources)
    QTest.mouseClick(page.resources.automatic, LEFT)
    assert asked == [messages.SetSettings(values={"machine.cpus": 0, "machine.memory_mib": 0})]


def test_a_refusal_is_shown_in_place(store: AppStore, page: SettingsPage) -> None:
    store.part(SettingsStore).take(messages.SetSettings(values={}), settings_samples.CONFIG_PROBLEM)
    assert page.resources.problem.problem == settings_samples.CONFIG_PROBLEM
    assert store.problem is None
    settings_loaded(store)
    assert page.resources.problem.problem is None


def test_daemon_json_is_checked_while_it_is_typed(page: SettingsPage, qtbot: QtBot) -> None:
    engine = page.engine
    page.tabs.setCurrentWidget(engine)
    engine.editor.setPlainText('{\n  "debug": 3\n}')
    qtbot.waitUntil(lambda: engine.findings.count() == 1)
    assert engine.findings.item(0).text() == "Line 2: “debug” must be true or false."
    assert not engine.save.isEnabled()
    engine.findings.itemActivated.emit(engine.findings.item(0))
    assert engine.editor.textCursor().blockNumber() == 1
    engine.editor.setPlainText('{\n  "debug": true\n}')
    qtbot.waitUntil(lambda: engine.findings.count() == 0)
    assert engine.save.isEnabled()


def test_daemon_json_is_saved_and_dockerds_result_is_shown(
    store: AppStore, page: SettingsPage, asked: list[Any]
) -> None:
    engine = page.engine
    page.tabs.setCurrentWidget(engine)
    engine.editor.setPlainText('{"future": 1}')
    QTest.mouseClick(engine.save, LEFT)
    assert asked == [messages.SetDaemonFile(text='{"future": 1}')]
    finding = {"severity": "error", "line": 1, "column": 1, "message": {"text": "dockerd refuses it: <b>no</b>"}}
    store.part(SettingsStore).take(
        *reply(
            messages.SetDaemonFile(text=""),
            daemon_answer('{"future": 1}', findings=[finding], valid=False, saved=False, asked_dockerd=True),
        )
    )
    assert "<b>no</b>" in engine.findings.item(0).text()
    assert engine.editor.toPlainText() == '{"future": 1}', "what was typed is not lost"
    store.part(SettingsStore).take(
        *reply(messages.SetDaemonFile(text=""), daemon_answer('{"future": 1}', saved=True, asked_dockerd=True))
    )
    assert "validated" in engine.state.text()
    assert not engine.revert.isEnabled()
    engine.editor.setPlainText("{}")
    QTest.mouseClick(engine.save, LEFT)
    store.part(SettingsStore).take(messages.SetDaemonFile(text=""), settings_samples.CONFIG_PROBLEM)
    assert engine.state.text() == "", "nothing is being saved any more"


def test_saving_and_restarting_asks_first_and_waits_for_the_save(
    store: AppStore, window: MainWindow, page: SettingsPage, qtbot: QtBot, asked: list[Any]
) -> None:
    engine = page.engine
    page.tabs.setCurrentWidget(engine)
    engine.editor.setPlainText("{}")
    QTest.mouseClick(engine.save_and_restart, LEFT)
    (box,) = window.findChildren(QMessageBox)
    assert "5 running containers" in box.informativeText()
    assert box.defaultButton().text() == "Cancel"
    confirm = next(button for button in box.buttons() if button.text() == "Save and restart")
    with qtbot.assertNotEmitted(store.intents.restart_machine):
        QTest.mouseClick(confirm, LEFT)
    assert asked == [messages.SetDaemonFile(text="{}")]
    with qtbot.waitSignal(store.intents.restart_machine):
        store.part(SettingsStore).take(*reply(messages.SetDaemonFile(text=""), daemon_answer("{}", saved=True)))
    with qtbot.assertNotEmitted(store.intents.restart_machine):
        store.part(SettingsStore).take(*reply(messages.SetDaemonFile(text=""), daemon_answer("{}", saved=True)))


def test_updates_of_daemon_json_do_not_replace_typed_text(store: AppStore, page: SettingsPage) -> None:
    page.engine.editor.setPlainText("{ mine }")
    store.part(SettingsStore).take(*reply(messages.GetDaemonFile(), daemon_answer("{}")))
    assert page.engine.editor.toPlainText() == "{ mine }"
    page.tabs.setCurrentWidget(page.engine)
    QTest.mouseClick(page.engine.revert, LEFT)
    assert page.engine.editor.toPlainText() == "{}"
    store.part(SettingsStore).take(*reply(messages.GetDaemonFile(), daemon_answer('{"debug": true}')))
    assert page.engine.editor.toPlainText() == '{"debug": true}'


def test_format_and_the_return_key(page: SettingsPage) -> None:
    page.tabs.setCurrentWidget(page.engine)
    editor = page.engine.editor
    editor.setPlainText('{"debug":true}')
    QTest.mouseClick(page.engine.format, LEFT)
    assert editor.toPlainText() == '{\n  "debug": true\n}\n'
    editor.setPlainText("")
    QTest.keyClicks(editor, "{")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QTest.keyClicks(editor, '"a"')
    assert editor.toPlainText() == '{\n  "a"'


def test_the_docker_context(store: AppStore, page: SettingsPage, asked: list[Any]) -> None:
    docker = page.docker
    page.tabs.setCurrentWidget(docker)
    assert not docker.use.isEnabled()
    answer = settings_samples.context_answer(selected=False, current="desktop-linux")
    store.part(SettingsStore).take(*reply(messages.GetContext(), answer))
    assert "desktop-linux" in docker.state.text()
    QTest.mouseClick(docker.use, LEFT)
    QTest.mouseClick(docker.remove, LEFT)
    docker.automatic.box.click()
    assert asked == [
        messages.SelectContext(),
        messages.RemoveContext(),
        messages.SetSettings(values={"docker.context": False}),
    ]
    store.part(SettingsStore).take(
        *reply(messages.GetContext(), settings_samples.context_answer(overridden_by="DOCKER_HOST"))
    )
    assert "DOCKER_HOST" in docker.state.text()


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_can_be_opened(store: AppStore, window: MainWindow, key: str) -> None:
    running(store)
    settings_loaded(store)
    store.part(SettingsStore).take(*reply(messages.GetContext(), settings_samples.context_answer(selected=False)))
    store.intents.show_setting.emit(key)
    assert window.page_name == "settings"
    focus: QWidget | None = window.focusWidget()
    assert focus is not None
    assert focus.hasFocus()
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    assert focus in getattr(page, key.partition(".")[0]).controls.values()


def test_the_wheel_over_a_field_scrolls_the_page(store: AppStore, page: SettingsPage) -> None:
    before = page.general.theme.box.currentIndex()
    page.general.theme.box.clearFocus()
    QTest.mouseMove(page.general.theme.box)
    nothing = Qt.MouseButton.NoButton
    event = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), nothing, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(page.general.theme.box, event)
    assert page.general.theme.box.currentIndex() == before
