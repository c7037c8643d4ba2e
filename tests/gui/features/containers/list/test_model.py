"""The list's model: two hundred rows, hostile names, and rows that keep their identity."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from app.features.containers.list.columns import ContainerColumn, Group, group_text
from app.features.containers.list.model import ContainerModel
from app.features.containers.list.rows import StateFilter
from app.state.store import AppStore
from app.ui import theme
from app.ui.ports import port_links
from backend.engine.types import ContainerAction, ContainerState, Health, PortBinding
from tests.gui.scenes import samples


@pytest.fixture
def model(store: AppStore) -> ContainerModel:
    made = ContainerModel(store)
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    return made


def names(model: ContainerModel) -> list[str]:
    return [str(model.index(row, ContainerColumn.NAME).data()) for row in range(model.rowCount())]


def test_two_hundred_rows_change_in_place(store: AppStore, model: ContainerModel) -> None:
    many = samples.many(200)
    store.set_containers(many)
    assert model.rowCount() == 201, "one is the row of the project"
    resets: list[object] = []
    changed: list[int] = []
    model.modelReset.connect(lambda: resets.append(None))
    model.dataChanged.connect(lambda first, _last: changed.append(first.row()))
    stopped = dataclasses.replace(many[7], state=ContainerState.EXITED, status="Exited (0)")
    store.set_containers((*many[:7], stopped, *many[8:]))
    row = model.row_of_key(many[7].id)
    assert row is not None
    project = model.row_of_key(f"project:{many[7].compose_project}")
    assert (resets, changed) == ([], [row if project is None else project]), "one row, and the project above it"


def test_rows_are_inserted_and_removed(store: AppStore, model: ContainerModel) -> None:
    many = samples.many(20)
    store.set_containers(many[:10])
    store.set_containers(many[5:20])
    assert len(model.containers_of(range(model.rowCount()))) == 15
    store.set_containers(())
    assert model.rowCount() == 0


def test_pending_is_shown_in_place_of_the_status(store: AppStore, model: ContainerModel) -> None:
    store.set_containers(samples.containers())
    store.set_pending(samples.containers()[0].id, ContainerAction.STOP)
    row = model.row_of_key(samples.containers()[0].id)
    assert row is not None
    assert model.index(row, ContainerColumn.STATUS).data() == "Stopping…"


@pytest.mark.parametrize("row", range(len(samples.HOSTILE)), ids=samples.HOSTILE)
def test_hostile_names_are_shown_as_plain_text(store: AppStore, model: ContainerModel, row: int) -> None:
    store.set_containers(samples.hostile())
    for column in ContainerColumn:
        text = str(model.index(row, column).data() or "")
        assert not any(ord(letter) < 32 or 0x202A <= ord(letter) <= 0x202E for letter in text)
        tip = str(model.index(row, column).data(Qt.ItemDataRole.ToolTipRole) or "")
        assert "<b>" not in tip
        assert "<img" not in tip


def test_filter_by_words_and_by_state(store: AppStore, model: ContainerModel) -> None:
    store.set_containers(samples.containers())
    model.set_arrangement(needle="", shown=StateFilter.RUNNING)
    assert {"web", "db", "paused"} <= set(names(model))
    assert "not-started" not in names(model)
    model.set_arrangement(needle="", shown=StateFilter.STOPPED)
    assert "web" not in names(model)
    model.set_arrangement(needle="shop 8080", shown=StateFilter.ALL)
    assert names(model) == ["shop", "web"]
    model.set_arrangement(needle="nothing", shown=StateFilter.ALL)
    assert names(model) == []


def test_numbers_sort_as_numbers(store: AppStore, model: ContainerModel) -> None:
    one = samples.containers()[0]
    store.set_containers(
        tuple(dataclasses.replace(one, id=f"{number:064x}", name=f"web-{number}") for number in (10, 9, 1))
    )
    assert names(model) == ["web-1", "web-9", "web-10"]


def test_ports_are_links_while_the_container_runs() -> None:
    web = next(entry for entry in samples.containers() if entry.name == "web")
    assert [link.url for link in port_links(web)] == ["http://localhost:8080", "https://localhost:8443"]
    stopped = dataclasses.replace(web, state=ContainerState.EXITED)
    assert [link.url for link in port_links(stopped)] == [None, None]


@pytest.mark.parametrize(
    ("binding", "text", "url"),
    [
        (PortBinding(container_port=53, protocol="udp", host_ip="0.0.0.0", host_port=53), "53:53/udp", None),
        (PortBinding(container_port=80, protocol="tcp"), "80/tcp", None),
        (
            PortBinding(container_port=80, protocol="tcp", host_ip="192.168.1.2", host_port=80),
            "192.168.1.2:80:80",
            "http://192.168.1.2",
        ),
        (
            PortBinding(container_port=80, protocol="tcp", host_ip="fd00::1", host_port=80),
            "[fd00::1]:80:80",
            "http://[fd00::1]",
        ),
    ],
)
def test_other_ports(binding: PortBinding, text: str, url: str | None) -> None:
    web = dataclasses.replace(samples.containers()[0], state=ContainerState.RUNNING, ports=(binding,))
    assert port_links(web) == ((text, url),)


def test_no_columns_below_a_row(model: ContainerModel) -> None:
    assert model.columnCount(QModelIndex()) == len(ContainerColumn)


def test_a_project_tells_its_whole_state_whatever_the_filter(store: AppStore) -> None:
    base = next(entry for entry in samples.containers() if entry.compose_project)
    states = {"web": ContainerState.RUNNING, "db": ContainerState.RUNNING, "job": ContainerState.RESTARTING}
    store.set_containers(
        tuple(
            dataclasses.replace(base, id=name * 20, name=name, state=state, health=Health.NONE)
            for name, state in states.items()
        )
    )
    model = ContainerModel(store, store)
    group = model.rows[0]
    assert isinstance(group, Group)
    assert group_text(group) == "2 of 3 running, 1 restarting"
    model.set_arrangement(needle="job")
    group = model.rows[0]
    assert isinstance(group, Group)
    assert [member.name for member in group.members] == ["job"]
    assert group_text(group) == "2 of 3 running, 1 restarting", "not of the one that the filter shows"


@pytest.mark.parametrize(("code", "is_failure"), [(None, False), (0, False), (1, True), (255, True), (137, False)])
def test_a_container_that_failed_has_a_red_mark(code: int | None, *, is_failure: bool) -> None:
    colour = theme.container_colour(theme.LIGHT, ContainerState.EXITED, Health.NONE, code)
    assert colour == (theme.LIGHT.danger if is_failure else theme.LIGHT.stopped)
