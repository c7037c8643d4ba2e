"""Statistics from the agent to the store: when they are subscribed to, and when they are cleared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.machine.wiring import MachineWiring
from app.features.stats import wiring
from app.features.stats.store import HISTORY, StatsStore
from app.features.stats.wiring import StatsWiring
from app.frame.main_window import MainWindow
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.store import AppStore
from backend.control.protocol import StatsPush, encode
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from backend.stats import StatsSample
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.scenes import samples, stats_samples

GONE = Problem(code=ProblemCode.GUEST_FAULT, summary=verbatim("The image is older."))
OLD = Problem(code=ProblemCode.BAD_REQUEST, summary=verbatim("The agent does not know the request."))


def push(at: float) -> StatsPush:
    return StatsPush(sample=StatsSample(at=at, machine=stats_samples.machine_usage()))


@pytest.fixture
def parts(
    qapp: QApplication, store: AppStore, window: MainWindow, agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Parts]:
    monkeypatch.setattr(wiring, "LINGER_MS", 50)
    agent.status = samples.status(Phase.RUNNING, endpoint=None)
    link = MachineLink(lambda: str(agent.path))
    engine = EngineLink()
    made = Parts(qapp, store, link, engine, window)
    wirings = MachineWiring(made, window), StatsWiring(made, window)
    yield made
    link.close()
    engine.close()
    for one in wirings:
        shiboken6.delete(one)


def asked(agent: FakeAgent) -> list[str]:
    return [request.name for request in agent.requests if request.name.startswith("stats.")]


def test_subscribed_while_the_window_is_visible(parts: Parts, agent: FakeAgent, qtbot: QtBot) -> None:
    parts.machine_link.open()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"])
    agent.send(encode(push(1.0)) + encode(push(2.0)))
    qtbot.waitUntil(lambda: len(parts.store.part(StatsStore).samples()) == 2)
    parts.window.hide()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe", "stats.unsubscribe"])
    parts.window.show()
    qtbot.waitUntil(lambda: asked(agent)[-1] == "stats.subscribe")


def test_hiding_for_a_moment_loses_nothing(parts: Parts, agent: FakeAgent, qtbot: QtBot) -> None:
    parts.machine_link.open()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"])
    parts.window.hide()
    parts.window.show()
    qtbot.wait(150)
    assert asked(agent) == ["stats.subscribe"]


def test_subscribed_again_to_another_agent(parts: Parts, agent: FakeAgent, qtbot: QtBot) -> None:
    parts.machine_link.open()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"])
    agent.die()
    agent.listen()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"] * 2)


def test_figures_are_cleared_when_the_machine_stops(parts: Parts, agent: FakeAgent, qtbot: QtBot) -> None:
    parts.machine_link.open()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"])
    agent.send(encode(push(1.0)))
    qtbot.waitUntil(lambda: parts.store.part(StatsStore).machine is not None)
    agent.publish(samples.status(Phase.STOPPED))
    qtbot.waitUntil(lambda: parts.store.part(StatsStore).machine is None)
    assert parts.store.part(StatsStore).samples() == ()


def test_why_there_are_none_is_kept_and_not_shown_as_a_failed_request(
    parts: Parts, agent: FakeAgent, qtbot: QtBot
) -> None:
    parts.machine_link.open()
    qtbot.waitUntil(lambda: asked(agent) == ["stats.subscribe"])
    agent.send(encode(StatsPush(problem=GONE)))
    qtbot.waitUntil(lambda: parts.store.part(StatsStore).problem == GONE)
    agent.send(encode(push(1.0)))
    qtbot.waitUntil(lambda: parts.store.part(StatsStore).problem is None)
    assert parts.store.problem is None


def test_an_older_agent_that_has_none(parts: Parts, agent: FakeAgent, qtbot: QtBot) -> None:
    agent.refuses = OLD
    parts.machine_link.open()
    qtbot.waitUntil(lambda: parts.store.part(StatsStore).problem == OLD)
    assert parts.store.problem is None


def test_the_history_has_an_end_and_stays_in_order() -> None:
    stats = StatsStore()
    for sample in stats_samples.history():
        stats.add(sample)
    later = stats_samples.NOW + 2
    stats.add(StatsSample(at=later, machine=stats_samples.machine_usage()))
    assert len(stats.samples()) == HISTORY
    assert stats.samples()[-1].at == later
    stats.add(StatsSample(at=5.0, machine=stats_samples.machine_usage()))
    assert [sample.at for sample in stats.samples()] == [5.0], "the host's clock was set back"
    ids = [usage.id for usage in stats_samples.history()[-1].containers]
    assert stats.container(ids[0]) is None
