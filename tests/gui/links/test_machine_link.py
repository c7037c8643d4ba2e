"""The link to the agent over a real socket: hello, snapshots, requests, and every way to lose it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
import shiboken6
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.links import machine_link
from app.links.machine_link import MachineLink
from backend.control import messages
from backend.control.lines import MAX_LINE_BYTES
from backend.control.messages.request import Request
from backend.control.protocol import PROTOCOL, Hello, encode
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import verbatim
from backend.model import MachineStatus, Phase, StopPolicy
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.scenes import samples


class Finder:
    """Replaces `ensure_agent`, and counts its calls."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.calls = 0
        self.revives = False
        self.error: WherryError | None = None
        self.threads: set[str] = set()

    def __call__(self) -> str:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        if self.revives and not self.agent.path.exists():
            self.agent.listen()
        return str(self.agent.path)


@pytest.fixture
def finder(agent: FakeAgent) -> Finder:
    return Finder(agent)


@pytest.fixture
def link(finder: Finder, qtbot: QtBot) -> Iterator[MachineLink]:
    made = MachineLink(finder)
    yield made
    made.close()


def seen(link: MachineLink) -> list[MachineStatus]:
    statuses: list[MachineStatus] = []
    link.status_changed.connect(statuses.append)
    return statuses


def lost(link: MachineLink) -> list[Problem]:
    problems: list[Problem] = []
    link.lost.connect(problems.append)
    return problems


def opened(link: MachineLink, qtbot: QtBot) -> None:
    with qtbot.waitSignal(link.status_changed):
        link.open()


def test_the_first_snapshot_comes_by_itself(link: MachineLink, finder: Finder, qtbot: QtBot) -> None:
    statuses = seen(link)
    opened(link, qtbot)
    assert link.is_up
    assert [status.phase for status in statuses] == [Phase.STOPPED]
    assert finder.threads == {"find-agent-0"}, "looking for the agent blocks: never in the GUI thread"


def test_changes_and_notices_are_pushed(link: MachineLink, agent: FakeAgent, qtbot: QtBot) -> None:
    statuses = seen(link)
    opened(link, qtbot)
    for phase in (Phase.PREPARING, Phase.BOOTING, Phase.RUNNING):
        agent.publish(samples.status(phase))
    qtbot.waitUntil(lambda: len(statuses) == 4)
    assert statuses[-1] == samples.status(Phase.RUNNING)
    with qtbot.waitSignal(link.noticed) as noticed:
        agent.notice("hello")
    assert noticed.args is not None
    assert str(noticed.args[0].text) == "hello"


@pytest.fixture
def requester(link: MachineLink) -> Requester:
    return Requester(link)


class Requester(QObject):
    """Sends requests, and records the replies."""

    def __init__(self, link: MachineLink) -> None:
        super().__init__()
        self._link = link
        self.answers: list[tuple[Request[Any], object]] = []

    def send(self, *requests: Request[Any]) -> None:
        for request in requests:
            self._link.request(request, partial(self._note, request), self)

    def _note(self, request: Request[Any], answer: object) -> None:
        self.answers.append((request, answer))


def directory(path: str) -> messages.ListFiles:
    return messages.ListFiles(container="c", path=path)


def listed(path: str) -> messages.FileList:
    return messages.FileList(container="c", path=path, resolved=path)


def test_requests_are_answered(link: MachineLink, agent: FakeAgent, requester: Requester, qtbot: QtBot) -> None:
    opened(link, qtbot)
    stop = messages.Stop(policy=StopPolicy.KILL)
    requester.send(stop)
    qtbot.waitUntil(lambda: requester.answers == [(stop, messages.Accepted())])
    assert (agent.requests[0].name, agent.requests[0].args) == ("stop", {"policy": "kill"})
    agent.refuses = samples.BOOT_PROBLEM
    requester.send(messages.Start())
    qtbot.waitUntil(lambda: requester.answers[1:] == [(messages.Start(), samples.BOOT_PROBLEM)])


def test_each_request_gets_its_own_answer_in_whatever_order_they_come(
    link: MachineLink, agent: FakeAgent, requester: Requester, qtbot: QtBot
) -> None:
    opened(link, qtbot)
    agent.holds.add("files.list")
    one, two, three = directory("/one"), directory("/two"), directory("/three")
    requester.send(one, two, three)
    qtbot.waitUntil(lambda: len(agent.requests) == 3)
    first, second, third = agent.requests
    agent.reply(second, samples.BOOT_PROBLEM)
    agent.reply(third, msgspec.to_builtins(listed("/three")))
    agent.reply(first, msgspec.to_builtins(listed("/one")))
    qtbot.waitUntil(lambda: len(requester.answers) == 3)
    assert requester.answers == [(two, samples.BOOT_PROBLEM), (three, listed("/three")), (one, listed("/one"))]


def test_an_answer_of_another_form_is_a_problem_of_its_request_only(
    link: MachineLink, agent: FakeAgent, requester: Requester, qtbot: QtBot
) -> None:
    opened(link, qtbot)
    agent.answers["files.list"] = {"entries": 3}
    requester.send(directory("/one"), messages.Start())
    qtbot.waitUntil(lambda: len(requester.answers) == 2)
    (_, problem), (_, started) = requester.answers
    assert isinstance(problem, Problem)
    assert problem.code is ProblemCode.AGENT_TOO_OLD
    assert started == messages.Accepted()
    assert link.is_up


def test_an_answer_never_reaches_who_was_deleted_meanwhile(
    link: MachineLink, agent: FakeAgent, requester: Requester, qtbot: QtBot
) -> None:
    opened(link, qtbot)
    reached: list[object] = []
    page = QObject()
    agent.holds.add("files.list")
    link.request(directory("/one"), reached.append, page)
    requester.send(directory("/two"))
    qtbot.waitUntil(lambda: len(agent.requests) == 2)
    shiboken6.delete(page)
    for asked in tuple(agent.requests):
        agent.reply(asked, msgspec.to_builtins(listed("/")))
    qtbot.waitUntil(lambda: len(requester.answers) == 1)  # answered after it
    assert reached == []


def test_a_request_without_an_agent_is_refused_after_it_was_made(
    link: MachineLink, requester: Requester, qtbot: QtBot
) -> None:
    requester.send(messages.Start())
    assert requester.answers == [], "who asks is not called back in the middle of asking"
    qtbot.waitUntil(lambda: len(requester.answers) == 1)
    assert unreachable(requester) == [messages.Start()]


def unreachable(requester: Requester) -> list[Request[Any]]:
    return [
        request
        for request, answer in requester.answers
        if isinstance(answer, Problem) and answer.code is ProblemCode.AGENT_UNREACHABLE
    ]


def test_an_agent_that_dies_is_started_again(link: MachineLink, agent: FakeAgent, finder: Finder, qtbot: QtBot) -> None:
    opened(link, qtbot)
    problems = lost(link)
    finder.revives = True
    with qtbot.waitSignal(link.connected):
        agent.die()
    assert len(problems) == 1
    assert problems[0].code is ProblemCode.AGENT_UNREACHABLE
    assert finder.calls >= 2


def test_requests_under_way_when_the_agent_dies_are_refused_once_each(
    link: MachineLink, agent: FakeAgent, requester: Requester, finder: Finder, qtbot: QtBot
) -> None:
    opened(link, qtbot)
    problems = lost(link)
    finder.revives = True
    agent.holds |= {"start", "files.list"}
    requester.send(messages.Start(), directory("/one"))
    qtbot.waitUntil(lambda: len(agent.requests) == 2)
    with qtbot.waitSignal(link.connected):
        agent.die()
    assert unreachable(requester) == [messages.Start(), directory("/one")]
    assert requester.answers[0][1] == problems[0]
    requester.send(messages.Restart())
    qtbot.waitUntil(lambda: requester.answers[2:] == [(messages.Restart(), messages.Accepted())])


@pytest.mark.parametrize(
    "garbage",
    [b"garbage\n", b'{"type":"status"}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n", b"x" * (MAX_LINE_BYTES + 2)],
    ids=["words", "half a status", "not utf-8", "deep", "a line without end"],
)
@pytest.mark.expect_log("the agent is not understood")
def test_garbage_ends_the_connection_and_it_comes_back(
    link: MachineLink, agent: FakeAgent, qtbot: QtBot, garbage: bytes
) -> None:
    opened(link, qtbot)
    problems = lost(link)
    with qtbot.waitSignal(link.connected):
        agent.send(garbage)
    assert [problem.code for problem in problems] == [ProblemCode.BAD_REQUEST]


def test_a_status_of_nearly_the_longest_line_is_taken(link: MachineLink, agent: FakeAgent, qtbot: QtBot) -> None:
    statuses = seen(link)
    opened(link, qtbot)
    tail = ("x" * 1000,) * 1000
    problem = Problem(code=ProblemCode.BOOT_FAILED, summary=verbatim("long"), tail=tail)
    agent.publish(samples.status(Phase.FAILED, problems=(problem,)))
    qtbot.waitUntil(lambda: statuses[-1].phase is Phase.FAILED)
    assert statuses[-1].problems[0].tail == tail


@pytest.mark.expect_log("the agent is not understood")
def test_another_protocol_is_refused_and_reported(link: MachineLink, agent: FakeAgent, qtbot: QtBot) -> None:
    agent.protocol = 99
    with qtbot.waitSignal(link.lost) as told:
        link.open()
    assert told.args is not None
    assert told.args[0].code is ProblemCode.AGENT_TOO_OLD
    assert not link.is_up


def test_an_agent_that_says_nothing_is_left(
    agent: FakeAgent, finder: Finder, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_link, "HELLO_DEADLINE_MS", 200)
    agent.greets = False
    link = MachineLink(finder)
    with qtbot.waitSignal(link.lost) as told:
        link.open()
    assert told.args is not None
    assert "didn't respond" in str(told.args[0].summary)
    link.close()


@pytest.mark.expect_log("the agent is not understood")
def test_an_agent_that_speaks_before_it_greets(link: MachineLink, agent: FakeAgent, qtbot: QtBot) -> None:
    agent.greets = False
    link.open()
    qtbot.waitUntil(lambda: agent.connections == 1)
    with qtbot.waitSignal(link.lost):
        agent.send(b'{"type":"notice","notice":{"level":"info","text":"x"}}\n')


def test_an_unavailable_agent_is_reported_and_retried(link: MachineLink, finder: Finder, qtbot: QtBot) -> None:
    finder.error = fail(ProblemCode.AGENT_UNREACHABLE, verbatim("It ends at once."))
    problems = lost(link)
    link.open()
    qtbot.waitUntil(lambda: len(problems) == 2)
    finder.error = None
    with qtbot.waitSignal(link.connected):
        pass


def test_lines_may_come_in_pieces(link: MachineLink, agent: FakeAgent, qtbot: QtBot) -> None:
    agent.greets = False
    link.open()
    qtbot.waitUntil(lambda: agent.connections == 1)
    hello = encode(Hello(protocol=PROTOCOL, version="x", pid=1))
    with qtbot.waitSignal(link.connected):
        for at in range(len(hello)):
            agent.send(hello[at : at + 1])
