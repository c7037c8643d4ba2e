"""The container list: groups, columns, selection, keys, menus and figures."""

from __future__ import annotations

import dataclasses
import random
import time

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QCheckBox, QMessageBox
from pytestqt.qtbot import QtBot

from app.features.containers.actions.dialogs import RenameDialog
from app.features.containers.list.columns import ContainerColumn, Group, span_s
from app.features.containers.list.model import ContainerModel
from app.features.containers.list.restarts import needs_inspection
from app.features.containers.list.rows import arrange, row_key
from app.features.containers.list.table import ContainerTable
from app.features.containers.list.view import ContainersView
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.state.preferences import Preferences
from app.state.store import AppStore
from app.ui.figures import rough_time
from app.ui.tables.sort_header import SortHeader
from backend.engine.types import Container, ContainerAction, ContainerState
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.stats import ContainerUsage, MachineUsage, StatsSample
from tests.gui.scenes import samples
from tests.gui.screenshots import running

LEFT = Qt.MouseButton.LeftButton


def sample(*usages: tuple[str, float, int]) -> StatsSample:
    machine = MachineUsage(
        cpu_percent=1, memory_used_bytes=1, memory_total_bytes=2, disk_used_bytes=1, disk_total_bytes=2
    )
    return StatsSample(
        at=0,
        machine=machine,
        containers=tuple(ContainerUsage(id=key, cpu_percent=cpu, memory_bytes=memory) for key, cpu, memory in usages),
    )


def named(name: str) -> Container:
    return next(entry for entry in samples.containers() if entry.name == name)


@pytest.fixture
def view(store: AppStore, window: MainWindow) -> ContainersView:
    running(store)
    return window.containers


def cell(view: ContainersView, row: int, column: ContainerColumn) -> QPoint:
    return view.table.visualRect(view.model.index(row, column)).center()


def click(view: ContainersView, row: int, column: ContainerColumn, dx: int = 0, dy: int = 0) -> None:
    QTest.mouseClick(view.table.viewport(), LEFT, pos=cell(view, row, column) + QPoint(dx, dy))


def shown(model: ContainerModel) -> list[str]:
    return [row.project if isinstance(row, Group) else row.name for row in model.rows]


def test_a_project_is_a_row_that_collapses(view: ContainersView) -> None:
    row = view.model.row_of_key("project:shop")
    assert row is not None
    assert shown(view.model)[row : row + 3] == ["shop", "db", "web"]
    assert view.model.index(row, ContainerColumn.STATUS).data() == "2 of 2 running"
    click(view, row, ContainerColumn.NAME)
    assert "web" not in shown(view.model)
    view.table.set_current(row)
    QTest.keyClick(view.table, Qt.Key.Key_Right)
    assert "web" in shown(view.model)
    view.table.set_current(row + 2)
    QTest.keyClick(view.table, Qt.Key.Key_Left)
    assert view.table.currentIndex().row() == row, "Left goes from a member to its project"
    QTest.keyClick(view.table, Qt.Key.Key_Left)
    assert "web" not in shown(view.model)


def test_matches_are_shown_in_a_collapsed_project(view: ContainersView) -> None:
    view.model.toggle("shop")
    view.filter.setText("8080")
    assert shown(view.model) == ["shop", "web"]


def test_a_projects_button_means_all_its_members(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    row = view.model.row_of_key("project:shop")
    assert row is not None
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        click(view, row, ContainerColumn.ACTIONS, dx=-31)
    assert asked.args is not None
    assert set(asked.args[0]) == {named("web").id, named("db").id}
    assert asked.args[1] is ContainerAction.STOP
    assert not view.selected, "a button leaves the selection alone"


def test_check_boxes_are_the_selection(view: ContainersView) -> None:
    row = view.model.row_of_key("project:shop")
    assert row is not None
    click(view, row, ContainerColumn.SELECT)
    assert {entry.name for entry in view.selected} == {"db", "web"}
    click(view, 0, ContainerColumn.SELECT)
    assert len(view.selected) == 3
    click(view, 0, ContainerColumn.SELECT)
    assert len(view.selected) == 2
    assert view.bar.isVisible()
    assert view.bar.count.text() == "2 selected"
    header = view.table.horizontalHeader().viewport()
    box = QPoint(view.table.columnWidth(ContainerColumn.SELECT) // 2, header.height() // 2)
    QTest.mouseClick(header, LEFT, pos=box)
    assert len(view.selected) == len(samples.containers())
    QTest.mouseClick(header, LEFT, pos=box)
    assert view.selected == []
    assert not view.bar.isVisible()


def test_a_selected_project_means_all_its_members(view: ContainersView) -> None:
    row = view.model.row_of_key("project:shop")
    assert row is not None
    view.select(named("web").id)
    view.table.selectRow(row)
    assert {entry.name for entry in view.selected} == {"db", "web"}
    assert view.table.selected_rows() == [row, row + 1, row + 2]
    click(view, row + 1, ContainerColumn.SELECT)
    assert [entry.name for entry in view.selected] == ["web"], "without one of its members it is not selected itself"
    view.table.selectRow(row)
    view.model.toggle("shop")
    assert {entry.name for entry in view.selected} == {"db", "web"}
    view.model.toggle("shop")
    assert view.table.selected_rows() == [row, row + 1, row + 2]


def test_the_bar_acts_on_all_that_are_selected(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    view.table.selectAll()
    assert view.bar.buttons[ContainerAction.UNPAUSE].isVisible(), "one of them is paused"
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        QTest.mouseClick(view.bar.buttons[ContainerAction.STOP], LEFT)
    assert asked.args is not None
    assert set(asked.args[0]) == {entry.id for entry in store.running}
    QTest.keyClick(view.table, Qt.Key.Key_Escape)
    assert view.selected == []


def test_a_slow_stop_says_how_long_and_offers_to_kill(
    store: AppStore, view: ContainersView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = named("web")
    began = time.monotonic()
    store.set_pending(web.id, ContainerAction.STOP)
    row = view.model.row_of_key(web.id)
    assert row is not None
    status = view.model.index(row, ContainerColumn.STATUS)
    assert "Stopping…" in str(status.data())
    monkeypatch.setattr(time, "monotonic", lambda: began + 40)
    store._show_slow_stops()
    assert status.data() == "Still stopping…, 40 s"
    view.select(web.id)
    assert not view.actions_by_kind[ContainerAction.STOP].isEnabled()
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        view.actions_by_kind[ContainerAction.KILL].trigger()
    assert asked.args == [(web.id,), ContainerAction.KILL]
    store.set_pending(web.id, ContainerAction.KILL)
    store.end_pending(web.id, ContainerAction.STOP)
    assert store.pending[web.id] is ContainerAction.KILL, "the stop that the kill replaced ends nothing"


def test_buttons_of_the_bar_stay_in_their_places(store: AppStore, view: ContainersView) -> None:
    view.table.selectAll()
    before = {kind: button.geometry() for kind, button in view.bar.buttons.items()}
    store.set_containers(
        tuple(
            dataclasses.replace(entry, state=ContainerState.EXITED, status="Exited (0) 1 second ago")
            for entry in store.containers or ()
        )
    )
    view.table.selectAll()
    assert all(button.isVisible() for button in view.bar.buttons.values())
    assert {kind: button.geometry() for kind, button in view.bar.buttons.items()} == before
    assert not view.bar.buttons[ContainerAction.STOP].isEnabled()


@pytest.mark.parametrize("column", [ContainerColumn.SELECT, ContainerColumn.ACTIONS])
def test_a_click_on_a_header_without_order_does_not_move_the_mark(
    view: ContainersView, column: ContainerColumn
) -> None:
    view.table.sort_by(ContainerColumn.NAME, descending=True)
    header = view.table.horizontalHeader()
    assert isinstance(header, SortHeader)
    at = QPoint(header.sectionViewportPosition(column) + 10, header.height() // 2)
    QTest.mouseClick(header.viewport(), LEFT, pos=at)
    assert header.mark == (ContainerColumn.NAME, True)
    assert not header.isSortIndicatorShown()


def test_the_mark_is_beside_the_label(view: ContainersView) -> None:
    header = view.table.horizontalHeader()
    assert isinstance(header, SortHeader)
    for column in (ContainerColumn.NAME, ContainerColumn.CPU):
        view.table.sort_by(column, descending=False)
        box, left = header.mark_box(column), header.sectionViewportPosition(column)
        assert left <= box.left()
        assert box.right() <= left + header.sectionSize(column)
        assert abs(box.center().y() - header.height() // 2) <= 1, "on the label's line, not above it"
    view.table.sort_by(ContainerColumn.NAME, descending=False)
    assert header.mark_box(ContainerColumn.NAME).left() < header.sectionViewportPosition(ContainerColumn.NAME) + 80


def test_keys_of_the_filter(view: ContainersView, qtbot: QtBot) -> None:
    view.filter.setFocus()
    QTest.keyClicks(view.filter, "web")
    with qtbot.waitSignal(view.filter.left):
        QTest.keyClick(view.filter, Qt.Key.Key_Down)
    assert view.table.currentIndex().row() == 0
    QTest.keyClick(view.filter, Qt.Key.Key_Escape)
    assert view.filter.text() == ""


def test_columns_are_chosen_and_remembered(store: AppStore, qtbot: QtBot) -> None:
    preferences = Preferences(parent=store)
    table = ContainerTable(ContainerModel(store, store), preferences)
    qtbot.addWidget(table)
    table.resize(1400, 600)
    assert table.isColumnHidden(ContainerColumn.ID)
    entry = next(action for action in table.column_menu().actions() if action.text() == "ID")
    entry.trigger()
    assert not table.isColumnHidden(ContainerColumn.ID)
    table.show_column(ContainerColumn.IMAGE, shown=False)
    table.sort_by(ContainerColumn.MEMORY, descending=True)
    again = ContainerTable(ContainerModel(store, store), preferences)
    qtbot.addWidget(again)
    assert not again.isColumnHidden(ContainerColumn.ID)
    assert again.isColumnHidden(ContainerColumn.IMAGE)
    assert again._model.arrangement.column is ContainerColumn.MEMORY
    assert again._model.arrangement.descending
    assert all(action.text() != "Name" for action in again.column_menu().actions()), "the name cannot be hidden"


def test_figures_come_with_each_sample_and_sort(store: AppStore, view: ContainersView) -> None:
    web, database, dns = named("web"), named("db"), named("dns")
    store.part(StatsStore).add(sample((web.id, 10, 50 << 20), (database.id, 3, 300 << 20), (dns.id, 99, 1 << 20)))
    row = view.model.row_of_key(web.id)
    assert row is not None
    assert view.model.index(row, ContainerColumn.CPU).data() == "10%"
    assert view.model.index(row, ContainerColumn.MEMORY).data() == "50 MiB"
    project = view.model.row_of_key("project:shop")
    assert project is not None
    assert view.model.index(project, ContainerColumn.CPU).data() == "13%", "a project's are the sum of its members'"
    assert "112%" in view.totals.text()
    view.table.sort_by(ContainerColumn.CPU, descending=True)
    assert shown(view.model)[:4] == ["dns", "shop", "web", "db"]
    store.part(StatsStore).add(sample((web.id, 200, 50 << 20), (database.id, 3, 300 << 20), (dns.id, 99, 1 << 20)))
    assert shown(view.model)[:4] == ["shop", "web", "db", "dns"]


def test_the_selection_survives_sorting_and_change(store: AppStore, view: ContainersView) -> None:
    view.select(named("web").id)
    view.table.sort_by(ContainerColumn.STATUS, descending=True)
    assert [entry.name for entry in view.selected] == ["web"]
    store.set_containers(tuple(entry for entry in samples.containers() if entry.name != "chatty"))
    assert [entry.name for entry in view.selected] == ["web"]
    view.filter.setText("web")
    assert [entry.name for entry in view.selected] == ["web"]


@pytest.mark.parametrize("seed", range(8))
def test_any_change_is_notified_as_a_correct_difference(store: AppStore, seed: int) -> None:
    """Rows are inserted, removed, changed and moved at random; Qt's model tester checks every notification."""
    chance = random.Random(seed)
    model = ContainerModel(store, store)
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    everything = samples.many(30)
    for _ in range(12):
        some = [
            dataclasses.replace(entry, name=f"c{chance.randrange(40)}") if chance.random() < 0.3 else entry
            for entry in chance.sample(everything, chance.randrange(30))
        ]
        store.set_containers(tuple(some))
        if chance.random() < 0.3:
            model.toggle("shop")
        expected = arrange(tuple(some), model.arrangement, model.facts)
        assert list(model.rows) == expected
        assert model._keys == [row_key(row) for row in expected]


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        ("Up 5 minutes", 300),
        ("Up 5 minutes (healthy)", 300),
        ("Up About an hour", 3600),
        ("Up Less than a second", 1),
        ("Up 2 weeks (Paused)", 1_209_600),
        ("Exited (137) 3 days ago", 259_200),
        ("Restarting (1) 12 seconds ago", 12),
        ("Created", None),
        ("<b>Up</b>", None),
    ],
)
def test_the_engines_status_text_is_parsed(status: str, seconds: int | None) -> None:
    assert span_s(status) == seconds


def test_durations_as_text() -> None:
    assert [rough_time(seconds) for seconds in (0, 1, 59, 60, 7200, 86_400 * 3)] == [
        *("0 seconds", "1 second", "59 seconds", "1 minute", "2 hours", "3 days"),
    ]


def test_only_what_may_have_restarted_is_inspected() -> None:
    old = dataclasses.replace(named("web"), created=0, state=ContainerState.RUNNING)
    assert needs_inspection(dataclasses.replace(old, status="Up 5 seconds"))
    assert not needs_inspection(dataclasses.replace(old, status="Up 60 years"))
    assert not needs_inspection(
        dataclasses.replace(old, status="Exited (0) 5 seconds ago", state=ContainerState.EXITED)
    )
    assert needs_inspection(
        dataclasses.replace(old, status="Restarting (1) 2 days ago", state=ContainerState.RESTARTING)
    )


def test_restarts_are_shown_where_they_are_known(store: AppStore, view: ContainersView) -> None:
    store.set_restart_counts({named("web").id: 3})
    row = view.model.row_of_key(named("web").id)
    assert row is not None
    assert view.model.index(row, ContainerColumn.RESTARTS).data() == "3"
    assert "3 restarts" in str(view.model.index(row, ContainerColumn.STATUS).data())
    assert view.model.index(0, ContainerColumn.RESTARTS).data() == "–"


def test_the_name_opens_the_container(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    row = view.model.row_of_key(named("dns").id)
    assert row is not None
    left = view.table.visualRect(view.model.index(row, ContainerColumn.NAME)).topLeft()
    with qtbot.waitSignal(store.intents.open_container) as opened:
        QTest.mouseClick(view.table.viewport(), LEFT, pos=left + QPoint(38, 13))
    assert opened.args == [named("dns").id, ""]


@pytest.mark.parametrize(
    ("key", "modifier", "tab"),
    [
        (Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier, "logs"),
        (Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier, "terminal"),
        (Qt.Key.Key_I, Qt.KeyboardModifier.ControlModifier, "inspect"),
        (Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier, "files"),
    ],
)
def test_keys_open_a_tab(
    store: AppStore, view: ContainersView, qtbot: QtBot, key: Qt.Key, modifier: Qt.KeyboardModifier, tab: str
) -> None:
    view.select(named("web").id)
    view.table.setFocus()
    with qtbot.waitSignal(store.intents.open_container) as opened:
        QTest.keyClick(view.table, key, modifier)
    assert opened.args == [named("web").id, tab]


def test_the_menu_shows_what_applies(view: ContainersView) -> None:
    view.select(named("web").id)
    labels = [action.text() for action in view.build_menu().actions() if not action.isSeparator()]
    assert labels[0] == "Open"
    for expected in ("Logs", "Terminal", "Files", "Inspect", "Stop", "Kill", "Rename", "Edit and recreate"):
        assert expected in labels
    for expected in ("Copy ID", "Copy name", "Copy image name", "Copy as docker run", "Open http://localhost:8080"):
        assert expected in labels
    assert "Start" not in labels
    view.select(named("not-started").id)
    labels = [action.text() for action in view.build_menu().actions()]
    assert "Terminal" not in labels
    assert "Start" in labels
    view.actions_of_list.by_name["copy-id"].trigger()
    assert QGuiApplication.clipboard().text() == named("not-started").id


def test_the_more_button_opens_the_menu_of_its_row(view: ContainersView, qtbot: QtBot) -> None:
    row = view.model.row_of_key(named("dns").id)
    assert row is not None
    with qtbot.waitSignal(view.table.menu_requested):
        click(view, row, ContainerColumn.ACTIONS, dx=30)
    assert [entry.name for entry in view.selected] == ["dns"]


def test_renaming_waits_for_the_engine_and_shows_its_error(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    view.select(named("dns").id)
    view.table.setFocus()
    asked: list[tuple[object, object]] = []
    store.intents.request_engine.connect(lambda job, done: asked.append((job, done)))
    QTest.keyClick(view.table, Qt.Key.Key_F2)
    (dialog,) = view.table.findChildren(RenameDialog)
    dialog.name.setText("-bad-")
    assert not dialog.confirm.isEnabled()
    assert dialog.fault.text()
    dialog.name.setText("web")
    QTest.mouseClick(dialog.confirm, LEFT)
    ((_job, done),) = asked
    said = ('Conflict. The container name "/web" is already in use',)
    done(Problem(code=ProblemCode.ENGINE_ERROR, summary=verbatim("The state does not allow that."), tail=said))  # type: ignore[operator]
    assert "already in use" in dialog.fault.text()
    assert dialog.isVisible()
    done(None)  # type: ignore[operator]
    assert not dialog.isVisible()


def test_removal_offers_anonymous_volumes(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    web = dataclasses.replace(named("web"), anonymous_volumes=2)
    store.set_containers((web,))
    view.select(web.id)
    view.actions_by_kind[ContainerAction.REMOVE].trigger()
    (box,) = view.table.findChildren(QMessageBox)
    (check,) = box.findChildren(QCheckBox)
    assert not check.isChecked(), "what is lost is never chosen for the user"
    check.setChecked(True)
    confirm = next(button for button in box.buttons() if button.text() == "Remove")
    with qtbot.waitSignal(store.intents.act_on_containers) as asked:
        QTest.mouseClick(confirm, LEFT)
    assert asked.args == [(web.id,), ContainerAction.REMOVE_WITH_VOLUMES]


def test_actions_are_disabled_while_the_engine_is_away(store: AppStore, view: ContainersView, qtbot: QtBot) -> None:
    from app.links.link_state import LinkState

    view.table.selectAll()
    store.set_engine_link(LinkState.RECONNECTING)
    assert not any(action.isEnabled() for action in view.actions_by_kind.values())
    assert not view.run.isEnabled()
    with qtbot.assertNotEmitted(store.intents.act_on_containers):
        click(view, 1, ContainerColumn.ACTIONS, dx=-31)


def test_rows_under_the_mouse_are_painted(store: AppStore, view: ContainersView) -> None:
    """Every column in every state, hovered and not."""
    for column in ContainerColumn:
        view.table.show_column(column, shown=True)
    store.part(StatsStore).add(sample(*((entry.id, 12.5, 1 << 28) for entry in store.running)))
    store.set_pending(named("web").id, ContainerAction.STOP)
    for row in range(view.model.rowCount()):
        QTest.mouseMove(view.table.viewport(), cell(view, row, ContainerColumn.NAME))
    assert not view.table.grab().isNull()
