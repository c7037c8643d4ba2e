"""Quitting: what becomes of the machine, asked once or settled, and waited for."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.machine.wiring import MachineWiring
from app.frame.main_window import MainWindow
from app.frame.quit_dialog import QuitDialog
from app.frame.quitting import QuittingWiring
from app.frame.tray import Tray
from app.links.engine_link import EngineLink
from app.state.parts import Parts
from app.state.store import AppStore
from backend.control import messages
from backend.errors import Problem, ProblemCode
from backend.model import Phase, StopPolicy
from tests.gui.fakes.asked_link import AskedLink
from tests.gui.scenes import samples
from tests.gui.scenes.maintenance_scenes import MOVING, show_machine


class Leaving:
    """The wiring with links that note what they are asked, and an end that is only counted."""

    def __init__(
        self, qapp: QApplication, store: AppStore, window: MainWindow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.store, self.window = store, window
        self.link, self.engine_link = AskedLink(), EngineLink()
        self.asked = self.link.asked
        parts = Parts(qapp, store, self.link, self.engine_link, window)
        self.quits = 0
        self.machine = MachineWiring(parts, window)
        self.wiring = QuittingWiring(parts, self.machine, window, Tray(store, window), window)
        monkeypatch.setattr(self.wiring, "quit", self._quit)

    def _quit(self) -> None:
        self.quits += 1

    def dialog(self) -> QuitDialog | None:
        return next((found for found in self.window.findChildren(QuitDialog) if found.isVisible()), None)


@pytest.fixture
def leaving(qapp: QApplication, store: AppStore, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Leaving:
    return Leaving(qapp, store, window, monkeypatch)


def close_links(leaving: Leaving) -> None:
    leaving.link.close()
    leaving.engine_link.close()


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED])
def test_no_question_if_the_machine_is_not_running(leaving: Leaving, phase: Phase) -> None:
    show_machine(leaving.store, phase)
    leaving.store.intents.quit.emit()
    assert (leaving.quits, leaving.dialog()) == (1, None)
    close_links(leaving)


@pytest.mark.parametrize(
    ("choice", "policy"), [("keep", None), ("suspend", StopPolicy.SUSPEND), ("stop", StopPolicy.POWER_DOWN)]
)
def test_each_choice_does_what_it_says(leaving: Leaving, choice: str, policy: StopPolicy | None) -> None:
    show_machine(leaving.store, Phase.RUNNING)
    leaving.store.intents.quit.emit()
    dialog = leaving.dialog()
    assert dialog is not None
    assert dialog.choice == "keep", "nothing happens to the machine unless it is chosen"
    dialog.choices[choice].setChecked(True)
    dialog.confirm.click()
    if policy is None:
        assert (leaving.quits, leaving.asked) == (1, [])
    else:
        assert (leaving.quits, leaving.asked) == (0, [messages.Stop(policy=policy)])
        ended = Phase.SUSPENDED if choice == "suspend" else Phase.STOPPED
        leaving.link.status_changed.emit(samples.status(Phase.STOPPING))
        assert leaving.quits == 0
        leaving.link.status_changed.emit(samples.status(ended))
        assert leaving.quits == 1
    assert leaving.store.preferences.on_quit == "ask"
    close_links(leaving)


def test_a_remembered_choice_is_not_asked_again(leaving: Leaving) -> None:
    show_machine(leaving.store, Phase.RUNNING)
    leaving.store.intents.quit.emit()
    dialog = leaving.dialog()
    assert dialog is not None
    dialog.choices["suspend"].setChecked(True)
    dialog.remember.setChecked(True)
    dialog.confirm.click()
    assert leaving.store.preferences.on_quit == "suspend"
    leaving.asked.clear()
    leaving.store.intents.quit.emit()
    assert leaving.dialog() is None
    assert leaving.asked == [messages.Stop(policy=StopPolicy.SUSPEND)]
    close_links(leaving)


def test_cancel_leaves_everything_as_it_is(leaving: Leaving) -> None:
    show_machine(leaving.store, Phase.RUNNING)
    leaving.store.intents.quit.emit()
    dialog = leaving.dialog()
    assert dialog is not None
    dialog.cancel.click()
    assert (leaving.quits, leaving.asked, leaving.dialog()) == (0, [], None)
    leaving.store.intents.quit.emit()
    assert leaving.dialog() is not None
    close_links(leaving)


@pytest.mark.expect_log("the agent refused stop")
def test_a_refusal_keeps_the_window(leaving: Leaving) -> None:
    show_machine(leaving.store, Phase.RUNNING)
    leaving.store.intents.suspend_and_quit.emit()
    busy = Problem(code=ProblemCode.BUSY, summary="Moving the disk.")
    leaving.link.answer(messages.Stop(policy=StopPolicy.SUSPEND), busy)
    leaving.link.status_changed.emit(samples.status(Phase.STOPPED, seq=9))
    assert leaving.quits == 0
    assert leaving.store.problem is not None
    close_links(leaving)


def test_during_an_operation_it_can_only_keep_running(leaving: Leaving) -> None:
    leaving.store.preferences.on_quit = "stop"
    show_machine(leaving.store, Phase.RUNNING, operation=MOVING)
    leaving.store.intents.quit.emit()
    dialog = leaving.dialog()
    assert dialog is not None
    assert [name for name, choice in dialog.choices.items() if choice.isEnabled()] == ["keep"]
    close_links(leaving)


def test_while_it_starts_it_cannot_be_suspended(leaving: Leaving, qtbot: QtBot) -> None:
    show_machine(leaving.store, Phase.BOOTING)
    leaving.store.intents.quit.emit()
    dialog = leaving.dialog()
    assert dialog is not None
    assert [name for name, choice in dialog.choices.items() if choice.isEnabled()] == ["keep", "stop"]
    close_links(leaving)
