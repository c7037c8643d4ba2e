"""The support bundle in the window: created in a thread, cancelled, and its result shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.doctor.bundle import BundleCard
from app.features.doctor.bundle_store import BundleStore
from app.features.doctor.bundle_wiring import BundleWiring
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.store import AppStore
from backend.errors import Cancelled, Problem, ProblemCode, fail
from backend.messages import verbatim
from backend.support.bundle import BundleEntry, SupportBundle
from tests.gui.scenes.maintenance_scenes import machine_page

Progress = Callable[[str, float], object]


@pytest.fixture
def card(qapp: QApplication, store: AppStore, window: MainWindow, tmp_path: Path) -> Iterator[BundleCard]:
    links = MachineLink(lambda: ""), EngineLink()
    wiring = BundleWiring(Parts(qapp, store, *links, window), tmp_path / "home", window)
    window.show_machine("checks")
    yield machine_page(window).checks.bundle
    wiring.close()
    for link in links:
        link.close()


def test_it_is_created_and_its_path_and_contents_are_shown(
    card: BundleCard, store: AppStore, qtbot: QtBot, tmp_path: Path
) -> None:
    """A real bundle of a missing home directory: missing items are reported, and the file is created anyway."""
    target = tmp_path / "a folder" / "support.zip"
    target.parent.mkdir()
    store.intents.make_bundle.emit(str(target))
    assert not card.make.isEnabled()
    assert card.cancel.isVisible()
    qtbot.waitUntil(
        lambda: store.part(BundleStore).info is not None or store.part(BundleStore).problem is not None, timeout=60_000
    )
    assert store.part(BundleStore).problem is None
    assert target.exists()
    assert card._place.whole == str(target)
    assert "Contents: " in card.contents.text()
    with qtbot.waitSignal(store.intents.open_url) as opened:
        card.open_folder.click()
    assert opened.args == [target.parent.as_uri().replace("%20", " ")]
    assert card.make.isEnabled()


def test_progress_is_shown_and_it_can_be_cancelled(
    card: BundleCard, store: AppStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()

    def slow(_home: Path | None, _target: Path, *, progress: Progress, cancelled: Callable[[], bool]) -> SupportBundle:
        progress("logs/agent.log", 0.4)
        while not cancelled():
            assert not gone.wait(0.01)
        raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary=verbatim("Not made.")))

    monkeypatch.setattr("backend.support.bundle.make_support_bundle", slow)
    store.intents.make_bundle.emit("/x.zip")
    qtbot.waitUntil(lambda: card._bar.value() == 400)
    assert card._gathering.text() == "Collecting: logs/agent.log"
    card.cancel.click()
    qtbot.waitUntil(lambda: store.part(BundleStore).gathering is None)
    assert store.part(BundleStore).problem is None
    assert store.part(BundleStore).info is None
    assert card.make.isEnabled()


def test_a_file_that_cannot_be_written_is_a_problem(
    card: BundleCard, store: AppStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_home: Path | None, _target: Path, *, progress: Progress, cancelled: object) -> SupportBundle:
        raise fail(ProblemCode.PATH_UNUSABLE, verbatim("It cannot be written."))

    monkeypatch.setattr("backend.support.bundle.make_support_bundle", refuse)
    store.intents.make_bundle.emit("/x.zip")
    qtbot.waitUntil(card._problem.isVisible)
    assert card.make.isEnabled()


def test_missing_items_are_shown(
    card: BundleCard, store: AppStore, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SupportBundle(
        path=Path("/x.zip"),
        size=2048,
        entries=(BundleEntry(name="status.json", what=verbatim("the machine"), size=10),),
        missing=("engine.json: The engine does not answer.",),
    )
    monkeypatch.setattr("backend.support.bundle.make_support_bundle", lambda *_args, **_more: made)
    store.intents.make_bundle.emit("/x.zip")
    qtbot.waitUntil(card.missing.isVisible)
    assert "The engine does not answer." in card.missing.text()
    assert card.contents.text() == "2 KiB. Contents: status.json"
