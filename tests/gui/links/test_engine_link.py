"""The link to the engine over a real socket: lists, events, actions, logs, and engines that die and come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
import shiboken6
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.links.engine_link import EngineLink
from app.links.link_state import LinkState
from backend.engine.client.engine_client import EngineClient
from backend.engine.types import Container, ContainerAction
from backend.errors import Problem, ProblemCode
from tests.gui.fakes.fake_engine import FakeEngine
from tests.gui.scenes.samples import recorded


class LinkSignals:
    """Records all signals of a link."""

    def __init__(self, link: EngineLink) -> None:
        self.states: list[LinkState] = []
        self.problems: list[Problem] = []
        self.containers: tuple[Container, ...] | None = None
        self.finished: list[tuple[str, ContainerAction, Problem | None]] = []
        link.state_changed.connect(self._state)
        link.containers_changed.connect(self._listed)
        link.action_finished.connect(lambda *words: self.finished.append(words))

    def _state(self, state: LinkState, problem: Problem | None) -> None:
        self.states.append(state)
        if problem is not None:
            self.problems.append(problem)

    def _listed(self, containers: tuple[Container, ...]) -> None:
        self.containers = containers

    def named(self, name: str) -> Container:
        return next(entry for entry in self.containers or () if entry.name == name)


@pytest.fixture
def link(qtbot: QtBot) -> Iterator[EngineLink]:
    made = EngineLink()
    yield made
    made.close()
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("engine-")]
    assert not left, "a thread outlived its link"


@pytest.fixture
def signals(link: EngineLink) -> LinkSignals:
    return LinkSignals(link)


def connected(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    link.set_endpoint(engine.url)
    qtbot.waitUntil(lambda: LinkState.UP in signals.states and signals.containers is not None)


def test_it_connects_and_lists(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    connected(link, signals, engine, qtbot)
    assert signals.states[:2] == [LinkState.CONNECTING, LinkState.UP]
    assert signals.named("web").state.is_up


def test_an_event_refreshes_the_list(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    connected(link, signals, engine, qtbot)
    engine.happen("die", "web")
    qtbot.waitUntil(lambda: not signals.named("web").state.is_up)


def test_a_thousand_events_are_few_lists(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    before = engine.lists
    for _ in range(500):
        engine.happen("die", "web")
        engine.happen("start", "web")
    engine.happen("die", "web")
    qtbot.waitUntil(lambda: not signals.named("web").state.is_up)
    assert engine.lists - before < 40


def test_an_action_is_done_and_the_list_new(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    web = signals.named("web")
    link.act(web.id, ContainerAction.STOP)
    qtbot.waitUntil(lambda: bool(signals.finished))
    assert signals.finished == [(web.id, ContainerAction.STOP, None)]
    assert not signals.named("web").state.is_up, "the new list comes before the answer"


def test_a_refused_action_says_why(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    connected(link, signals, engine, qtbot)
    engine.refuses = (500, "no space left on device")
    link.act(signals.named("web").id, ContainerAction.START)
    qtbot.waitUntil(lambda: bool(signals.finished))
    problem = signals.finished[0][2]
    assert problem is not None
    assert "no space left" in str(problem.summary)


def test_a_kill_does_not_wait_for_stops(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    gate = threading.Event()
    slow = [entry for entry in signals.containers or () if entry.name != "web"][:6]
    for entry in slow:
        engine.held[f"POST /containers/{entry.id}/stop"] = gate
        link.act(entry.id, ContainerAction.STOP)
    qtbot.waitUntil(lambda: sum(line.endswith("/stop") for line in engine.requests) == len(slow), timeout=10_000)
    web = signals.named("web").id
    link.act(web, ContainerAction.KILL)
    qtbot.waitUntil(lambda: (web, ContainerAction.KILL, None) in signals.finished)
    assert len(signals.finished) == 1
    gate.set()
    qtbot.waitUntil(lambda: len(signals.finished) == 1 + len(slow))
    assert all(problem is None for _id, _action, problem in signals.finished)
    assert LinkState.RECONNECTING not in signals.states


def test_an_action_without_an_engine_fails(link: EngineLink, signals: LinkSignals, qtbot: QtBot) -> None:
    link.act("ab" * 32, ContainerAction.START)
    qtbot.waitUntil(lambda: bool(signals.finished))
    assert signals.finished[0][2] is not None


def test_an_engine_that_restarts_is_reconnected(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    engine.die()
    qtbot.waitUntil(lambda: signals.states[-1] is LinkState.RECONNECTING)
    assert signals.problems
    assert signals.containers, "the list stays while the engine is away"
    engine.entries = engine.entries[:1]
    engine.listen()
    qtbot.waitUntil(lambda: signals.states[-1] is LinkState.UP and len(signals.containers or ()) == 1)


def test_an_engine_that_comes_late(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.die()
    link.set_endpoint(engine.url)
    qtbot.waitUntil(lambda: LinkState.RECONNECTING in signals.states)
    engine.listen()
    qtbot.waitUntil(lambda: signals.states[-1] is LinkState.UP)


def test_no_endpoint_ends_everything(link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot) -> None:
    connected(link, signals, engine, qtbot)
    link.set_endpoint(None)
    assert signals.states[-1] is LinkState.OFF
    qtbot.waitUntil(lambda: engine.listeners == 0 or not any(thread.is_alive() for thread in link._old))
    asked = len(engine.requests)
    engine.happen("die", "web")
    link.refresh()
    assert len(engine.requests) == asked, "a stopped machine's endpoint is never asked"


def test_a_job_is_run_elsewhere_and_answered_here(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    threads: list[threading.Thread] = []
    answers: list[object] = []

    def job(client: EngineClient) -> str:
        threads.append(threading.current_thread())
        return client.version().version

    def done(answer: object) -> None:
        answers.append(answer)
        threads.append(threading.current_thread())

    link.run(job, done)
    assert answers == [], "never before the call has returned"
    qtbot.waitUntil(lambda: len(threads) == 2)
    assert answers == [recorded("version")["Version"]]
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


def test_a_job_that_the_engine_refuses_is_answered_with_the_problem(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    answers: list[object] = []
    link.run(lambda client: client.inspect("no-such"), answers.append)
    qtbot.waitUntil(lambda: bool(answers))
    assert isinstance(answers[0], Problem)
    assert answers[0].code is ProblemCode.ENGINE_ERROR


def test_a_job_without_an_engine_is_answered(link: EngineLink, qtbot: QtBot) -> None:
    answers: list[object] = []
    link.run(lambda client: client.version(), answers.append)
    qtbot.waitUntil(lambda: bool(answers))
    assert isinstance(answers[0], Problem)
    assert answers[0].code is ProblemCode.ENGINE_DOWN


def test_an_answer_of_the_engine_before_is_not_given(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    connected(link, signals, engine, qtbot)
    answers: list[object] = []
    begun, go = threading.Event(), threading.Event()

    def job(_client: EngineClient) -> bool:
        begun.set()
        return go.wait(10)

    link.run(job, answers.append)
    assert begun.wait(10)
    link.set_endpoint(None)
    go.set()
    qtbot.waitUntil(lambda: bool(answers))
    assert isinstance(answers[0], Problem)
    assert answers[0].code is ProblemCode.CANCELLED


def test_an_answer_for_a_view_that_is_gone_is_dropped(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot
) -> None:
    class View(QObject):
        answers: ClassVar[list[object]] = []

        def done(self, answer: object) -> None:
            self.answers.append(answer)

    connected(link, signals, engine, qtbot)
    view, others = View(), list[object]()
    go = threading.Event()
    link.run(lambda _client: go.wait(10), view.done)
    shiboken6.delete(view)
    go.set()
    link.run(lambda client: client.version(), others.append)
    qtbot.waitUntil(lambda: bool(others))
    link.run(lambda client: client.version(), others.append)
    qtbot.waitUntil(lambda: len(others) == 2)
    assert View.answers == []


@pytest.mark.expect_log("a defect in what watches the engine")
def test_a_defect_while_watching_is_reported_and_survived(
    link: EngineLink, signals: LinkSignals, engine: FakeEngine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = EngineClient.events
    calls = 0

    def broken_once(client: EngineClient) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise TypeError("a mistake of ours")
        return whole(client)

    monkeypatch.setattr(EngineClient, "events", broken_once)
    connected(link, signals, engine, qtbot)
    assert LinkState.RECONNECTING in signals.states
    assert signals.problems[0].code is ProblemCode.INTERNAL
    assert "a mistake of ours" in str(signals.problems[0].summary)
