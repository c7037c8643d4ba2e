"""The status bar: its text in each state, what a click opens, and what is hidden when there is no room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.features.stats.store import StatsStore
from app.frame.status_bar import StatusBar
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.ui import figures
from backend.api import VERSION
from backend.model import Phase
from backend.stats import StatsSample
from tests.gui.scenes import samples, stats_samples
from tests.gui.scenes.maintenance_scenes import MOVING, show_machine
from tests.gui.screenshots import machine, running

WIDE = 1400


@pytest.fixture
def bar(store: AppStore, qtbot: QtBot) -> Iterator[StatusBar]:
    made = StatusBar(store)
    made.resize(WIDE, 30)
    made.show()
    with qtbot.waitExposed(made):
        pass
    yield made
    shiboken6.delete(made)


def said(bar: StatusBar) -> str:
    parts = (bar.engine, bar.accelerator, bar.cpu, bar.memory, bar.disk, bar.version)
    return " | ".join(part.text() for part in parts if part.isVisible())


def sample(store: AppStore) -> None:
    store.part(StatsStore).add(StatsSample(at=stats_samples.NOW, machine=stats_samples.machine_usage()))


def test_a_running_machine_in_figures(store: AppStore, bar: StatusBar) -> None:
    running(store)
    sample(store)
    assert said(bar) == (f"Engine running | KVM | CPU 34% | Memory 1.2 of 4 GiB | Disk 12 of 64 GiB | Wherry {VERSION}")
    assert "Memory 1.2 of 4 GiB" in bar.accessibleDescription()


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.STOPPED, "Engine stopped"),
        (Phase.PREPARING, "Engine starting…"),
        (Phase.BOOTING, "Engine starting…"),
        (Phase.CONNECTING, "Engine starting…"),
        (Phase.DEGRADED, "Engine running with problems"),
        (Phase.STOPPING, "Engine stopping…"),
        (Phase.FAILED, "Engine failed to start"),
    ],
)
def test_the_engine_in_each_phase(store: AppStore, bar: StatusBar, phase: Phase, words: str) -> None:
    machine(store, phase)
    assert bar.engine.text() == words


def test_no_figures_of_a_machine_that_does_not_run(store: AppStore, bar: StatusBar) -> None:
    running(store)
    sample(store)
    assert "CPU" in said(bar)
    machine(store, Phase.STOPPING)
    assert "CPU" not in said(bar)


def test_a_lost_agent_and_a_lost_engine_are_shown(store: AppStore, bar: StatusBar) -> None:
    assert said(bar).startswith("Connecting…")
    running(store)
    store.set_engine_link(LinkState.RECONNECTING, samples.ENGINE_PROBLEM)
    assert bar.engine.text() == "Reconnecting to the engine…"
    store.set_agent_link(LinkState.RECONNECTING, samples.BOOT_PROBLEM)
    assert bar.engine.text() == "Reconnecting to the agent…"


def test_software_emulation_is_marked_and_its_reason_is_in_the_tip(store: AppStore, bar: StatusBar) -> None:
    machine(store, Phase.DEGRADED)
    assert bar.accelerator.text() == "Software emulation"
    assert bar.accelerator.property("role") == "warning"
    assert "usermod -aG kvm" in bar.accelerator.toolTip()


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return])
def test_a_key_leads_to_the_machine_page(store: AppStore, bar: StatusBar, qtbot: QtBot, key: Qt.Key) -> None:
    bar.setFocus()
    with qtbot.waitSignal(store.intents.show_page) as asked:
        QTest.keyClick(bar, key)
    assert asked.args == ["machine"]


def test_a_click_on_any_part_leads_to_the_machine_page(store: AppStore, bar: StatusBar, qtbot: QtBot) -> None:
    running(store)
    sample(store)
    for part in (bar.engine, bar.memory):
        with qtbot.waitSignal(store.intents.show_page):
            QTest.mouseClick(part, Qt.MouseButton.LeftButton)


def test_the_least_important_parts_are_hidden_first_and_nothing_is_cut(store: AppStore, bar: StatusBar) -> None:
    running(store)
    sample(store)
    before = bar.engine.text()
    seen = set()
    for width in range(WIDE, 60, -20):
        bar.resize(width, 30)
        seen.add(said(bar))
        assert bar.engine.text() == before
        assert bar.engine.isVisible()
        for part in (bar.accelerator, bar.cpu, bar.memory, bar.disk, bar.version):
            assert not part.isVisible() or part.width() >= part.sizeHint().width(), (width, part.text())
    assert len(seen) == 6
    assert "Engine running" in seen


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1 MiB"),
        (int(1.96 * 1024**3), "2 GiB"),
        (int(12.34 * 1024**3), "12.3 GiB"),
        (640 * 1024**3, "640 GiB"),
        (5 * 1024**4, "5 TiB"),
        (3 * 1024**5, "3072 TiB"),
        (-1, "0 B"),
    ],
)
def test_sizes(value: int, words: str) -> None:
    assert figures.size(value) == words


def test_shares_and_rates() -> None:
    assert [figures.percent(value) for value in (0, 0.04, 9.9, 9.96, 99.6, 340, -3)] == [
        "0%", "0.0%", "9.9%", "10%", "100%", "340%", "0%",
    ]  # fmt: skip
    assert figures.rate(1536) == "1.5 KiB/s"
    assert figures.used_of(256 * 1024**2, 2 * 1024**3) == "256 MiB of 2 GiB"


def test_an_update_and_an_operation_are_shown(store: AppStore, bar: StatusBar) -> None:
    show_machine(store, Phase.RUNNING, image_offer="2026.12.0")
    assert bar.update_offer.text() == "Update 2026.12.0 available"
    assert "Update 2026.12.0 available" in bar.accessibleDescription()
    show_machine(store, Phase.RUNNING, image_offer="2026.12.0", operation=MOVING)
    assert bar.engine.text() == "Moving the disk · 42%"
    assert bar.update_offer.text() == ""
    show_machine(store, Phase.SUSPENDED)
    assert bar.engine.text() == "Engine suspended"
