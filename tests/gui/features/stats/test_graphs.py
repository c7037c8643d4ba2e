"""The graphs: lines from samples, texts, and no work while hidden."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import shiboken6
from PySide6.QtCore import QDateTime, QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.features.stats.graph import Graph
from app.features.stats.graphs import StatsGraphs
from app.features.stats.series import GAP_S, SPAN_S, StatsSeries, round_top
from app.features.stats.store import StatsStore
from app.state.store import AppStore
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from backend.stats import ContainerUsage, StatsSample
from tests.gui.scenes import samples, stats_samples
from tests.gui.screenshots import machine, running

ONE, OTHER = "a" * 64, "b" * 64


def usage(identity: str, received: int, written: int = 0) -> ContainerUsage:
    return ContainerUsage(
        id=identity, cpu_percent=10, memory_bytes=5, network_received_bytes=received, block_written_bytes=written
    )


def sample(at: float, *usages: ContainerUsage) -> StatsSample:
    return StatsSample(at=at, machine=stats_samples.machine_usage(), containers=usages)


def test_rates_lie_between_two_samples_and_a_counter_that_began_anew_counts_from_nothing() -> None:
    series = StatsSeries(ONE)
    for at, received in ((0, 100), (2, 300), (4, 50), (6, 50)):
        series.add(sample(at, usage(ONE, received)))
    assert [row.received for row in series.rows] == [None, 100.0, 25.0, 0.0]


def test_the_machines_network_is_the_sum_of_its_containers_and_one_that_ends_makes_no_dip() -> None:
    series = StatsSeries()
    series.add(sample(0, usage(ONE, 1000), usage(OTHER, 10)))
    series.add(sample(2, usage(ONE, 1200), usage(OTHER, 30)))
    series.add(sample(4, usage(OTHER, 50)))
    series.add(sample(6, usage(OTHER, 50), usage(ONE, 10**9)))
    assert [row.received for row in series.rows] == [None, 110.0, 10.0, 0.0]


def test_where_nothing_came_there_is_a_gap_and_the_old_goes() -> None:
    series = StatsSeries(ONE)
    series.add(sample(0, usage(ONE, 0)))
    series.add(sample(GAP_S + 1, usage(ONE, 10)))
    series.add(sample(GAP_S + 3))
    assert [row.cpu for row in series.rows] == [10, None, 10, None]
    assert series.rows[2].received is None
    series.add(sample(SPAN_S + 10, usage(ONE, 10)))
    assert series.rows[0].at == GAP_S + 1


@pytest.mark.parametrize(
    ("value", "binary", "top"),
    [
        (0, False, 1), (0, True, 1024), (0.3, False, 0.4), (99, False, 100), (100, False, 100), (101, False, 200),
        (153, False, 200), (1, True, 1), (700, True, 800), (1024, True, 1024), (1025, True, 2048),
        (256 * 1024**2, True, 400 * 1024**2), (900 * 1024**2, True, 1000 * 1024**2), (3.9 * 1024**3, True, 4 * 1024**3),
        (1020, True, 1024),
    ],
)  # fmt: skip
def test_axes_end_at_round_numbers(value: float, binary: bool, top: float) -> None:
    assert round_top(value, binary=binary) == pytest.approx(top)


@pytest.fixture
def graphs(store: AppStore, qtbot: QtBot) -> Iterator[StatsGraphs]:
    made = StatsGraphs(store)
    made.resize(900, 600)
    made.show()
    with qtbot.waitExposed(made):
        pass
    yield made
    shiboken6.delete(made)


def fill(store: AppStore, **kinds: bool) -> str:
    running(store)
    for one in stats_samples.history(**kinds):
        store.part(StatsStore).add(one)
    return next(entry.id for entry in samples.containers() if entry.state.is_up)


def shown(graphs: StatsGraphs) -> list[Graph]:
    return [graph for graph in graphs.grid.graphs if graph.isVisible()]


def test_the_newest_values_and_limits_in_words(store: AppStore, graphs: StatsGraphs) -> None:
    identity = fill(store)
    graphs.show_container(identity)
    described = {graph.accessibleName(): graph.accessibleDescription() for graph in shown(graphs)}
    assert described == {
        "CPU": "127%, limit 150%",
        "Memory": "171 MiB, limit 256 MiB",
        "Network": "received 335 KiB/s, sent 87.9 KiB/s",
        "Disk": "read 19.5 KiB/s, written 0 B/s",
    }
    graphs.show_container(None)
    machine_wide = {graph.accessibleName(): graph.accessibleDescription() for graph in shown(graphs)}
    assert machine_wide["CPU (all processors)"] == "8.9%"
    assert machine_wide["Memory"] == "1.5 GiB, limit 3.8 GiB"
    assert not graphs.status.isVisible()


def test_pointing_shows_the_values_of_that_time(store: AppStore, graphs: StatsGraphs) -> None:
    identity = fill(store, gap=True)
    graphs.show_container(identity)
    cpu = graphs.grid.graphs[0]
    plot = cpu._plot()
    QTest.mouseMove(cpu, QPoint(int(plot.right()), int(plot.center().y())))
    pointed = cpu.pointed_row
    assert pointed is not None
    assert stats_samples.NOW - pointed.at <= 4
    assert QDateTime.fromSecsSinceEpoch(int(pointed.at)).toString("HH:mm:ss") in cpu.accessibleDescription()
    assert not cpu.grab().isNull()
    QTest.mouseMove(cpu, QPoint(2, 2))
    assert not [graph for graph in graphs.grid.graphs if graph.pointed_row is not None]


def test_arrow_keys_move_the_cursor(store: AppStore, graphs: StatsGraphs) -> None:
    identity = fill(store)
    graphs.show_container(identity)
    cpu = graphs.grid.graphs[0]
    cpu.setFocus()
    QTest.keyClick(cpu, Qt.Key.Key_Left)
    QTest.keyClick(cpu, Qt.Key.Key_Left)
    row = cpu.pointed_row
    assert row is not None
    assert row.at == pytest.approx(stats_samples.NOW - 20)
    QTest.keyClick(cpu, Qt.Key.Key_Right)
    moved = cpu.pointed_row
    assert moved is not None
    assert moved.at == pytest.approx(stats_samples.NOW - 10)
    QTest.keyClick(cpu, Qt.Key.Key_Escape)
    assert cpu.pointed_row is None
    assert cpu.accessibleDescription() == "127%, limit 150%"


def test_a_stopped_container_and_a_stopped_machine_are_shown(store: AppStore, graphs: StatsGraphs) -> None:
    fill(store)
    stopped = next(entry.id for entry in samples.containers() if not entry.state.is_up)
    graphs.show_container(stopped)
    assert "stopped" in graphs.status.text()
    assert shown(graphs) == []
    store.part(StatsStore).clear()
    machine(store, Phase.STOPPED)
    graphs.show_container(None)
    assert "stopped" in graphs.status.text()


def test_loading_and_problems_are_shown(store: AppStore, graphs: StatsGraphs) -> None:
    running(store)
    graphs.show_container(None)
    assert "Loading" in graphs.status.text()
    store.part(StatsStore).fail(
        Problem(code=ProblemCode.GUEST_FAULT, summary=verbatim("The image is older."), hint=verbatim("Restart."))
    )
    assert graphs.status.text() == "The image is older. Restart."


def test_hidden_graphs_do_nothing_and_are_right_when_they_are_shown(
    store: AppStore, graphs: StatsGraphs, qtbot: QtBot
) -> None:
    identity = fill(store)
    graphs.show_container(identity)
    graphs.hide()
    before = len(graphs.grid._series.rows)
    late = replace(stats_samples.history()[-1], at=stats_samples.NOW + 2)
    store.part(StatsStore).add(late)
    assert len(graphs.grid._series.rows) == before
    assert graphs.grid._series.rows[-1].at == stats_samples.NOW
    graphs.show()
    assert graphs.grid._series.rows[-1].at == late.at


@pytest.mark.no_cover
def test_painting_a_whole_history_is_quick(store: AppStore, graphs: StatsGraphs) -> None:
    graphs.show_container(fill(store))
    graphs.grab()
    began = time.process_time()
    graphs.grab()
    assert time.process_time() - began < 0.15, "a tenth of that is usual"


def test_one_column_where_there_is_little_room(store: AppStore, graphs: StatsGraphs) -> None:
    identity = fill(store)
    graphs.show_container(identity)
    first, second = graphs.grid.graphs[:2]
    assert first.y() == second.y()
    graphs.resize(400, 600)
    QTest.qWait(10)
    assert first.y() < second.y()
    assert graphs.grab().width() == 400
