"""The list of checkpoints: creating, restoring and deleting them, and what is shown of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from app.features.maintenance.checkpoint_dialogs import CreateDialog
from app.features.maintenance.checkpoints import CheckpointsView
from app.frame.main_window import MainWindow
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from backend.control import messages
from backend.errors import Action, Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.fakes.maintenance_window import MaintenanceWindow, buttons_of, started
from tests.gui.scenes.maintenance_scenes import UPDATING, checkpoint, checkpoints_answer, machine_page, show_machine
from tests.gui.scenes.replies import reply


@pytest.fixture
def whole(qapp: QApplication, agent: FakeAgent, qtbot: QtBot) -> Iterator[MaintenanceWindow]:
    yield from started(qapp, agent, qtbot)


@pytest.fixture
def checkpoints(whole: MaintenanceWindow) -> CheckpointsView:
    view = whole.part("checkpoints").checkpoints
    whole.wait(lambda: whole.store.part(MaintenanceStore).checkpoints)
    return view


def choose(view: CheckpointsView, *rows: int) -> None:
    flags = view.table.selectionModel().SelectionFlag
    view.table.clearSelection()
    for row in rows:
        view.table.selectionModel().select(view.proxy.index(row, 0), flags.Select | flags.Rows)


def test_checkpoints_are_listed_newest_first_with_why(whole: MaintenanceWindow, checkpoints: CheckpointsView) -> None:
    table = checkpoints.proxy
    whys = [table.index(row, 1).data() for row in range(table.rowCount())]
    assert whys == [
        "Manual",
        "Automatic: before update",
        "Automatic: before restore",
        "Manual",
        "Created outside Wherry",
    ]
    assert "5 checkpoints" in checkpoints._count.text()
    assert "newest 5 automatic checkpoints for 14 days" in checkpoints.policy.text()
    checkpoints.change_policy.click()
    assert whole.window.page_name == "settings"


def test_the_list_is_reloaded_from_an_agent_that_comes_back(
    whole: MaintenanceWindow, checkpoints: CheckpointsView
) -> None:
    whole.agent.die()
    whole.wait(lambda: whole.store.phase is None)
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(2)
    whole.agent.listen()
    whole.wait(lambda: checkpoints.proxy.rowCount() == 2)


def test_a_checkpoint_is_made(whole: MaintenanceWindow, checkpoints: CheckpointsView) -> None:
    whole.agent.answers["checkpoints.create"] = {"id": "new"}
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(6)
    checkpoints.create_button.click()
    (dialog,) = whole.window.findChildren(CreateDialog)
    QTest.keyClicks(dialog.name, "before I try it")
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    assert whole.received("checkpoints.create") == [{"name": "before I try it", "force": False}]
    whole.wait(lambda: checkpoints.proxy.rowCount() == 6)
    assert "Checkpoint created." in whole.notices


def test_restoring_asks_once_and_explains_what_is_lost_and_kept(
    whole: MaintenanceWindow, checkpoints: CheckpointsView
) -> None:
    choose(checkpoints, 0)
    checkpoints.restore_button.click()
    assert whole.agent.received("checkpoints.restore") == []
    words = whole.confirm()
    assert "before the experiment 0" in words
    assert "will be undone" in words
    assert "saved as a checkpoint first" in words
    assert whole.received("checkpoints.restore") == [{"id": "c0"}]


def test_several_are_deleted_one_after_the_other(whole: MaintenanceWindow, checkpoints: CheckpointsView) -> None:
    whole.agent.holds.add("checkpoints.delete")
    choose(checkpoints, 0, 2, 3)
    assert not checkpoints.restore_button.isEnabled(), "one can be gone back to, not three"
    checkpoints.delete_button.click()
    assert "Delete 3 checkpoints?" in whole.confirm()
    assert whole.received("checkpoints.delete") == [{"id": "c0"}], "the agent refuses a second one meanwhile"
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(2)
    whole.agent.release("checkpoints.delete")
    assert whole.received("checkpoints.delete", 3) == [{"id": "c0"}, {"id": "c2"}, {"id": "c3"}]
    whole.wait(lambda: checkpoints.proxy.rowCount() == 2)


def test_a_refused_deletion_ends_the_queue_and_is_reported(
    whole: MaintenanceWindow, checkpoints: CheckpointsView
) -> None:
    whole.agent.answers["checkpoints.delete"] = Problem(
        code=ProblemCode.BUSY, summary=verbatim("An update is under way.")
    )
    choose(checkpoints, 0, 1)
    checkpoints.delete_button.click()
    whole.confirm()
    whole.wait(lambda: whole.store.problem is not None)
    assert len(whole.agent.received("checkpoints.delete")) == 1


def test_return_and_delete_are_keys_of_the_list(
    whole: MaintenanceWindow, checkpoints: CheckpointsView, qtbot: QtBot
) -> None:
    whole.window.activateWindow()
    checkpoints.table.setFocus()
    choose(checkpoints, 1)
    QTest.keyClick(checkpoints.table, Qt.Key.Key_Delete)
    whole.press(go_on=False)
    whole.wait(lambda: not whole.window.findChildren(QMessageBox))
    # The offscreen platform gives the focus to no window after a dialog was closed.
    with qtbot.waitActive(whole.window):
        whole.window.activateWindow()
    checkpoints.table.setFocus()
    QTest.keyClick(checkpoints.table, Qt.Key.Key_Return)
    assert "Restore “" in whole.box().text()
    whole.box().reject()
    assert whole.agent.received("checkpoints.delete") == []


def test_a_list_that_cannot_be_read_is_a_problem_and_not_empty(whole: MaintenanceWindow) -> None:
    whole.agent.answers["checkpoints.list"] = Problem(
        code=ProblemCode.CHECKPOINT_FAILED, summary=verbatim("Unreadable.")
    )
    view = whole.part("checkpoints").checkpoints
    whole.wait(view.problem.isVisible)
    assert not view.empty.isVisible()
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(0)
    buttons_of(view.problem)["Try again"].click()
    whole.wait(view.empty.isVisible)
    assert not view.problem.isVisible()


def test_the_list_is_reloaded_after_an_operation_started_elsewhere(
    whole: MaintenanceWindow, checkpoints: CheckpointsView
) -> None:
    before = len(whole.agent.received("checkpoints.list"))
    whole.publish(Phase.RUNNING, operation=UPDATING)
    assert not checkpoints.create_button.isEnabled()
    whole.publish(Phase.RUNNING)
    whole.received("checkpoints.list", before + 1)


def test_it_is_not_loaded_while_hidden(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.RUNNING, operation=UPDATING)
    whole.publish(Phase.RUNNING)
    assert whole.agent.received("checkpoints.list") == []


def test_a_hundred_scroll_and_hostile_names_are_plain(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    answer = checkpoints_answer(100)
    answer["checkpoints"][0] = checkpoint(0, name="<b>x</b>\x1b[31m\u202e")
    store.part(MaintenanceStore).take(*reply(messages.ListCheckpoints(), answer))
    window.show_machine("checkpoints")
    view = machine_page(window).checkpoints
    assert view.proxy.rowCount() == 100
    assert view.table.verticalScrollBar().maximum() > 0
    assert "\x1b" not in view.proxy.index(0, 0).data()


def test_an_invalid_reply_is_reported(whole: MaintenanceWindow) -> None:
    whole.agent.answers["checkpoints.list"] = {"checkpoints": [{}], "policy": {}}
    whole.window.show_machine("checkpoints")
    view = machine_page(whole.window).checkpoints
    whole.wait(view.problem.isVisible)
    assert view.problem.problem is not None
    assert view.problem.problem.code is ProblemCode.AGENT_TOO_OLD


def test_unavailable_actions_explain_why(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    store.part(MaintenanceStore).take(*reply(messages.ListCheckpoints(), checkpoints_answer(5)))
    window.show_machine("checkpoints")
    view = machine_page(window).checkpoints
    choose(view, 4)
    assert view.delete_button.isEnabled()
    assert not view.restore_button.isEnabled()
    assert "created outside Wherry" in view.restore_button.toolTip()
    show_machine(store, Phase.SUSPENDED)
    for button in (view.create_button, view.restore_button, view.delete_button):
        assert not button.isEnabled()
        assert "suspended" in button.toolTip()


def test_the_result_of_an_interrupted_restore_is_reported(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    left = {
        "code": "checkpoint-failed",
        "summary": {"text": "The present was put back."},
        "tail": ["x"],
        "action": "doctor",
    }
    store.part(MaintenanceStore).take(*reply(messages.ListCheckpoints(), {**checkpoints_answer(2), "problem": left}))
    window.show_machine("checkpoints")
    shown = machine_page(window).checkpoints.problem
    assert shown.isVisible()
    assert shown.problem is not None
    assert (shown.problem.code, shown.problem.action) == (ProblemCode.CHECKPOINT_FAILED, Action.DOCTOR)
    store.part(MaintenanceStore).take(*reply(messages.ListCheckpoints(), {**checkpoints_answer(2), "problem": None}))
    assert not shown.isVisible()
