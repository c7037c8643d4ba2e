"""The main window in every state: what it shows, the requests it emits, and accessible names and shortcuts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QMessageBox,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.features.containers.list.columns import ContainerColumn
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.ui import theme
from backend.engine.types import ContainerAction
from backend.model import Phase
from tests.gui.scenes import samples
from tests.gui.screenshots import SCENES, machine, running

LEFT = Qt.MouseButton.LeftButton


@pytest.mark.parametrize("scene", SCENES)
def test_no_label_reads_its_words_as_html(store: AppStore, window: MainWindow, scene: str) -> None:
    SCENES[scene](store, window)
    for label in window.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText or not label.text()


@pytest.mark.parametrize("scene", ["logs-search", "machine-running"])
def test_dark_and_light_change_live(store: AppStore, window: MainWindow, scene: str, qapp: QApplication) -> None:
    SCENES[scene](store, window)
    theme.apply(qapp, theme.DARK)
    assert not window.grab().isNull()
    theme.apply(qapp, theme.LIGHT)


def row_named(window: MainWindow, name: str) -> int:
    model = window.containers.model
    return next(row for row in range(model.rowCount()) if model.index(row, ContainerColumn.NAME).data() == name)


@pytest.mark.parametrize(
    ("phase", "start", "restart", "stop"),
    [
        (Phase.STOPPED, True, False, False),
        (Phase.PREPARING, False, False, True),
        (Phase.BOOTING, False, False, True),
        (Phase.CONNECTING, False, False, True),
        (Phase.RUNNING, False, True, True),
        (Phase.DEGRADED, False, True, True),
        (Phase.STOPPING, False, False, False),
        (Phase.SUSPENDED, True, False, True),
        (Phase.FAILED, True, False, False),
    ],
)
def test_the_buttons_of_each_phase(
    store: AppStore, window: MainWindow, phase: Phase, start: bool, restart: bool, stop: bool
) -> None:
    machine(store, phase)
    header = window.header
    usable = [button.isVisible() and button.isEnabled() for button in (header.start, header.restart, header.stop)]
    assert usable == [start, restart, stop]


def test_without_an_agent_no_machine_action_is_available(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.RUNNING)
    store.set_agent_link(LinkState.RECONNECTING, samples.BOOT_PROBLEM)
    assert not window.header.start.isEnabled()
    assert not window.header.stop.isVisible()
    assert window.containers.problem.problem == samples.BOOT_PROBLEM


@pytest.mark.parametrize(
    ("press", "intent"),
    [
        (lambda window: window.header.start, "start_machine"),
        (lambda window: window.containers.empty.button, "start_machine"),
    ],
)
def test_start_buttons(
    store: AppStore, window: MainWindow, qtbot: QtBot, press: Callable[[MainWindow], QWidget], intent: str
) -> None:
    machine(store, Phase.STOPPED)
    with qtbot.waitSignal(getattr(store.intents, intent)):
        QTest.mouseClick(press(window), LEFT)


def test_the_step_and_its_time_are_named(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    machine(store, Phase.BOOTING)
    assert "Booting the Linux kernel" in window.header._detail.text()
    before = window.header._detail.text()
    qtbot.waitUntil(lambda: window.header._detail.text() != before)


def test_an_empty_engine_offers_a_command(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    SCENES["containers-empty"](store, window)
    buttons = list(window.containers.empty.command.findChildren(QAbstractButton))
    QTest.mouseClick(buttons[0], LEFT)
    assert QGuiApplication.clipboard().text() == "docker run -it --rm alpine"


def test_a_problem_is_copied_whole(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    machine(store, Phase.FAILED)
    copy = next(button for button in window.containers.problem.findChildren(QAbstractButton) if "Copy" in button.text())
    QTest.mouseClick(copy, LEFT)
    assert QGuiApplication.clipboard().text() == samples.BOOT_PROBLEM.as_text()


def test_keyboard_from_start_to_stop(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    """Start the machine, select a container, read its log and stop it, without a mouse."""
    machine(store, Phase.STOPPED)
    window.header.start.setFocus()
    with qtbot.waitSignal(store.intents.start_machine):
        QTest.keyClick(window.header.start, Qt.Key.Key_Return)
    running(store)
    table = window.containers.table
    QTest.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.containers.filter.hasFocus()
    QTest.keyClicks(window.containers.filter, "web")
    for _ in range(20):
        if table.hasFocus():
            break
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
    assert table.hasFocus()
    QTest.keyClick(table, Qt.Key.Key_Down)
    (web,) = window.containers.selected
    assert web.name == "web"
    with qtbot.waitSignal(store.intents.open_container) as opened:
        QTest.keyClick(table, Qt.Key.Key_Return)
    assert opened.args == [web.id, ""]
    QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Escape)
    assert table.hasFocus()
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        QTest.keyClick(table, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    assert asked.args == [(web.id,), ContainerAction.STOP]
    with qtbot.waitSignal(store.intents.refresh):
        QTest.keyClick(window, Qt.Key.Key_F5)
    with qtbot.waitSignal(store.intents.quit):
        QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)


def test_removing_asks_once_and_says_what_is_lost(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    window.containers.select(next(entry.id for entry in samples.containers() if entry.name == "web"))
    remove = window.containers.actions_by_kind[ContainerAction.REMOVE]
    assert remove.shortcut().toString() == "Del"
    with qtbot.assertNotEmitted(store.intents.act_on_containers):
        assert window.containers.selected, "nothing selected"
        assert remove.isEnabled(), "disabled"
        remove.trigger()
        (box,) = window.findChildren(QMessageBox)
        assert "web" in box.text()
        assert "killed" in box.informativeText()
        assert box.defaultButton().text() == "Cancel"
        QTest.mouseClick(box.defaultButton(), LEFT)
    window.containers.table.selectAll()
    count = len(samples.containers())
    remove.trigger()
    box = next(box for box in window.findChildren(QMessageBox) if box.isVisible())
    assert str(count) in box.text()
    confirm = next(button for button in box.buttons() if button.text() == "Remove")
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        QTest.mouseClick(confirm, LEFT)
    assert asked.args is not None
    assert len(asked.args[0]) == count


def test_only_what_applies_is_asked_of_a_mixed_selection(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    window.containers.table.selectAll()
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        window.containers.actions_by_kind[ContainerAction.START].trigger()
    assert asked.args is not None
    assert set(asked.args[0]) == {entry.id for entry in samples.containers() if not entry.state.is_up}


def test_a_click_on_a_port_opens_it(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    containers = window.containers
    row = row_named(window, "web")
    rect = containers.table.visualRect(containers.model.index(row, ContainerColumn.PORTS))
    with qtbot.waitSignal(store.intents.open_url) as opened:
        QTest.mouseClick(containers.table.viewport(), LEFT, pos=rect.topLeft() + QPoint(15, rect.height() // 4))
    assert opened.args == ["http://localhost:8080"]


def test_a_click_on_a_rows_stop_button(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    containers = window.containers
    row = row_named(window, "web")
    rect = containers.table.visualRect(containers.model.index(row, ContainerColumn.ACTIONS))
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        QTest.mouseClick(
            containers.table.viewport(), LEFT, pos=rect.topLeft() + QPoint(rect.width() - 85, rect.height() // 2)
        )
    assert asked.args is not None
    assert asked.args[1] is ContainerAction.STOP


def test_the_selection_survives_a_refresh(store: AppStore, window: MainWindow) -> None:
    running(store)
    web = next(entry for entry in samples.containers() if entry.name == "web")
    window.containers.select(web.id)
    store.set_containers(tuple(entry for entry in samples.containers() if entry.name != "chatty"))
    assert [entry.id for entry in window.containers.selected] == [web.id]


def test_a_failed_request_is_shown_until_dismissed(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    store.set_problem(samples.ENGINE_PROBLEM)
    assert window.problem.isVisible()
    dismiss = next(button for button in window.problem.findChildren(QAbstractButton) if button.text() == "Dismiss")
    QTest.mouseClick(dismiss, LEFT)
    assert not window.problem.isVisible()
    assert store.problem is None


def test_quit_shows_whether_the_machine_keeps_running(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.STOPPED)
    assert window.quit_action.text() == "Quit"
    assert not window.stop_and_quit_action.isVisible()
    machine(store, Phase.RUNNING)
    assert window.quit_action.text() == "Quit…", "it asks what becomes of the machine"
    assert window.stop_and_quit_action.isVisible()


def test_closing_only_asks(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.closing):
        window.close()
    assert window.isVisible()
