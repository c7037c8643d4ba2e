"""The whole application on a fake agent."""

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
    """The application, and a machine whose status the test controls."""

    def __init__(self, app: WherryApp, agent: FakeAgent, qtbot: QtBot) -> None:
        self.app, self.agent, self._qtbot = app, agent, qtbot
        self.store, self.window = app.store, app.window
        self.notices: list[str] = []
        self.store.noticed.connect(lambda notice: self.notices.append(str(notice.text)))
        self._seq = 1

    def publish(self, phase: Phase, **changes: Any) -> None:
        """Set the machine's status, and wait until the window has it."""
        self._seq += 1
        status = samples.status(phase, seq=self._seq, **changes)
        self.agent.publish(status)
        self.wait(lambda: self.store.machine == status)

    def wait(self, condition: Any) -> None:
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)

    def received(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` requests of this name, and return the arguments of all."""
        self.wait(lambda: len(self.agent.received(name)) >= count)
        return self.agent.received(name)

    def confirm(self) -> str:
        """Confirm the open question; returns its text."""
        box = self.box()
        words = f"{box.text()}\n{box.informativeText()}"
        self.press(go_on=True)
        return words

    def press(self, *, go_on: bool) -> None:
        """Confirm or cancel the open question."""
        (button,) = [made for made in self.box().buttons() if (made.text() != "Cancel") is go_on]
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def box(self) -> QMessageBox:
        """The open question."""
        (box,) = [found for found in self.window.findChildren(QMessageBox) if found.isVisible()]
        return box

    def part(self, name: str) -> MachineView:
        """The Machine page, opened at a tab."""
        self.window.show_machine(name)
        return machine_page(self.window)


def started(qapp: QApplication, agent: FakeAgent, qtbot: QtBot) -> Iterator[MaintenanceWindow]:
    """The application with a running machine; closed at the end of the block."""
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
