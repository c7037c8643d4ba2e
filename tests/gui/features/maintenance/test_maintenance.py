"""Suspending, operations, checkpoints, updates and the disk: the whole window on a fake agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox
from pytestqt.qtbot import QtBot

from app.features.problems.problem import ActionButton, ProblemView
from app.features.settings.page import SettingsPage, offered_settings
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from backend.control import messages
from backend.control.messages.request import Request
from backend.errors import Action, Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Notice, OperationStatus, Phase
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.fakes.maintenance_window import MaintenanceWindow, buttons_of, started
from tests.gui.scenes import settings_samples
from tests.gui.scenes.maintenance_scenes import (
    DISK_FULL,
    ENGINE_DOWN,
    HUNG,
    MEMORY_LOW,
    MOVING,
    UPDATE,
    UPDATING,
    machine_page,
    show_machine,
)
from tests.gui.scenes.replies import reply

GIB = 1024**3


@pytest.fixture
def whole(qapp: QApplication, agent: FakeAgent, qtbot: QtBot) -> Iterator[MaintenanceWindow]:
    yield from started(qapp, agent, qtbot)


def usable(window: MainWindow) -> list[str]:
    """Labels of the enabled buttons in the header."""
    header = window.header
    buttons = (header.start, header.suspend, header.restart, header.stop, header.cancel)
    return [made.accessibleName() for made in buttons if made.isVisible() and made.isEnabled()]


# Suspended


def test_suspend_and_resume(whole: MaintenanceWindow) -> None:
    assert usable(whole.window) == ["Suspend", "Restart", "Stop"]
    whole.window.header.suspend.click()
    assert whole.received("stop") == [{"policy": "suspend"}]
    whole.publish(Phase.STOPPING)
    assert "Saving memory" in whole.window.header._detail.whole
    whole.publish(Phase.SUSPENDED)
    assert usable(whole.window) == ["Resume", "Stop"]
    assert not whole.store.machine_keeps_running
    assert whole.window.containers.empty.isVisible()
    buttons_of(whole.window.containers.empty)["Resume"].click()
    assert len(whole.received("start")) == 1


def test_a_stop_is_not_called_a_suspension(whole: MaintenanceWindow) -> None:
    whole.window.header.stop.click()
    assert whole.received("stop") == [{"policy": "power-down"}]
    whole.publish(Phase.STOPPING)
    assert "Stopping containers" in whole.window.header._detail.whole


def test_what_the_agent_did_instead_of_suspending_is_reported(whole: MaintenanceWindow) -> None:
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


def test_an_operation_is_shown_everywhere_and_nothing_else_is_offered(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.RUNNING, operation=MOVING)
    header = whole.window.header
    assert usable(whole.window) == ["Cancel"]
    assert "Not available now: Moving the disk" in header.suspend.toolTip()
    assert header._progress.value() == 420
    assert "Copying the disk" in header._detail.whole
    card = whole.part("overview").overview.operation
    assert (card.title.text(), card.percent.text()) == ("Moving the disk", "42%")
    assert not whole.window.restart_action.isEnabled()
    assert not whole.window.stop_and_quit_action.isEnabled()
    card.cancel.click()
    assert whole.received("operation.cancel") == [{}]
    whole.publish(Phase.RUNNING)
    assert usable(whole.window) == ["Suspend", "Restart", "Stop"]
    assert not card.isVisible()


def test_an_operation_that_cannot_be_taken_back_has_no_cancel(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.BOOTING, operation=UPDATING)
    assert usable(whole.window) == []
    assert whole.window.header._progress.maximum() == 0, "nobody knows how far it is"


def test_an_unknown_operation_has_the_agents_title(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.RUNNING, operation=OperationStatus(name="new.thing", title=verbatim("Doing something new")))
    assert whole.window.header._detail.whole == "Doing something new"


# Problems


@pytest.mark.parametrize(
    ("action", "request_", "args"),
    [
        (Action.START, "start", {}),
        (Action.CONTINUE, "continue", {}),
        (Action.RESTART, "restart", {"kill": False}),
        (Action.FORCE_RESTART, "restart", {"kill": True}),
        (Action.RESTART_ENGINE, "engine.restart", {}),
        (Action.RECLAIM, "reclaim", {}),
    ],
)
def test_what_a_problem_offers_is_one_click(
    whole: MaintenanceWindow, action: Action, request_: str, args: dict[str, Any]
) -> None:
    problem = Problem(code=ProblemCode.GUEST_HUNG, summary=verbatim("It hangs."), action=action)
    whole.agent.holds.add(request_)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    (button,) = whole.window.alert.findChildren(ActionButton)
    button.click()
    assert whole.received(request_) == [args]
    assert not button.isEnabled(), "a second click would ask a second time"


def test_the_diagnostics_open_and_run(whole: MaintenanceWindow, qtbot: QtBot) -> None:
    problem = Problem(code=ProblemCode.ENGINE_DOWN, summary=verbatim("No."), action=Action.DOCTOR)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    with qtbot.waitSignal(whole.store.intents.run_checks):
        whole.window.alert.findChildren(ActionButton)[0].click()
    page = machine_page(whole.window)
    assert page.tabs.currentWidget() is page.checks


def test_a_refused_action_can_be_requested_again(whole: MaintenanceWindow) -> None:
    whole.agent.answers["engine.restart"] = Problem(
        code=ProblemCode.ENGINE_DOWN, summary=verbatim("It does not come back.")
    )
    problem = Problem(code=ProblemCode.ENGINE_DOWN, summary=verbatim("No."), action=Action.RESTART_ENGINE)
    whole.publish(Phase.DEGRADED, problems=(problem,))
    (button,) = whole.window.alert.findChildren(ActionButton)
    button.click()
    whole.wait(lambda: whole.store.problem is not None)
    whole.wait(button.isEnabled)
    assert whole.window.problem.isVisible()


def test_all_problems_are_reached_and_broken_ones_come_first(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.DEGRADED, problems=(DISK_FULL, MEMORY_LOW, HUNG, ENGINE_DOWN))
    alert = whole.window.alert
    assert alert.title.text() == "The machine isn't responding"
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


def test_a_visible_problem_is_not_repeated_as_a_notice(whole: MaintenanceWindow) -> None:
    whole.agent.notice(str(HUNG.summary))

    def told() -> bool:
        return str(HUNG.summary) in [toast.text for toast in whole.window.toasts.shown]

    whole.wait(told)
    whole.publish(Phase.DEGRADED, problems=(HUNG,))
    assert not told()
    whole.agent.notice(str(HUNG.summary))
    whole.wait(lambda: len(whole.notices) == 2)
    assert not told()
    assert whole.window.alert.isVisible()


def test_a_warning_does_not_look_broken(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.RUNNING, problems=(DISK_FULL,))
    assert whole.window.header._phase.text() == "Running"
    assert whole.window.alert.property("level") == "warning"
    whole.publish(Phase.RUNNING)
    assert not whole.window.alert.isVisible()


# Updates


def test_an_update_is_offered_applied_and_reported(whole: MaintenanceWindow) -> None:
    whole.publish(Phase.RUNNING, image_offer="2026.12.0")
    page = whole.part("overview")
    banner = page.overview.update_banner
    whole.wait(lambda: "29.0.2" in banner.text.text())
    assert "From 2026.11.1 to 2026.12.0" in banner.text.text()
    whole.agent.holds.add("update.apply")
    banner.apply.click()
    assert whole.received("update.apply") == [{"directory": None}]
    assert not banner.apply.isEnabled()
    whole.publish(Phase.BOOTING, operation=UPDATING)
    assert not banner.isVisible()
    whole.agent.answers["update.check"] = {**UPDATE, "offer": None}
    whole.publish(Phase.RUNNING)
    whole.agent.release("update.apply")
    whole.wait(lambda: any("updated" in words for words in whole.notices))
    whole.wait(lambda: page.overview.versions.result.text() == "You have the newest version.")


def test_with_containers_it_asks_before(store: AppStore, window: MainWindow) -> None:
    asked: list[Request[Any]] = []
    store.intents.request_maintenance.connect(asked.append)
    show_machine(store, Phase.RUNNING, image_offer="2026.12.0")
    window.show_machine("overview")
    machine_page(window).overview.update_banner.apply.click()
    (box,) = window.findChildren(QMessageBox)
    assert "running containers are stopped" in box.informativeText()
    assert asked == []
    QTest.mouseClick(box.buttons()[0], Qt.MouseButton.LeftButton)
    assert asked == [messages.ApplyUpdate()]


def test_an_update_that_rolled_back_is_a_problem(whole: MaintenanceWindow) -> None:
    problem = Problem(
        code=ProblemCode.UPDATE_FAILED, summary=verbatim("The new image did not start; the old one runs again.")
    )
    whole.agent.answers["update.apply"] = problem
    whole.store.intents.request_maintenance.emit(messages.ApplyUpdate())
    whole.wait(lambda: whole.store.problem == problem)
    assert not any("updated" in words for words in whole.notices)


def test_a_cancelled_operation_is_no_problem(whole: MaintenanceWindow) -> None:
    whole.agent.answers["disk.move"] = Problem(code=ProblemCode.CANCELLED, summary=verbatim("Cancelled."))
    whole.store.intents.request_maintenance.emit(messages.MoveDisk(directory="/x"))
    whole.wait(lambda: any("Canceled" in words for words in whole.notices))
    assert whole.store.problem is None


# Memory and disk


def test_memory_and_disk_are_reclaimed(whole: MaintenanceWindow) -> None:
    from tests.gui.scenes import stats_samples

    for sample in stats_samples.history():
        whole.store.part(StatsStore).add(sample)
    usage = whole.part("overview").overview.usage
    assert usage.isVisible()
    whole.agent.answers["reclaim"] = {
        "memory_before": 3 * GIB, "memory_after": GIB, "disk_before": GIB, "disk_after": GIB,
    }  # fmt: skip
    usage.reclaim.click()
    assert whole.received("reclaim") == [{}]
    whole.wait(lambda: "Reclaimed. Memory: 3 GiB → 1 GiB, Disk: nothing to reclaim" in whole.notices)
    assert usage._last_result["memory"].text() == "Last time: 3 GiB → 1 GiB"
    assert not usage._last_result["disk"].isVisible()


def settings(whole: MaintenanceWindow, section: str) -> SettingsPage:
    whole.window.show_page("settings")
    page = whole.window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(getattr(page, section))
    return page


def test_the_disk_grows_at_once_and_the_rest_is_saved(whole: MaintenanceWindow) -> None:
    resources = settings(whole, "resources").resources
    resources.rows.disk.field.setValue(96)
    resources.rows.cpus.field.setValue(3)
    whole.agent.answers["config.set"] = settings_samples.config_answer(machine_cpus=3)
    whole.agent.answers["config.get"] = settings_samples.config_answer(disk_gib=96, machine_cpus=3)
    resources.apply.click()
    assert whole.received("disk.grow") == [{"size_gib": 96}]
    assert whole.received("config.set") == [{"values": {"machine.cpus": 3}}]
    whole.wait(lambda: "Disk size increased." in whole.notices)
    whole.wait(lambda: not resources.apply.isEnabled())
    whole.publish(Phase.RUNNING, operation=MOVING)
    resources.rows.disk.field.setValue(128)
    assert not resources.apply.isEnabled()
    assert "Not available now: Moving the disk" in resources.apply.toolTip()


def test_a_disk_that_grows_later_is_not_reported_as_grown(whole: MaintenanceWindow) -> None:
    whole.agent.answers["disk.grow"] = {"size_gib": 96, "now": False}
    whole.store.intents.request_maintenance.emit(messages.GrowDisk(size_gib=96))
    whole.wait(lambda: "The disk size increases at the next start." in whole.notices)
    assert "Disk size increased." not in whole.notices


def test_the_disk_is_moved(whole: MaintenanceWindow) -> None:
    from app.features.settings.data_disk import confirm_move

    rows = settings(whole, "resources").resources.data_disk
    assert rows.place.whole == settings_samples.DISK_PATH
    confirm_move(rows, whole.store, "/mnt/big")
    assert "Move the data disk to /mnt/big?" in whole.confirm()
    assert whole.received("disk.move") == [{"directory": "/mnt/big"}]
    whole.wait(lambda: "Disk moved." in whole.notices)


@pytest.mark.parametrize("keep", [True, False])
def test_a_reset_creates_a_checkpoint_unless_unchecked(whole: MaintenanceWindow, keep: bool) -> None:
    settings(whole, "resources").resources.data_disk.reset.click()
    box = whole.box()
    kept = box.checkBox()
    assert kept is not None
    assert kept.isChecked()
    kept.setChecked(keep)
    assert box.defaultButton().text() == "Cancel", "Return must not delete anything"
    assert "All containers, images, volumes" in whole.confirm()
    assert whole.received("reset") == [{"keep": keep}]


# Settings


def test_only_supported_settings_are_shown(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    answer = settings_samples.config_answer()
    for key in settings_samples.LIFECYCLE:
        del answer["values"][key]
    store.part(SettingsStore).take(*reply(messages.GetSettings(), answer))
    window.show_page("settings")
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(page.lifecycle)
    assert page.lifecycle.on_quit.isVisible()
    rows = page.lifecycle
    for row in (rows.on_demand, rows.keep_endpoint, rows.idle, rows.keep_days, rows.image_update):
        assert not row.isVisible()
    assert "lifecycle.idle" not in offered_settings(store)
    assert "lifecycle.on-quit" in offered_settings(store)


def test_the_lifecycle_is_set(whole: MaintenanceWindow) -> None:
    page = settings(whole, "lifecycle").lifecycle
    whole.agent.answers["config.set"] = settings_samples.config_answer(machine_idle_minutes=45)
    page.on_demand.box.click()
    page.keep_endpoint.box.click()
    page.idle.box.activated.emit(0)
    page.idle_action.box.activated.emit(1)
    page.keep_automatic.box.setValue(9)
    page.image_update.box.activated.emit(1)
    assert whole.received("config.set", 6) == [
        {"values": {"machine.start_on_demand": False}},
        {"values": {"docker.keep_endpoint": False}},
        {"values": {"machine.idle_minutes": 0}},
        {"values": {"machine.idle_action": "stop"}},
        {"values": {"checkpoints.keep_automatic": 9}},
        {"values": {"image.update": "auto"}},
    ]
    whole.wait(lambda: page.idle.box.currentText() == "After 45 minutes")


# The tray's notifications


def test_a_machine_problem_is_notified_once(store: AppStore, qtbot: QtBot) -> None:
    from app.frame.notifications import Alarm, MachineWatch

    alarms: list[Alarm] = []
    watch = MachineWatch(store, store)
    watch.alarm.connect(alarms.append)
    show_machine(store, Phase.RUNNING, problems=(DISK_FULL,))
    show_machine(store, Phase.RUNNING)
    show_machine(store, Phase.RUNNING, problems=(DISK_FULL,), seq=2)
    show_machine(store, Phase.DEGRADED, problems=(DISK_FULL, HUNG))
    assert [alarm.title for alarm in alarms] == [
        "The machine's disk is almost full",
        "The machine isn't responding",
    ]
    store.preferences.notifications = False
    show_machine(store, Phase.DEGRADED, problems=(ENGINE_DOWN,))
    assert len(alarms) == 2
    store.notice(Notice(level="info", text=verbatim("x")))
