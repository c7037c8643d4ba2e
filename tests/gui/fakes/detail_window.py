"""The main window with a container's page, connected to the fake engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.containers.data.store import DetailStore
from app.features.containers.detail.page import DetailPage
from app.features.containers.detail.wiring import DetailWiring
from app.features.containers.list.wiring import ContainersWiring
from app.features.containers.page import ContainersPage
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.link_state import LinkState
from app.state.parts import Parts
from app.state.store import AppStore
from app.terminal.session import TerminalSession
from backend.model import Phase
from tests.gui.fakes.fake_engine import FakeEngine
from tests.gui.fakes.recording_link import RecordingLink
from tests.gui.scenes import samples


class DetailWindow:
    """The window, the links and the wirings that a container's page needs."""

    def __init__(self, store: AppStore, window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
        self.store, self.window, self.engine, self.qtbot = store, window, engine, qtbot
        self.link = EngineLink()
        self.machine_link = RecordingLink()
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        parts = Parts(app, store, self.machine_link, self.link, window)
        ContainersWiring(parts, window)
        self.wiring = DetailWiring(parts, window)
        store.set_agent_link(LinkState.UP)
        store.set_machine(samples.status(Phase.RUNNING))
        self.link.set_endpoint(engine.url)
        self.wait(lambda: store.containers)
        self.id = next(entry.id for entry in store.containers or () if entry.state.value == "running")

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()))

    def open(self, tab: str) -> Any:
        self.store.intents.open_container.emit(self.id, tab)
        return self.page.tab(tab)

    @property
    def page(self) -> DetailPage:
        return cast(ContainersPage, self.window.page("containers")).detail

    def session(self, *, debug: bool = False) -> TerminalSession:
        found = self.store.part(DetailStore).terminal(self.id, debug=debug)
        assert found is not None
        return found

    def text(self, *, debug: bool = False) -> str:
        screen = self.session(debug=debug).screen
        return "\n".join(screen.row_text(row) for row in range(screen.lines))

    def close(self) -> None:
        self.wiring.close()
        self.link.close()
        self.machine_link.close()
