"""Suspending, operations, checkpoints, updates and the disk: the whole window on a fake agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.main_window import MainWindow
from app.store import AppStore
from app.views.checkpoints import CheckpointsView, CreateDialog
from app.views.machine import MachineView
from app.views.problem import ActionButton, ProblemView
from app.views.settings.page import SettingsPage, offered_settings
from backend.errors import Action, Problem, ProblemCode
from backend.model import Notice, OperationStatus, Phase
from tests.gui import samples, settings_samples
from tests.gui.fake_agent import FakeAgent
from tests.gui.upkeep_scenes import (
    DISK_FULL,
    ENGINE_DOWN,
    HUNG,
    MEMORY_LOW,
    MOVING,
    UPDATE,
    UPDATING,
    checkpoint,
    checkpoints_answer,
    machine_page,
    show_machine,
)

PATIENCE_MS = 10_000
GIB = 1024**3


class Whole:
    """The application, and a machine that is what a test says."""

    def __init__(self, app: WherryApp, agent: FakeAgent, qtbot: QtBot) -> None:
        self.app, self.agent, self._qtbot = app, agent, qtbot
        self.store, self.window = app.store, app.window
        self.notices: list[str] = []
        self.store.noticed.connect(lambda notice: self.notices.append(notice.text))
        self._seq = 1

    def publish(self, phase: Phase, **changes: Any) -> None:
        """The machine from now on; waits until the window knows."""
        self._seq += 1
        status = samples.status(phase, seq=self._seq, **changes)
        self.agent.publish(status)
        self.wait(lambda: self.store.machine == status)

    def wait(self, condition: Any) -> None:
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)

    def asked(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The arguments of requests, once there are so many."""
        self.wait(lambda: len(self.agent.asked(name)) >= count)
        return self.agent.asked(name)

    def confirm(self) -> str:
        """Go on in the question that is open; gives its words."""
        box = self.box()
        words = f"{box.text()}\n{box.informativeText()}"
        self.press(go_on=True)
        return words

    def press(self, *, go_on: bool) -> None:
        """Answer the question that is open."""
        (button,) = [made for made in self.box().buttons() if (made.text() != "Cancel") is go_on]
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def box(self) -> QMessageBox:
        """The question that is open."""
        (box,) = [found for found in self.window.findChildren(QMessageBox) if found.isVisible()]
        return box

    def part(self, name: str) -> MachineView:
        """The Machine page, open at a part of it."""
        self.window.show_machine(name)
        return machine_page(self.window)


@pytest.fixture
def whole(qapp: QApplication, agent: FakeAgent, qtbot: QtBot) -> Iterator[Whole]:
    agent.answers |= {
        "config.get": settings_samples.config_answer(),
        "daemon.get": settings_samples.daemon_answer(),
        "context.get": settings_samples.context_answer(),
        "autostart.get": {"on": False, "place": "x"},
        "checkpoints.list": checkpoints_answer(5),
        "update.check": UPDATE,
    }
    agent.status = samples.status(Phase.RUNNING)
    app = WherryApp(qapp, lambda: str(agent.path))
    app.start(background=False)
    with qtbot.waitExposed(app.window):
        pass
    made = Whole(app, agent, qtbot)
    made.wait(lambda: app.store.settings.machine is not None and app.store.phase is Phase.RUNNING)
    yield made
    app.close()
    shiboken6.delete(app.window)
    shiboken6.delete(app)


def usable(window: MainWindow) -> list[str]:
    """Words on the buttons of the header that can be pressed."""
    header = window.header
    buttons = (header.start, header.suspend, header.restart, header.stop, header.cancel)
    return [made.accessibleName() for made in buttons if made.isVisible() and made.isEnabled()]


def buttons_of(widget: QWidget) -> dict[str, QPushButton]:
    return {made.text(): made for made in widget.findChildren(QPushButton) if made.isVisible()}


# Suspended


def test_suspend_and_resume(whole: Whole) -> None:
    assert usable(whole.window) == ["Suspend", "Restart", "Stop"]
    whole.window.header.suspend.click()
    assert whole.asked("stop") == [{"policy": "suspend"}]
    whole.publish(Phase.STOPPING)
    assert "Saving memory" in whole.window.header._detail.whole
    whole.publish(Phase.SUSPENDED)
    assert usable(whole.window) == ["Resume"]
    assert not whole.store.machine_keeps_running
    assert whole.window.containers.empty.isVisible()
    buttons_of(whole.window.containers.empty)["Resume"].click()
    assert len(whole.asked("start")) == 1


def test_a_stop_is_not_called_a_suspension(whole: Whole) -> None:
    whole.window.header.stop.click()
    assert whole.asked("stop") == [{"policy": "power-down"}]
    whole.publish(Phase.STOPPING)
    assert "Closing containers" in whole.window.header._detail.whole


def test_what_the_agent_did_instead_of_suspending_is_said(whole: Whole) -> None:
    whole.agent.notice("This computer's accelerator cannot be suspended: the machine was stopped in order.")
    whole.wait(lambda: whole.notices)
    assert any(
        "cannot be suspended" in label.text() for label in whole.window.findChildren(QLabel) if label.isVisible()
    )


@pytest.mark.parametrize("page", ["images", "volumes", "networks", "logs", "containers"])
def test_every_list_offers_to_resume(store: AppStore, window: MainWindow, qtbot: QtBot, page: str) -> None:
    show_machine(store, Phase.SUSPENDED)
    window.show_page(page)
    shown = buttons_of(window.page(page))
    assert any("suspended" in label.text() for label in window.page(page).findChildren(QLabel) if label.isVisible())
    with qtbot.waitSignal(store.intents.start_machine):
        shown["Resume"].click()


# Operations


def test_an_operation_is_shown_everywhere_and_nothing_else_is_offered(whole: Whole) -> None:
    whole.publish(Phase.RUNNING, operation=MOVING)
    header = whole.window.header
    assert usable(whole.window) == ["Cancel"]
    assert "Not now: Moving the disk" in header.suspend.toolTip()
    assert header._progress.value() == 420
    assert "Copying the disk" in header._detail.whole
    card = whole.part("overview").overview.operation
    assert (card.title.text(), card.percent.text()) == ("Moving the disk", "42 %")
    assert not whole.window.restart_action.isEnabled()
    assert not whole.window.stop_and_quit_action.isEnabled()
    card.cancel.click()
    assert whole.asked("operation.cancel") == [{}]
    whole.publish(Phase.RUNNING)
    assert usable(whole.window) == ["Suspend", "Restart", "Stop"]
    assert not card.isVisible()


def test_an_operation_that_cannot_be_taken_back_has_no_cancel(whole: Whole) -> None:
    whole.publish(Phase.BOOTING, operation=UPDATING)
    assert usable(whole.window) == []
    assert whole.window.header._progress.maximum() == 0, "nobody knows how far it is"


def test_an_operation_that_this_window_does_not_know_has_the_agents_words(whole: Whole) -> None:
    whole.publish(Phase.RUNNING, operation=OperationStatus(name="new.thing", title="Doing something new"))
    assert whole.window.header._detail.whole == "Doing something new"


# Problems


@pytest.mark.parametrize(
    ("action", "request_", "args"),
    [
        (Action.START, "start", {}),
        (Action.CONTINUE, "start", {}),
        (Action.RESTART, "restart", {}),
        (Action.FORCE_RESTART, "restart", {"kill": True}),
        (Action.RESTART_ENGINE, "engine.restart", {}),
        (Action.RECLAIM, "reclaim", {}),
    ],
)
def test_what_a_problem_offers_is_one_click(whole: Whole, action: Action, request_: str, args: dict[str, Any]) -> None:
    problem = Problem(code=ProblemCode.GUEST_HUNG, summary="It hangs.", action=action)
    whole.agent.holds.add(request_)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    (button,) = whole.window.alert.findChildren(ActionButton)
    button.click()
    assert whole.asked(request_) == [args]
    assert not button.isEnabled(), "a second click would ask a second time"


def test_the_diagnostics_open_and_run(whole: Whole, qtbot: QtBot) -> None:
    problem = Problem(code=ProblemCode.ENGINE_DOWN, summary="No.", action=Action.DOCTOR)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    with qtbot.waitSignal(whole.store.intents.run_checks):
        whole.window.alert.findChildren(ActionButton)[0].click()
    page = machine_page(whole.window)
    assert page.tabs.currentWidget() is page.checks


def test_an_action_that_was_refused_can_be_asked_again(whole: Whole) -> None:
    whole.agent.answers["engine.restart"] = Problem(code=ProblemCode.ENGINE_DOWN, summary="It does not come back.")
    problem = Problem(code=ProblemCode.ENGINE_DOWN, summary="No.", action=Action.RESTART_ENGINE)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    (button,) = whole.window.alert.findChildren(ActionButton)
    button.click()
    whole.wait(lambda: whole.store.problem is not None)
    whole.wait(button.isEnabled)
    assert whole.window.problem.isVisible()


def test_all_problems_are_reached_and_broken_ones_come_first(whole: Whole) -> None:
    whole.publish(Phase.DEGRADED, problems=(DISK_FULL, MEMORY_LOW, HUNG, ENGINE_DOWN))
    alert = whole.window.alert
    assert alert.title.text() == "The machine hangs"
    assert alert.more.text() == "3 more"
    alert.more.click()
    page = machine_page(whole.window)
    shown = [view.problem for view in page.findChildren(ProblemView) if view.isVisible()]
    assert shown == [HUNG, ENGINE_DOWN, DISK_FULL, MEMORY_LOW]
    assert not alert.isVisible(), "the page says it all"
    for view, problem in zip(page.overview._problems, shown, strict=True):
        assert problem is not None
        assert problem.action is not None
        assert len(view.findChildren(ActionButton)) == 1


def test_a_warning_does_not_look_broken(whole: Whole) -> None:
    whole.publish(Phase.RUNNING, problems=(DISK_FULL,))
    assert whole.window.header._phase.text() == "Running"
    assert whole.window.alert.property("level") == "warning"
    whole.publish(Phase.RUNNING)
    assert not whole.window.alert.isVisible()


# Checkpoints


@pytest.fixture
def checkpoints(whole: Whole) -> CheckpointsView:
    view = whole.part("checkpoints").checkpoints
    whole.wait(lambda: whole.store.upkeep.checkpoints)
    return view


def choose(view: CheckpointsView, *rows: int) -> None:
    flags = view.table.selectionModel().SelectionFlag
    view.table.clearSelection()
    for row in rows:
        view.table.selectionModel().select(view.proxy.index(row, 0), flags.Select | flags.Rows)


def test_checkpoints_are_listed_newest_first_with_why(whole: Whole, checkpoints: CheckpointsView) -> None:
    table = checkpoints.proxy
    whys = [table.index(row, 1).data() for row in range(table.rowCount())]
    assert whys == [
        "By hand",
        "Automatic: before an update",
        "Automatic: before going back",
        "By hand",
        "Not made by Wherry",
    ]
    assert "5 checkpoints" in checkpoints._count.text()
    assert "newest 5 are kept, for 14 days" in checkpoints.policy.text()
    checkpoints.change_policy.click()
    assert whole.window.page_name == "settings"


def test_a_checkpoint_is_made(whole: Whole, checkpoints: CheckpointsView) -> None:
    whole.agent.answers["checkpoints.create"] = {"id": "new"}
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(6)
    checkpoints.create_button.click()
    (dialog,) = whole.window.findChildren(CreateDialog)
    QTest.keyClicks(dialog.name, "before I try it")
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    assert whole.asked("checkpoints.create") == [{"name": "before I try it"}]
    whole.wait(lambda: checkpoints.proxy.rowCount() == 6)
    assert "The checkpoint was made." in whole.notices


def test_going_back_asks_once_and_says_what_is_lost_and_kept(whole: Whole, checkpoints: CheckpointsView) -> None:
    choose(checkpoints, 0)
    checkpoints.restore_button.click()
    assert whole.agent.asked("checkpoints.restore") == []
    words = whole.confirm()
    assert "before the experiment 0" in words
    assert "Gone from the machine" in words
    assert "Kept: the present" in words
    assert whole.asked("checkpoints.restore") == [{"id": "c0"}]


def test_several_are_deleted_one_after_the_other(whole: Whole, checkpoints: CheckpointsView) -> None:
    whole.agent.holds.add("checkpoints.delete")
    choose(checkpoints, 0, 2, 3)
    assert not checkpoints.restore_button.isEnabled(), "one can be gone back to, not three"
    checkpoints.delete_button.click()
    assert "Delete 3 checkpoints?" in whole.confirm()
    assert whole.asked("checkpoints.delete") == [{"id": "c0"}], "the agent refuses a second one meanwhile"
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(2)
    whole.agent.release("checkpoints.delete")
    assert whole.asked("checkpoints.delete", 3) == [{"id": "c0"}, {"id": "c2"}, {"id": "c3"}]
    whole.wait(lambda: checkpoints.proxy.rowCount() == 2)


def test_a_refused_deletion_ends_the_row_and_is_said(whole: Whole, checkpoints: CheckpointsView) -> None:
    whole.agent.answers["checkpoints.delete"] = Problem(code=ProblemCode.BUSY, summary="An update is under way.")
    choose(checkpoints, 0, 1)
    checkpoints.delete_button.click()
    whole.confirm()
    whole.wait(lambda: whole.store.problem is not None)
    assert len(whole.agent.asked("checkpoints.delete")) == 1


def test_return_and_delete_are_keys_of_the_list(whole: Whole, checkpoints: CheckpointsView, qtbot: QtBot) -> None:
    whole.window.activateWindow()
    checkpoints.table.setFocus()
    choose(checkpoints, 1)
    QTest.keyClick(checkpoints.table, Qt.Key.Key_Delete)
    whole.press(go_on=False)
    whole.wait(lambda: not whole.window.findChildren(QMessageBox))
    # The offscreen platform gives the keyboard to nobody when a dialog was closed.
    with qtbot.waitActive(whole.window):
        whole.window.activateWindow()
    checkpoints.table.setFocus()
    QTest.keyClick(checkpoints.table, Qt.Key.Key_Return)
    assert "Go back to" in whole.box().text()
    whole.box().reject()
    assert whole.agent.asked("checkpoints.delete") == []


def test_a_list_that_cannot_be_read_is_a_problem_and_not_empty(whole: Whole) -> None:
    whole.agent.answers["checkpoints.list"] = Problem(code=ProblemCode.CHECKPOINT_FAILED, summary="Unreadable.")
    view = whole.part("checkpoints").checkpoints
    whole.wait(view.problem.isVisible)
    assert not view.empty.isVisible()
    whole.agent.answers["checkpoints.list"] = checkpoints_answer(0)
    buttons_of(view.problem)["Try again"].click()
    whole.wait(view.empty.isVisible)
    assert not view.problem.isVisible()


def test_the_list_is_read_anew_after_an_operation_of_somebody_else(whole: Whole, checkpoints: CheckpointsView) -> None:
    before = len(whole.agent.asked("checkpoints.list"))
    whole.publish(Phase.RUNNING, operation=UPDATING)
    assert not checkpoints.create_button.isEnabled()
    whole.publish(Phase.RUNNING)
    whole.asked("checkpoints.list", before + 1)


def test_it_is_not_read_while_nobody_looks(whole: Whole) -> None:
    whole.publish(Phase.RUNNING, operation=UPDATING)
    whole.publish(Phase.RUNNING)
    assert whole.agent.asked("checkpoints.list") == []


def test_a_hundred_scroll_and_hostile_names_are_plain(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    answer = checkpoints_answer(100)
    answer["checkpoints"][0] = checkpoint(0, name="<b>x</b>\x1b[31m\u202e")
    store.upkeep.take("checkpoints.list", answer)
    window.show_machine("checkpoints")
    view = machine_page(window).checkpoints
    assert view.proxy.rowCount() == 100
    assert view.table.verticalScrollBar().maximum() > 0
    assert "\x1b" not in view.proxy.index(0, 0).data()


def test_an_answer_that_is_not_understood_is_said(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    window.show_machine("checkpoints")
    assert store.upkeep.take("checkpoints.list", {"checkpoints": [{}], "policy": {}}) is not None
    assert machine_page(window).checkpoints.problem.isVisible()


# Updates


def test_an_update_is_offered_taken_and_told_of(whole: Whole) -> None:
    whole.publish(Phase.RUNNING, image_offer="2026.12.0")
    page = whole.part("overview")
    banner = page.overview.update_banner
    whole.wait(lambda: "29.0.2" in banner.words.text())
    assert "From 2026.11.1 to 2026.12.0" in banner.words.text()
    whole.agent.holds.add("update.apply")
    banner.apply.click()
    assert whole.asked("update.apply") == [{}]
    assert not banner.apply.isEnabled()
    whole.publish(Phase.BOOTING, operation=UPDATING)
    assert not banner.isVisible()
    whole.agent.answers["update.check"] = {**UPDATE, "offer": None}
    whole.publish(Phase.RUNNING)
    whole.agent.release("update.apply")
    whole.wait(lambda: any("was updated" in words for words in whole.notices))
    whole.wait(lambda: page.overview.versions.found.text() == "This is the newest.")


def test_with_containers_it_asks_before(store: AppStore, window: MainWindow) -> None:
    asked: list[str] = []
    store.intents.ask_upkeep.connect(lambda name, _args: asked.append(name))
    show_machine(store, Phase.RUNNING, image_offer="2026.12.0")
    window.show_machine("overview")
    machine_page(window).overview.update_banner.apply.click()
    (box,) = window.findChildren(QMessageBox)
    assert "running containers are stopped" in box.informativeText()
    assert asked == []
    QTest.mouseClick(box.buttons()[0], Qt.MouseButton.LeftButton)
    assert asked == ["update.apply"]


def test_an_update_that_rolled_back_is_a_problem(whole: Whole) -> None:
    problem = Problem(code=ProblemCode.UPDATE_FAILED, summary="The new image did not start; the old one runs again.")
    whole.agent.answers["update.apply"] = problem
    whole.store.intents.ask_upkeep.emit("update.apply", {})
    whole.wait(lambda: whole.store.problem == problem)
    assert not any("was updated" in words for words in whole.notices)


def test_a_cancelled_operation_is_no_problem(whole: Whole) -> None:
    whole.agent.answers["disk.move"] = Problem(code=ProblemCode.CANCELLED, summary="Cancelled.")
    whole.store.intents.ask_upkeep.emit("disk.move", {"directory": "/x"})
    whole.wait(lambda: any("Cancelled" in words for words in whole.notices))
    assert whole.store.problem is None


# Memory and disk


def test_memory_and_disk_are_given_back(whole: Whole) -> None:
    from tests.gui import stats_samples

    for sample in stats_samples.history():
        whole.store.stats.add(sample)
    usage = whole.part("overview").overview.usage
    assert usage.isVisible()
    whole.agent.answers["reclaim"] = {
        "memory_before": 3 * GIB, "memory_after": GIB, "disk_before": 20 * GIB, "disk_after": None,
    }  # fmt: skip
    usage.reclaim.click()
    assert whole.asked("reclaim") == [{}]
    whole.wait(lambda: "Given back. Memory: 3 GiB → 1 GiB" in whole.notices)
    assert usage._brought["memory"].text() == "Last time: 3 GiB → 1 GiB"
    assert not usage._brought["disk"].isVisible()


def settings(whole: Whole, section: str) -> SettingsPage:
    whole.window.show_page("settings")
    page = whole.window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(getattr(page, section))
    return page


def test_the_disk_grows_at_once_and_the_rest_is_saved(whole: Whole) -> None:
    resources = settings(whole, "resources").resources
    resources.rows.disk.field.setValue(96)
    resources.rows.cpus.field.setValue(3)
    whole.agent.answers["config.set"] = settings_samples.config_answer(machine_cpus=3)
    whole.agent.answers["config.get"] = settings_samples.config_answer(disk_gib=96, machine_cpus=3)
    resources.apply.click()
    assert whole.asked("disk.grow") == [{"size_gib": 96}]
    assert whole.asked("config.set") == [{"values": {"machine.cpus": 3}}]
    whole.wait(lambda: "The disk was made larger." in whole.notices)
    whole.wait(lambda: not resources.apply.isEnabled())
    whole.publish(Phase.RUNNING, operation=MOVING)
    resources.rows.disk.field.setValue(128)
    assert not resources.apply.isEnabled()
    assert "Not now: Moving the disk" in resources.apply.toolTip()


def test_the_disk_is_moved(whole: Whole) -> None:
    from app.views.settings.data_disk import ask_move

    rows = settings(whole, "resources").resources.data_disk
    assert rows.place.whole == settings_samples.DISK_PATH
    ask_move(rows, whole.store, "/mnt/big")
    assert "Move the disk to /mnt/big?" in whole.confirm()
    assert whole.asked("disk.move") == [{"directory": "/mnt/big"}]
    whole.wait(lambda: "The disk was moved." in whole.notices)


@pytest.mark.parametrize("keep", [True, False])
def test_a_reset_keeps_a_checkpoint_unless_told_otherwise(whole: Whole, keep: bool) -> None:
    settings(whole, "resources").resources.data_disk.reset.click()
    box = whole.box()
    kept = box.checkBox()
    assert kept is not None
    assert kept.isChecked()
    kept.setChecked(keep)
    assert box.defaultButton().text() == "Cancel", "Return must not delete anything"
    assert "all containers, images, volumes" in whole.confirm()
    assert whole.asked("reset") == [{"keep": keep}]


# Settings


def test_only_what_the_agent_knows_is_shown(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    answer = settings_samples.config_answer()
    for key in settings_samples.LIFECYCLE:
        del answer["values"][key]
    store.settings.take("config.get", answer)
    window.show_page("settings")
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(page.lifecycle)
    assert page.lifecycle.on_quit.isVisible()
    for row in (page.lifecycle.on_demand, page.lifecycle.idle, page.lifecycle.keep_days, page.lifecycle.image_update):
        assert not row.isVisible()
    assert "lifecycle.idle" not in offered_settings(store)
    assert "lifecycle.on-quit" in offered_settings(store)


def test_the_lifecycle_is_set(whole: Whole) -> None:
    page = settings(whole, "lifecycle").lifecycle
    whole.agent.answers["config.set"] = settings_samples.config_answer(machine_idle_minutes=45)
    page.on_demand.box.click()
    page.idle.box.activated.emit(0)
    page.idle_action.box.activated.emit(1)
    page.keep_automatic.box.setValue(9)
    page.image_update.box.activated.emit(1)
    assert whole.asked("config.set", 5) == [
        {"values": {"machine.start_on_demand": False}},
        {"values": {"machine.idle_minutes": 0}},
        {"values": {"machine.idle_action": "stop"}},
        {"values": {"checkpoints.keep_automatic": 9}},
        {"values": {"image.update": "auto"}},
    ]
    whole.wait(lambda: page.idle.box.currentText() == "After 45 minutes")


# The tray's notifications


def test_a_machine_in_trouble_is_told_of_once(store: AppStore, qtbot: QtBot) -> None:
    from app.notifications import Alarm, MachineWatch

    told: list[Alarm] = []
    watch = MachineWatch(store, store)
    watch.alarm.connect(told.append)
    show_machine(store, Phase.RUNNING, problems=(DISK_FULL,))
    show_machine(store, Phase.RUNNING)
    show_machine(store, Phase.RUNNING, problems=(DISK_FULL,), seq=2)
    show_machine(store, Phase.DEGRADED, problems=(DISK_FULL, HUNG))
    assert [alarm.title for alarm in told] == ["The machine's disk is almost full", "The machine hangs"]
    store.preferences.notifications = False
    show_machine(store, Phase.DEGRADED, problems=(ENGINE_DOWN,))
    assert len(told) == 2
    store.notice(Notice(level="info", text="x"))
