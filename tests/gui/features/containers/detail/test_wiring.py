"""Requests of a container's page, and the assignment of replies to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.containers.data.files import Listing
from app.features.containers.data.store import DetailStore
from app.features.containers.detail.wiring import DetailWiring
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.store import AppStore
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.scenes import samples

ID = "ab" * 32


@pytest.fixture
def detail(
    qapp: QApplication, store: AppStore, window: MainWindow, agent: FakeAgent, qtbot: QtBot
) -> Iterator[DetailStore]:
    """The store, connected to an agent that holds requests for directories until released."""
    link, engine_link = MachineLink(lambda: str(agent.path)), EngineLink()
    wiring = DetailWiring(Parts(qapp, store, link, engine_link, window), window)
    agent.holds.add("files.list")
    with qtbot.waitSignal(link.connected):
        link.open()
    yield store.part(DetailStore)
    wiring.close()
    link.close()
    engine_link.close()


def test_a_refusal_belongs_to_the_directory_that_was_refused(
    detail: DetailStore, agent: FakeAgent, qtbot: QtBot
) -> None:
    shown: list[tuple[str, object]] = []
    detail.listed.connect(lambda _container, path, answer: shown.append((path, answer)))
    detail.intents.load_listing.emit(ID, "/slow")
    detail.intents.load_listing.emit(ID, "/gone")
    qtbot.waitUntil(lambda: len(agent.requests) == 2)
    slow, gone = agent.requests
    agent.reply(gone, samples.ENGINE_PROBLEM)
    qtbot.waitUntil(lambda: len(shown) == 1)
    assert shown == [("/gone", samples.ENGINE_PROBLEM)]
    agent.reply(slow, {**slow.args, "resolved": "/slow", "directory": None, "entries": []})
    qtbot.waitUntil(lambda: len(shown) == 2)
    assert shown[1] == ("/slow", Listing(ID, "/slow", "/slow", None, (), is_truncated=False))
