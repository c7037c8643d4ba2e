"""Typical tasks done by keyboard alone, in the whole window on a fake agent and a fake engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.features.containers.page import ContainersPage
from app.features.maintenance.checkpoint_dialogs import CreateDialog
from app.frame.quit_dialog import QuitDialog
from app.links.link_state import LinkState
from backend.model import Desired, EngineEndpoint, Phase
from tests.gui.fakes.fake_agent import FakeAgent, ReceivedRequest
from tests.gui.fakes.fake_engine import FakeEngine
from tests.gui.scenes import samples
from tests.gui.scenes.maintenance_scenes import checkpoints_answer, machine_page
from tests.gui.screenshots import palette_of

NONE = Qt.KeyboardModifier.NoModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
PATIENCE_MS = 60_000
PRESSES = 60


@pytest.fixture
def whole(qapp: QApplication, agent: FakeAgent, engine: FakeEngine, qtbot: QtBot) -> Iterator[WherryApp]:
    """The application with a stopped machine that starts and stops on request."""
    url = f"unix://{engine.path}"

    def obey(request: ReceivedRequest) -> None:
        if request.name == "start":
            agent.publish(samples.status(Phase.BOOTING, seq=2))
            agent.publish(samples.status(Phase.RUNNING, seq=3, endpoint=EngineEndpoint(url=url, ready=True)))
        elif request.name == "stop":
            ended = Phase.SUSPENDED if request.args["policy"] == "suspend" else Phase.STOPPED
            agent.publish(samples.status(ended, seq=4, desired=Desired.STOPPED))

    agent.on_request = obey
    made = WherryApp(qapp, lambda: str(agent.path))
    made.start(background=False)
    with qtbot.waitExposed(made.window):
        pass
    qtbot.waitUntil(lambda: made.store.phase is Phase.STOPPED, timeout=PATIENCE_MS)
    yield made
    made.close()
    shiboken6.delete(made.window)
    shiboken6.delete(made)


def press(key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> None:
    """Press a key in the focused widget."""
    focus = QApplication.focusWidget()
    assert focus is not None, "nothing has the keyboard"
    QTest.keyClick(focus, key, modifier)


def tab_to(wanted: QWidget) -> None:
    """Move the focus to a widget with Tab alone."""
    for _ in range(PRESSES):
        if QApplication.focusWidget() is wanted:
            return
        focus = QApplication.focusWidget()
        assert focus is not None
        press(Qt.Key.Key_Tab, CONTROL if focus.property("keepsTab") else NONE)
    raise AssertionError(f"Tab does not lead to {wanted.accessibleName()!r}")


def test_a_day_without_a_mouse(whole: WherryApp, agent: FakeAgent, engine: FakeEngine, qtbot: QtBot) -> None:
    window, store = whole.window, whole.store

    def asked(name: str) -> bool:
        return any(request.name == name for request in agent.requests)

    # Start the machine.
    tab_to(window.header.start)
    press(Qt.Key.Key_Return)
    # The list arrives shortly before the link is up, and until then no action on a container is possible.
    qtbot.waitUntil(lambda: store.engine_link is LinkState.UP and bool(store.containers), timeout=PATIENCE_MS)
    assert asked("start")

    # Find a container and open it: its logs come first.
    press(Qt.Key.Key_F, CONTROL)
    assert QApplication.focusWidget() is window.containers.filter
    QTest.keyClicks(window.containers.filter, "web")
    tab_to(window.containers.table)
    while [entry.name for entry in window.containers.selected] != ["web"]:
        press(Qt.Key.Key_Down)
    press(Qt.Key.Key_Return)
    page = window.page("containers")
    assert isinstance(page, ContainersPage)
    assert page.currentWidget() is page.detail

    # Back to the list, and stop it.
    press(Qt.Key.Key_Escape)
    assert page.currentWidget() is not page.detail
    assert QApplication.focusWidget() is window.containers.table
    press(Qt.Key.Key_Period, CONTROL)
    qtbot.waitUntil(
        lambda: any(entry.name == "web" and not entry.state.is_up for entry in store.containers or ()),
        timeout=PATIENCE_MS,
    )

    # Begin a new one, and leave it.
    with qtbot.waitSignal(store.intents.new_container):
        tab_to(window.containers.run)
        press(Qt.Key.Key_Return)
    if (dialog := QApplication.activeModalWidget()) is not None:
        QTest.keyClick(QApplication.focusWidget() or dialog, Qt.Key.Key_Escape)
        qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)

    # A setting, by the palette.
    window.activateWindow()
    window.containers.table.setFocus()
    press(Qt.Key.Key_K, CONTROL)
    palette = palette_of(window)
    QTest.keyClicks(palette.field, "notif fails")
    assert palette.titles[0] == "Notify me when a container fails", palette.titles[:3]
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.page_name == "settings"
    with qtbot.waitSignal(store.preferences.changed):
        press(Qt.Key.Key_Space)
    assert not store.preferences.notifications

    # The pages have keys; stop the machine.
    press(Qt.Key.Key_1, CONTROL)
    assert window.page_name == "containers"
    tab_to(window.header.stop)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: store.phase is Phase.STOPPED, timeout=PATIENCE_MS)
    assert asked("stop")

    # Quit, with the window in sight: it must not only hide itself.
    # The offscreen platform gives the focus to no window after a popup was closed.
    with qtbot.waitActive(window):
        window.activateWindow()
    with qtbot.waitSignal(store.intents.quit):
        QTest.keyClick(window, Qt.Key.Key_Q, CONTROL)
    qtbot.waitUntil(lambda: not window.isVisible())


def test_maintenance_without_a_mouse(whole: WherryApp, agent: FakeAgent, qtbot: QtBot) -> None:
    window, store = whole.window, whole.store
    agent.answers["checkpoints.list"] = checkpoints_answer(3)
    agent.answers["checkpoints.create"] = {"id": "new"}

    def activate() -> None:
        # The offscreen platform gives the focus to no window after a dialog was closed.
        with qtbot.waitActive(window):
            window.activateWindow()

    # Start, suspend, resume.
    tab_to(window.header.start)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: store.phase is Phase.RUNNING, timeout=PATIENCE_MS)
    tab_to(window.header.suspend)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: store.phase is Phase.SUSPENDED, timeout=PATIENCE_MS)
    assert agent.received("stop") == [{"policy": "suspend"}]
    tab_to(window.header.start)
    press(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: store.phase is Phase.RUNNING, timeout=PATIENCE_MS)

    # To the checkpoints by the palette, and make one.
    press(Qt.Key.Key_K, CONTROL)
    palette = palette_of(window)
    QTest.keyClicks(palette.field, "checkpoints")
    assert palette.titles[0] == "Checkpoints", palette.titles[:3]
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    view = machine_page(window).checkpoints
    qtbot.waitUntil(lambda: view.proxy.rowCount() == 3, timeout=PATIENCE_MS)
    activate()
    tab_to(view.create_button)
    press(Qt.Key.Key_Return)
    (dialog,) = window.findChildren(CreateDialog)
    QTest.keyClicks(dialog.name, "mine")
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: agent.received("checkpoints.create") == [{"name": "mine", "force": False}], timeout=PATIENCE_MS
    )

    # Choose one and delete it: nothing is lost by a Return too many.
    qtbot.waitUntil(lambda: not dialog_is_open(window), timeout=PATIENCE_MS)
    activate()
    tab_to(view.table)
    press(Qt.Key.Key_Down)
    assert len(view.selected) == 1
    press(Qt.Key.Key_Delete)
    (box,) = window.findChildren(QMessageBox)
    assert box.defaultButton().text() == "Cancel"
    QTest.keyClick(box, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dialog_is_open(window), timeout=PATIENCE_MS)
    assert agent.received("checkpoints.delete") == []

    # Quit: the question comes, and Escape takes it back.
    activate()
    press(Qt.Key.Key_Q, CONTROL)
    (question,) = window.findChildren(QuitDialog)
    QTest.keyClick(question, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dialog_is_open(window), timeout=PATIENCE_MS)
    assert window.isVisible()


def dialog_is_open(window: QWidget) -> bool:
    return any(found.isVisible() for found in window.findChildren(QDialog))
