"""The application on a fake agent, as the tests of maintenance use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.features.machine.page import MachineView
from app.state.settings_store import SettingsStore
from backend.model import Phase
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.scenes import samples, settings_samples
from tests.gui.scenes.maintenance_scenes import UPDATE, checkpoints_answer, machine_page

PATIENCE_MS = 60_000


class MaintenanceWindow:
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


def started(qapp: QApplication, agent: FakeAgent, qtbot: QtBot) -> Iterator[MaintenanceWindow]:
    """The window open on a machine that runs; ended when it is let go of."""
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
    made = MaintenanceWindow(app, agent, qtbot)
    made.wait(lambda: app.store.part(SettingsStore).machine is not None and app.store.phase is Phase.RUNNING)
    yield made
    app.close()
    shiboken6.delete(app.window)
    shiboken6.delete(app)


def buttons_of(widget: QWidget) -> dict[str, QPushButton]:
    return {made.text(): made for made in widget.findChildren(QPushButton) if made.isVisible()}
