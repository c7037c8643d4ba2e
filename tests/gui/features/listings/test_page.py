"""The pages of images, volumes and networks, and loading their lists from the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.containers.list.wiring import ContainersWiring
from app.features.listings.page import ListingView
from app.features.listings.store import ListingStore
from app.features.listings.wiring import ListingsWiring
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.store import AppStore
from backend.model import Phase
from tests.gui.fakes.fake_engine import FakeEngine
from tests.gui.scenes import samples
from tests.gui.screenshots import fill_listings, machine, running


def page(window: MainWindow, kind: str) -> ListingView:
    window.show_page(kind)
    made = window.page(kind)
    assert isinstance(made, ListingView)
    return made


def cells(view: ListingView, column: int = 0) -> list[str]:
    return [str(view.proxy.index(row, column).data()) for row in range(view.proxy.rowCount())]


def select(view: ListingView, row: int) -> None:
    """Not selectRow: it toggles where a test before held Ctrl."""
    flags = QItemSelectionModel.SelectionFlag
    view.table.selectionModel().setCurrentIndex(view.proxy.index(row, 0), flags.ClearAndSelect | flags.Rows)


def test_what_is_shown_of_each(store: AppStore, window: MainWindow) -> None:
    running(store)
    fill_listings(store)
    images = page(window, "images")
    assert cells(images) == ["<none>", "busybox", "busybox", "old", "registry.example.org:5000/team/web", "web"]
    assert cells(images, 5)[-1] == "2 containers"
    assert "shop-db-1" in str(images.proxy.index(5, 5).data(Qt.ItemDataRole.ToolTipRole))
    volumes = page(window, "volumes")
    assert cells(volumes)[1:] == ["shop_data", "unused"]
    assert cells(volumes, 4) == ["0 B", "2.9 MiB", "0 B"]
    assert cells(volumes, 5) == ["1 container", "2 containers", "unused"]
    networks = page(window, "networks")
    assert cells(networks) == ["backend", "bridge", "host", "none", "shop_default"]
    assert cells(networks, 3)[0] == "10.77.0.0/16"


def test_sorting_by_size_is_by_number(store: AppStore, window: MainWindow) -> None:
    running(store)
    fill_listings(store)
    volumes = page(window, "volumes")
    store.part(ListingStore).set_volume_sizes({"shop_data": 5, "unused": 900 * 1024**3})
    volumes.table.sortByColumn(4, Qt.SortOrder.DescendingOrder)
    assert cells(volumes, 4) == ["900 GiB", "5 B", "–"]


def test_the_filter_finds_ids_and_users_too(store: AppStore, window: MainWindow) -> None:
    running(store)
    fill_listings(store)
    images = page(window, "images")
    QTest.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert images.filter.hasFocus()
    images.filter.setText("team 1.27")
    assert cells(images) == ["registry.example.org:5000/team/web"]
    images.filter.setText("shop-web-1")
    assert len(cells(images)) == 4
    images.filter.setText("nothing like this")
    assert images.empty.isVisible()
    QTest.mouseClick(images.empty.button, Qt.MouseButton.LeftButton)
    assert len(cells(images)) == 6


def test_copying_by_keyboard(store: AppStore, window: MainWindow) -> None:
    running(store)
    fill_listings(store)
    images = page(window, "images")
    images.table.setFocus()
    select(images, 5)
    QTest.keyClick(images.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "web:latest"
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(images.table, Qt.Key.Key_C, modifiers)
    assert QGuiApplication.clipboard().text().startswith("sha256:8427bcfa5f17")
    assert len(QGuiApplication.clipboard().text()) == 71


def test_the_selection_survives_another_list(store: AppStore, window: MainWindow) -> None:
    running(store)
    fill_listings(store)
    images = page(window, "images")
    select(images, 5)
    store.part(ListingStore).set_entries("images", samples.images()[2:])
    assert [entry.name for entry in images.selected] == ["web:latest"]


def test_empty_stopped_and_failed_are_three_things(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    machine(store, Phase.STOPPED)
    volumes = page(window, "volumes")
    assert volumes.empty.isVisible()
    with qtbot.waitSignal(store.intents.start_machine):
        QTest.mouseClick(volumes.empty.button, Qt.MouseButton.LeftButton)
    running(store)
    fill_listings(store, empty=True)
    assert volumes.empty.command.isVisible()
    store.part(ListingStore).set_problem("volumes", samples.ENGINE_PROBLEM)
    assert volumes.problem.isVisible()
    store.part(ListingStore).set_entries("volumes", samples.volumes())
    assert not volumes.problem.isVisible()
    assert volumes.table.isVisible()


@pytest.fixture
def parts(
    qapp: QApplication, store: AppStore, window: MainWindow, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Parts]:
    monkeypatch.setattr("app.features.listings.wiring.PAUSE_MS", 20)
    machine(store, Phase.RUNNING)
    machine_link = MachineLink(lambda: "")
    link = EngineLink()
    made = Parts(qapp, store, machine_link, link, window)
    wirings = ContainersWiring(made, window), ListingsWiring(made, window)
    link.set_endpoint(f"unix://{engine.path}")
    yield made
    link.close()
    machine_link.close()
    for one in wirings:
        shiboken6.delete(one)


def test_loaded_only_when_the_page_is_opened(
    parts: Parts, window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: parts.store.containers is not None)
    networks = page(window, "networks")
    qtbot.waitUntil(lambda: bool(cells(networks)))
    assert "GET /images/json" not in engine.requests
    images = page(window, "images")
    qtbot.waitUntil(lambda: len(cells(images)) == 6)
    assert "GET /volumes" not in engine.requests
    volumes = page(window, "volumes")
    qtbot.waitUntil(lambda: cells(volumes, 4) == ["0 B", "2.9 MiB", "0 B"])


def test_an_event_causes_a_reload_and_many_events_cause_few(
    parts: Parts, window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    networks = page(window, "networks")
    qtbot.waitUntil(lambda: len(cells(networks)) == 5)
    before = engine.requests.count("GET /networks")
    engine.listings["networks"] = engine.listings["networks"][:2]
    for _ in range(50):
        engine.event("network", "create")
    qtbot.waitUntil(lambda: len(cells(networks)) == 2)
    assert engine.requests.count("GET /networks") - before < 20


def test_a_failed_list_is_reported_and_reloaded(
    parts: Parts, window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    kept = engine.listings.pop("networks")
    networks = page(window, "networks")
    qtbot.waitUntil(networks.problem.isVisible)
    engine.listings["networks"] = kept
    parts.store.intents.refresh.emit()
    qtbot.waitUntil(lambda: len(cells(networks)) == 5)
    assert not networks.problem.isVisible()


def test_another_engine_clears_the_lists(parts: Parts, window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    images = page(window, "images")
    qtbot.waitUntil(lambda: len(cells(images)) == 6)
    parts.engine_link.set_endpoint(None)
    qtbot.waitUntil(lambda: cells(images) == [])
    parts.engine_link.set_endpoint(f"unix://{engine.path}")
    qtbot.waitUntil(lambda: len(cells(images)) == 6)
