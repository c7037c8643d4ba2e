"""The network check dialog: where it is opened, what it shows while it runs, and cancelling it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.features.doctor.network_check import NetworkCheckDialog
from app.features.doctor.network_check_store import NetworkCheckStore
from app.frame.main_window import MainWindow
from app.state.store import AppStore
from backend import api
from backend.doctor.network.types import NetworkDiagnosis, NetworkHop
from backend.errors import Cancelled, Problem, ProblemCode, fail
from backend.messages import verbatim
from backend.model import HopState, Phase
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.fakes.maintenance_window import MaintenanceWindow, buttons_of, started
from tests.gui.scenes import samples
from tests.gui.scenes.container_scenes import open_form
from tests.gui.scenes.network_scenes import PORT_TAKEN, PULL_PROBLEM, SUBNET_CLASH, check_dialog, up
from tests.gui.screenshots import fill_listings

LEFT = Qt.MouseButton.LeftButton


class Doctor:
    """Replaces the backend's check: reports the hops that the test sets, and waits where the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.homes: list[Path | None] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.saw_cancel = threading.Event()
        self.raises: Exception | None = None
        self.hops = (
            NetworkHop(
                id="reference",
                title=verbatim("Image"),
                state=HopState.OK,
                detail=verbatim("docker.io/library/x:latest"),
            ),
            NetworkHop(
                id="tls",
                title=verbatim("TLS"),
                state=HopState.FAILED,
                detail=verbatim("the certificate is <b>odd</b>"),
                fix=verbatim("Mend it."),
            ),
        )

    def __call__(
        self,
        home: Path | None,
        image: str = "",
        *,
        on_hop: Callable[[NetworkHop], object],
        cancelled: threading.Event,
    ) -> NetworkDiagnosis:
        self.homes.append(home)
        self.asked.append(image)
        on_hop(self.hops[0])
        if self.raises is not None:
            raise self.raises
        while not self.go_on.wait(0.01):
            if cancelled.is_set():
                self.saw_cancel.set()
                raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary=verbatim("Cancelled.")))
        on_hop(self.hops[1])
        return NetworkDiagnosis(
            image="docker.io/library/x:latest", hops=self.hops, verdict=verbatim("TLS fails. Mend it.")
        )


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Doctor:
    made = Doctor()
    monkeypatch.setattr(api, "diagnose_network", made, raising=False)
    return made


@pytest.fixture
def whole(qapp: QApplication, agent: FakeAgent, qtbot: QtBot, doctor: Doctor) -> Iterator[MaintenanceWindow]:
    del doctor
    yield from started(qapp, agent, qtbot)


def shown(dialog: NetworkCheckDialog) -> list[tuple[str, str, str]]:
    rows = [row for row in dialog.rows if row.isVisible()]
    return [(row.title.text(), row.detail.text(), row.fix.text() if row.fix.isVisible() else "") for row in rows]


def test_hops_arrive_one_by_one_and_the_verdict_at_the_end(whole: MaintenanceWindow, doctor: Doctor) -> None:
    doctor.go_on.clear()
    dialog = check_dialog(whole.window, "x")
    whole.wait(lambda: len(shown(dialog)) == 1)
    assert dialog.progress.isVisible()
    assert dialog.verdict.text.text() == "Checking…"
    assert not dialog.copy.isEnabled()
    doctor.go_on.set()
    whole.wait(lambda: not whole.store.part(NetworkCheckStore).running)
    assert doctor.asked == ["x"]
    assert shown(dialog) == [
        ("Image · OK", "docker.io/library/x:latest", ""),
        ("TLS · Failed", "the certificate is <b>odd</b>", "What to do: Mend it."),
    ]
    assert dialog.verdict.text.text() == "TLS fails. Mend it."
    assert dialog.verdict.mark.accessibleName() == "Failed", "the verdict is as bad as its worst hop"
    QTest.mouseClick(dialog.copy, LEFT)
    assert "TLS fails. Mend it." in QGuiApplication.clipboard().text()
    assert "FAILED" in QGuiApplication.clipboard().text()
    dialog.image.setText(" y:2 ")
    QTest.mouseClick(dialog.run, LEFT)
    whole.wait(lambda: doctor.asked == ["x", "y:2"] and not whole.store.part(NetworkCheckStore).running)
    assert len(shown(dialog)) == 2


def test_it_can_be_cancelled_restarted_and_closed(whole: MaintenanceWindow, doctor: Doctor) -> None:
    doctor.go_on.clear()
    dialog = check_dialog(whole.window)
    whole.wait(lambda: len(shown(dialog)) == 1)
    QTest.mouseClick(dialog.cancel, LEFT)
    assert not whole.store.part(NetworkCheckStore).running
    assert "canceled" in dialog.verdict.text.text()
    assert doctor.saw_cancel.wait(5)
    doctor.saw_cancel.clear()
    QTest.mouseClick(dialog.run, LEFT)
    whole.wait(lambda: len(doctor.asked) == 2)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert doctor.saw_cancel.wait(5), "nobody waits for it any more"
    assert not dialog.isVisible()
    doctor.go_on.set()
    again = check_dialog(whole.window, "z")
    whole.wait(lambda: whole.store.part(NetworkCheckStore).verdict)
    assert again is not dialog
    assert doctor.asked == ["", "", "z"]


@pytest.mark.parametrize(
    "error",
    [
        fail(ProblemCode.NETWORK_FAILED, verbatim("No network.")),
        pytest.param(ValueError("a defect"), marks=pytest.mark.expect_log("in a job of network-check-0")),
    ],
    ids=str,
)
def test_a_check_that_fails_itself_is_a_problem(whole: MaintenanceWindow, doctor: Doctor, error: Exception) -> None:
    doctor.raises = error
    dialog = check_dialog(whole.window, "x")
    whole.wait(lambda: dialog.problem.problem is not None)
    assert not dialog.progress.isVisible()
    assert not dialog.verdict.isVisible()


def test_quitting_cancels_a_running_check(qapp: QApplication, agent: FakeAgent, doctor: Doctor) -> None:
    doctor.go_on.clear()
    app = WherryApp(qapp, lambda: str(agent.path))
    app.store.intents.run_network_check.emit("")
    app.close()
    assert doctor.asked == [] or doctor.saw_cancel.is_set()


def test_it_can_be_opened_wherever_a_pull_can_fail(store: AppStore, window: MainWindow) -> None:
    asked: list[str] = []
    store.intents.run_network_check.connect(asked.append)
    up(store)
    fill_listings(store)
    window.show_page("images")
    QTest.mouseClick(buttons_of(window.page("images"))["Why can't I pull?"], LEFT)
    window.show_machine("checks")
    QTest.mouseClick(buttons_of(window.page("machine"))["Check network…"], LEFT)
    form = open_form(store, window, api.ContainerSpec(image="postgres:17"))
    form.pull.offer("postgres:17")
    form.pull.ended.emit(PULL_PROBLEM)
    QApplication.processEvents()
    QTest.mouseClick(buttons_of(form)["Why can't I pull?"], LEFT)
    assert asked == ["", "", "postgres:17"]
    assert len([found for found in window.findChildren(NetworkCheckDialog) if found.isVisible()]) == 1
    assert store.part(NetworkCheckStore).worst is HopState.OK
    form.reject()


def test_network_problems_offer_the_check(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    def publish(*problems: Problem) -> dict[str, Any]:
        up(store)
        store.set_machine(samples.status(Phase.DEGRADED, problems=problems))
        QApplication.processEvents()
        return buttons_of(window.alert)

    QTest.mouseClick(publish(PORT_TAKEN)["Show ports"], LEFT)
    assert window.page_name == "ports"
    assert window.alert.property("level") == "warning", "a port is missing, the machine is well"
    with qtbot.waitSignal(store.intents.act_on_problem) as asked:
        QTest.mouseClick(publish(PORT_TAKEN, SUBNET_CLASH)["Restart the machine"], LEFT)
    assert asked.args == [SUBNET_CLASH.action]
    with qtbot.waitSignal(store.intents.check_network):
        failed = Problem(code=ProblemCode.NETWORK_FAILED, summary=verbatim("x"))
        QTest.mouseClick(publish(failed)["Check network…"], LEFT)
