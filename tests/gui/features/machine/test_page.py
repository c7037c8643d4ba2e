"""The Machine page: use of resources, and diagnostics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from app.features.doctor.checks_store import ChecksStore
from app.features.doctor.checks_wiring import ChecksWiring
from app.features.machine.page import MachineView
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.store import AppStore
from backend import doctor
from backend.errors import ProblemCode, fail
from backend.messages import verbatim
from backend.model import Phase
from backend.stats import MachineUsage, StatsSample
from tests.gui.scenes import samples, stats_samples
from tests.gui.screenshots import machine, running

GIB = 1024**3


@pytest.fixture
def page(store: AppStore, window: MainWindow) -> MachineView:
    window.show_page("machine")
    made = window.page("machine")
    assert isinstance(made, MachineView)
    return made


def usage(**changes: int | None) -> StatsSample:
    values = {
        "memory_used_bytes": GIB, "memory_total_bytes": 4 * GIB, "disk_used_bytes": 16 * GIB,
        "disk_total_bytes": 62 * GIB, "memory_on_host_bytes": 2 * GIB, "disk_on_host_bytes": 20 * GIB, **changes,
    }  # fmt: skip
    return StatsSample(at=stats_samples.NOW, machine=MachineUsage(cpu_percent=1.0, **values))  # type: ignore[arg-type]


def test_memory_and_disk_given_used_and_taken(store: AppStore, page: MachineView) -> None:
    running(store)
    assert not page.overview.usage.isVisible()
    store.part(StatsStore).add(usage())
    shown = page.overview.usage
    assert [bar.text.text() for bar in (shown.memory_used, shown.memory_on_host)] == ["1 of 4 GiB", "2 of 4 GiB"]
    assert [bar.text.text() for bar in (shown.disk_used, shown.disk_on_host)] == ["16 of 64 GiB", "20 of 64 GiB"]
    assert [bar.bar.value() for bar in (shown.memory_used, shown.disk_used)] == [250, 250]
    assert shown.memory_used.bar.accessibleDescription() == "1 of 4 GiB"
    assert len([graph for graph in page.overview.graphs.graphs if graph.isVisible()]) == 4


def test_reclaimed_amounts_are_shown_where_known(store: AppStore, page: MachineView) -> None:
    running(store)
    store.part(StatsStore).add(usage(memory_returned_bytes=3 * GIB // 2, disk_returned_bytes=None))
    returned = page.overview.usage.returned
    assert returned["memory"].text() == "Reclaimed since the start: 1.5 GiB"
    assert not returned["disk"].isVisible()


def test_amounts_the_host_does_not_report_are_unknown(store: AppStore, page: MachineView) -> None:
    running(store)
    store.part(StatsStore).add(usage(memory_on_host_bytes=None))
    assert page.overview.usage.memory_on_host.text.text() == "unknown"


def test_figures_disappear_with_the_machine(store: AppStore, page: MachineView) -> None:
    running(store)
    store.part(StatsStore).add(usage())
    machine(store, Phase.STOPPING)
    assert not page.overview.usage.isVisible()


@pytest.mark.parametrize("phase", [None, *Phase])
def test_checks_and_console_are_available_in_every_phase(
    store: AppStore, page: MachineView, qtbot: QtBot, phase: Phase | None
) -> None:
    if phase is not None:
        machine(store, phase)
    assert page.checks.card.run.isEnabled()
    with qtbot.waitSignal(store.intents.run_checks):
        page.checks.card.run.click()
    assert page.overview.console.toggle.isEnabled()


@pytest.fixture
def wired(
    qapp: QApplication, store: AppStore, window: MainWindow, page: MachineView, tmp_path: Path
) -> Iterator[MachineView]:
    links = MachineLink(lambda: ""), EngineLink()
    parts = Parts(qapp, store, *links, window)
    wiring = ChecksWiring(parts, tmp_path / "home", window)
    page.show_part("checks")
    yield page
    wiring.close()
    for link in links:
        link.close()


def test_the_checks_are_the_doctors_and_can_be_copied(store: AppStore, wired: MachineView, qtbot: QtBot) -> None:
    wired.checks.card.run.click()
    assert wired.checks.card.run.text() == "Checking…"
    assert not wired.checks.card.run.isEnabled()
    qtbot.waitUntil(lambda: store.part(ChecksStore).results is not None, timeout=30_000)
    results = store.part(ChecksStore).results
    assert results is not None
    order = [check.id for check in doctor.CHECKS]
    assert [result.id for result in results] == sorted((result.id for result in results), key=order.index)
    assert {"home", "qemu", "agent", "context"} <= {result.id for result in results}
    assert wired.checks.card.run.text() == "Run again"
    QTest.mouseClick(wired.checks.card.copy, Qt.MouseButton.LeftButton)
    assert "Machine folder: " in QGuiApplication.clipboard().text()


def test_the_window_stays_responsive_while_checks_run_once(
    store: AppStore, wired: MachineView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, calls = threading.Event(), []

    def slow(home: Path | None) -> list[doctor.CheckResult]:
        calls.append(home)
        assert go.wait(30)
        return list(samples.check_results())

    monkeypatch.setattr("backend.doctor.examine_home", slow)
    store.intents.run_checks.emit()
    store.intents.run_checks.emit()
    qtbot.waitUntil(lambda: len(calls) == 1)
    assert store.part(ChecksStore).running
    go.set()
    qtbot.waitUntil(lambda: not store.part(ChecksStore).running)
    assert len(calls) == 1
    assert "2 checks need attention" in wired.checks.card._sum.text()
    assert [entry.state.value for entry in store.part(ChecksStore).results or ()].count("broken") == 2


def test_checks_that_fail_themselves_are_a_problem(
    store: AppStore, wired: MachineView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_home: Path | None) -> list[doctor.CheckResult]:
        raise fail(ProblemCode.PATH_UNUSABLE, verbatim("No."))

    monkeypatch.setattr("backend.doctor.examine_home", broken)
    store.intents.run_checks.emit()
    qtbot.waitUntil(lambda: store.part(ChecksStore).problem is not None)
    assert wired.checks.card._problem.isVisible()
    assert wired.checks.card.run.isEnabled()


def result(identifier: str, severity: doctor.CheckSeverity, **changes: object) -> doctor.CheckResult:
    passed = severity in (doctor.CheckSeverity.OK, doctor.CheckSeverity.NOTE)
    values = {
        "id": identifier, "title": verbatim(identifier.title()), "passed": passed, "finding": verbatim("x"),
        "severity": severity,
    }  # fmt: skip
    return doctor.CheckResult(**(values | changes))  # type: ignore[arg-type]  # values by name


def test_fixable_checks_are_confirmed_fixed_and_checked_again(
    store: AppStore, wired: MachineView, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended: list[tuple[Path | None, tuple[str, ...]]] = []
    found = [
        result("home", doctor.CheckSeverity.OK),
        result("lock", doctor.CheckSeverity.FAILURE, fix=verbatim("Remove the lock.")),
        result("keys", doctor.CheckSeverity.WARNING, fix=verbatim("Make the keys private.")),
    ]

    def repair(home: Path | None, *, only: tuple[str, ...]) -> list[doctor.CheckResult]:
        mended.append((home, only))
        return [result(each, doctor.CheckSeverity.OK, fixed=True) for each in only]

    monkeypatch.setattr("backend.doctor.examine_home", lambda _home: found)
    monkeypatch.setattr("backend.doctor.repair_home", repair)
    store.intents.run_checks.emit()
    qtbot.waitUntil(lambda: store.part(ChecksStore).results is not None)
    card = wired.checks.card
    rows = [row for row in card._rows if row.isVisible()]
    assert [row.title.text() for row in rows] == ["Lock", "Keys", "Home"], "what is wrong comes first"
    assert [row.fix.isVisible() for row in rows] == [True, True, False]
    assert card.fix_all.text() == "Fix all (2)"
    rows[0].fix.click()
    (box,) = card.findChildren(QMessageBox)
    assert "Remove the lock." in box.informativeText()
    assert mended == []
    next(made for made in box.buttons() if made.text() == "Fix").click()
    qtbot.waitUntil(lambda: not store.part(ChecksStore).running)
    assert [ids for _home, ids in mended] == [("lock",)]
    states = {entry.id: (entry.state.value, entry.fixed) for entry in store.part(ChecksStore).results or ()}
    assert states == {"home": ("good", False), "lock": ("good", True), "keys": ("warning", False)}
    assert not card.fix_all.isVisible(), "one is left, with a button of its own"
