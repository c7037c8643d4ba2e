"""Quitting: the question about the machine, remembered answers, and waiting for the machine."""

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
from backend.messages import verbatim
from backend.model import Phase, StopPolicy
from tests.gui.fakes.recording_link import RecordingLink
from tests.gui.scenes import samples
from tests.gui.scenes.maintenance_scenes import MOVING, show_machine


class Quitting:
    """The wiring with a link that records requests, and a quit that is only counted."""

    def __init__(
        self, qapp: QApplication, store: AppStore, window: MainWindow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.store, self.window = store, window
        self.link, self.engine_link = RecordingLink(), EngineLink()
        self.requests = self.link.requests
        parts = Parts(qapp, store, self.link, self.engine_link, window)
        self.quits = 0
        self.machine = MachineWiring(parts, window)
        self.wiring = QuittingWiring(parts, self.machine, window, Tray(store, window), window)
        monkeypatch.setattr(self.wiring, "quit", self._quit)

    def _quit(self) -> None:
        self.quits += 1

    def dialog(self) -> QuitDialog | None:
        return next((dialog for dialog in self.window.findChildren(QuitDialog) if dialog.isVisible()), None)


@pytest.fixture
def quitting(qapp: QApplication, store: AppStore, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> Quitting:
    return Quitting(qapp, store, window, monkeypatch)


def close_links(quitting: Quitting) -> None:
    quitting.link.close()
    quitting.engine_link.close()


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED])
def test_no_question_if_the_machine_is_not_running(quitting: Quitting, phase: Phase) -> None:
    show_machine(quitting.store, phase)
    quitting.store.intents.quit.emit()
    assert (quitting.quits, quitting.dialog()) == (1, None)
    close_links(quitting)


@pytest.mark.parametrize(
    ("choice", "policy"), [("keep", None), ("suspend", StopPolicy.SUSPEND), ("stop", StopPolicy.POWER_DOWN)]
)
def test_each_choice_does_what_it_says(quitting: Quitting, choice: str, policy: StopPolicy | None) -> None:
    show_machine(quitting.store, Phase.RUNNING)
    quitting.store.intents.quit.emit()
    dialog = quitting.dialog()
    assert dialog is not None
    assert dialog.choice == "keep", "nothing happens to the machine unless it is chosen"
    dialog.choices[choice].setChecked(True)
    dialog.confirm.click()
    if policy is None:
        assert (quitting.quits, quitting.requests) == (1, [])
    else:
        assert (quitting.quits, quitting.requests) == (0, [messages.Stop(policy=policy)])
        ended = Phase.SUSPENDED if choice == "suspend" else Phase.STOPPED
        quitting.link.status_changed.emit(samples.status(Phase.STOPPING))
        assert quitting.quits == 0
        quitting.link.status_changed.emit(samples.status(ended))
        assert quitting.quits == 1
    assert quitting.store.preferences.on_quit == "ask"
    close_links(quitting)


def test_a_remembered_choice_is_not_asked_again(quitting: Quitting) -> None:
    show_machine(quitting.store, Phase.RUNNING)
    quitting.store.intents.quit.emit()
    dialog = quitting.dialog()
    assert dialog is not None
    dialog.choices["suspend"].setChecked(True)
    dialog.remember.setChecked(True)
    dialog.confirm.click()
    assert quitting.store.preferences.on_quit == "suspend"
    quitting.requests.clear()
    quitting.store.intents.quit.emit()
    assert quitting.dialog() is None
    assert quitting.requests == [messages.Stop(policy=StopPolicy.SUSPEND)]
    close_links(quitting)


def test_cancel_leaves_everything_as_it_is(quitting: Quitting) -> None:
    show_machine(quitting.store, Phase.RUNNING)
    quitting.store.intents.quit.emit()
    dialog = quitting.dialog()
    assert dialog is not None
    dialog.cancel.click()
    assert (quitting.quits, quitting.requests, quitting.dialog()) == (0, [], None)
    quitting.store.intents.quit.emit()
    assert quitting.dialog() is not None
    close_links(quitting)


@pytest.mark.expect_log("the agent refused stop")
def test_a_refusal_keeps_the_window(quitting: Quitting) -> None:
    show_machine(quitting.store, Phase.RUNNING)
    quitting.store.intents.suspend_and_quit.emit()
    busy = Problem(code=ProblemCode.BUSY, summary=verbatim("Moving the disk."))
    quitting.link.answer(messages.Stop(policy=StopPolicy.SUSPEND), busy)
    quitting.link.status_changed.emit(samples.status(Phase.STOPPED, seq=9))
    assert quitting.quits == 0
    assert quitting.store.problem is not None
    close_links(quitting)


def test_during_an_operation_it_can_only_keep_running(quitting: Quitting) -> None:
    quitting.store.preferences.on_quit = "stop"
    show_machine(quitting.store, Phase.RUNNING, operation=MOVING)
    quitting.store.intents.quit.emit()
    dialog = quitting.dialog()
    assert dialog is not None
    assert [name for name, choice in dialog.choices.items() if choice.isEnabled()] == ["keep"]
    close_links(quitting)


def test_while_it_starts_it_cannot_be_suspended(quitting: Quitting, qtbot: QtBot) -> None:
    show_machine(quitting.store, Phase.BOOTING)
    quitting.store.intents.quit.emit()
    dialog = quitting.dialog()
    assert dialog is not None
    assert [name for name, choice in dialog.choices.items() if choice.isEnabled()] == ["keep", "stop"]
    close_links(quitting)
