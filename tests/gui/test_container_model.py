"""The table's model: two hundred rows, hostile names, and rows that keep their identity."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from app.ports import port_links
from app.store import AppStore
from app.views.container_model import Column, ContainerFilter, ContainerModel, Shown, pending_of
from backend.engine.types import ContainerAction, ContainerState, PortBinding
from tests.gui import samples


@pytest.fixture
def model(store: AppStore) -> ContainerModel:
    made = ContainerModel(store)
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal, made)
    return made


def names(model: ContainerFilter) -> list[str]:
    return [str(model.index(row, Column.NAME).data()) for row in range(model.rowCount())]


def test_two_hundred_rows_change_in_place(store: AppStore, model: ContainerModel) -> None:
    many = samples.many(200)
    store.set_containers(many)
    assert model.rowCount() == 200
    resets: list[object] = []
    changed: list[int] = []
    model.modelReset.connect(lambda: resets.append(None))
    model.dataChanged.connect(lambda first, _last: changed.append(first.row()))
    stopped = dataclasses.replace(many[7], state=ContainerState.EXITED, status="Exited (0)")
    store.set_containers((*many[:7], stopped, *many[8:]))
    assert (resets, changed) == ([], [7])


def test_rows_come_and_go(store: AppStore, model: ContainerModel) -> None:
    many = samples.many(20)
    store.set_containers(many[:10])
    store.set_containers(many[5:20])
    assert model.rowCount() == 15
    store.set_containers(())
    assert model.rowCount() == 0


def test_pending_is_shown_in_place_of_the_status(store: AppStore, model: ContainerModel) -> None:
    store.set_containers(samples.containers())
    store.set_pending(samples.containers()[0].id, ContainerAction.STOP)
    assert model.index(0, Column.STATUS).data() == "Stopping…"
    assert pending_of(model.index(0, 0)) is ContainerAction.STOP
    assert pending_of(model.index(1, 0)) is None


@pytest.mark.parametrize("row", range(len(samples.HOSTILE)), ids=samples.HOSTILE)
def test_hostile_names_are_shown_as_plain_text(store: AppStore, model: ContainerModel, row: int) -> None:
    store.set_containers(samples.hostile())
    for column in Column:
        words = str(model.index(row, column).data() or "")
        assert not any(ord(letter) < 32 or 0x202A <= ord(letter) <= 0x202E for letter in words)
        tip = str(model.index(row, column).data(Qt.ItemDataRole.ToolTipRole) or "")
        assert "<b>" not in tip
        assert "<img" not in tip


def test_filter_by_words_and_by_state(store: AppStore, model: ContainerModel) -> None:
    proxy = ContainerFilter(model)
    store.set_containers(samples.containers())
    proxy.set_filter("", Shown.RUNNING)
    assert {"web", "db", "paused"} <= set(names(proxy))
    assert "not-started" not in names(proxy)
    proxy.set_filter("", Shown.STOPPED)
    assert "web" not in names(proxy)
    proxy.set_filter("SHOP 8080", Shown.ALL)
    assert names(proxy) == ["web"]
    proxy.set_filter("nothing", Shown.ALL)
    assert names(proxy) == []


def test_numbers_sort_as_numbers(store: AppStore, model: ContainerModel) -> None:
    one = samples.containers()[0]
    store.set_containers(
        tuple(dataclasses.replace(one, id=f"{number:064x}", name=f"web-{number}") for number in (10, 9, 1))
    )
    assert names(ContainerFilter(model)) == ["web-1", "web-9", "web-10"]


def test_ports_are_links_while_the_container_runs() -> None:
    web = next(entry for entry in samples.containers() if entry.name == "web")
    assert [link.url for link in port_links(web)] == ["http://localhost:8080", "https://localhost:8443"]
    stopped = dataclasses.replace(web, state=ContainerState.EXITED)
    assert [link.url for link in port_links(stopped)] == [None, None]


@pytest.mark.parametrize(
    ("binding", "words", "url"),
    [
        (PortBinding(container_port=53, protocol="udp", host_ip="0.0.0.0", host_port=53), "53:53/udp", None),
        (PortBinding(container_port=80, protocol="tcp"), "80/tcp", None),
        (
            PortBinding(container_port=80, protocol="tcp", host_ip="192.168.1.2", host_port=80),
            "192.168.1.2:80:80",
            "http://192.168.1.2:80",
        ),
        (
            PortBinding(container_port=80, protocol="tcp", host_ip="fd00::1", host_port=80),
            "[fd00::1]:80:80",
            "http://[fd00::1]:80",
        ),
    ],
)
def test_other_ports(binding: PortBinding, words: str, url: str | None) -> None:
    web = dataclasses.replace(samples.containers()[0], state=ContainerState.RUNNING, ports=(binding,))
    assert port_links(web) == ((words, url),)


def test_no_columns_below_a_row(model: ContainerModel) -> None:
    assert model.columnCount(QModelIndex()) == len(Column)
