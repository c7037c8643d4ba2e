"""Logs over a real socket: followed, gone on with after a break, merged, and of more containers than are followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from pytestqt.qtbot import QtBot

from app.features.logs.data import feed as feed_module
from app.features.logs.data import followed as followed_module
from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.feed import FOLLOW_LIMIT, READERS, LogFeed
from app.features.logs.data.followed import FollowedLog, LogState
from app.features.logs.data.lines import plain_texts
from app.features.logs.data.spill import Spill
from app.links.workers import join_threads
from backend.engine.client.answers import container_from_answer
from backend.engine.types import Container
from tests.fakes import answers
from tests.gui.fakes.fake_engine import FakeEngine, frame, recorded_log


def listed(engine: FakeEngine) -> tuple[Container, ...]:
    return tuple(container_from_answer(answers.entry(one)) for one in engine.entries)


class Opened:
    """A log with its feed."""

    def __init__(self, engine: FakeEngine, containers: list[Container]) -> None:
        ids = tuple(entry.id for entry in containers)
        self.log = FollowedLog(ids, tuple(entry.name for entry in containers), LogBuffer(Spill()))
        self.feed = LogFeed(self.log, engine.url, listed(engine))

    @property
    def lines(self) -> list[str]:
        buffer = self.log.buffer
        return plain_texts(buffer.untrusted_lines(0, buffer.end)).split("\n") if buffer.end else []

    @property
    def states(self) -> list[LogState]:
        return [each.state for each in self.log.states]


Opener = Callable[..., Opened]


@pytest.fixture
def opened(engine: FakeEngine, qtbot: QtBot) -> Iterator[Opener]:
    made: list[Opened] = []
    before = threading.active_count()

    def open_it(*names: str) -> Opened:
        made.append(Opened(engine, [entry for entry in listed(engine) if entry.name in names]))
        return made[-1]

    yield open_it
    for each in made:
        assert join_threads(each.feed.close(), 5)
    engine.die()
    qtbot.waitUntil(lambda: threading.active_count() <= before)


def stamped(second: int, words: str) -> bytes:
    return frame(f"2026-11-23T22:51:{second:02d}.500000000Z {words}\n".encode())


def identity(engine: FakeEngine, name: str) -> str:
    return next(entry.id for entry in listed(engine) if entry.name == name)


def test_a_log_is_read_and_followed(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    engine.logs[identity(engine, "web")] = recorded_log("chatty")
    web = opened("web")
    qtbot.waitUntil(lambda: "red plain" in web.lines)
    assert {"out", "err"} <= set(web.lines)
    with qtbot.waitSignal(web.log.changed):
        web.log.seen()
        engine.write_log(stamped(59, "new"))
    qtbot.waitUntil(lambda: "new" in web.lines)
    assert web.states == [LogState.FOLLOWING]
    assert "timestamps=1" in engine.log_queries[0]


def test_it_goes_on_when_its_container_starts_again(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    engine.logs[identity(engine, "web")] = stamped(1, "first") + stamped(1, "same moment")
    web = opened("web")
    qtbot.waitUntil(lambda: len(web.lines) == 2 and engine.log_readers == 1)
    engine.happen("die", "web")
    web.feed.refresh_containers(listed(engine))
    engine.end_logs()
    qtbot.waitUntil(lambda: web.states == [LogState.ENDED])
    engine.happen("start", "web")
    web.feed.refresh_containers(listed(engine))
    qtbot.waitUntil(lambda: engine.log_readers == 1)
    # The engine's `since` includes the last moment: what was shown of it is not shown twice, what is new of it is.
    again = stamped(1, "first") + stamped(1, "same moment") + stamped(1, "same moment, later") + stamped(2, "second")
    engine.write_log(again)
    qtbot.waitUntil(lambda: len(web.lines) >= 4)
    assert web.lines == ["first", "same moment", "same moment, later", "second"]
    assert "since=1795474261.500000000" in engine.log_queries[-1]


def test_a_restart_that_no_list_has_shown_is_followed_too(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    web = opened("web")
    qtbot.waitUntil(lambda: engine.log_readers == 1)
    engine.end_logs()
    qtbot.waitUntil(lambda: len(engine.log_queries) == 2 and engine.log_readers == 1)
    engine.write_log(stamped(2, "second"))
    qtbot.waitUntil(lambda: web.lines == ["second"])


def test_it_survives_an_engine_restart(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    web = opened("web")
    qtbot.waitUntil(lambda: engine.log_readers == 1)
    engine.write_log(stamped(3, "before"))
    qtbot.waitUntil(lambda: web.lines == ["before"])
    engine.die()
    qtbot.waitUntil(lambda: web.states == [LogState.RECONNECTING])
    qtbot.waitUntil(lambda: engine.log_readers == 0)
    asked = len(engine.log_queries)
    engine.listen()
    qtbot.waitUntil(lambda: len(engine.log_queries) > asked and engine.log_readers == 1)
    engine.write_log(stamped(3, "before") + stamped(4, "back"))
    qtbot.waitUntil(lambda: len(web.lines) >= 2)
    assert web.lines == ["before", "back"]


def test_it_waits_for_a_machine_and_goes_on_elsewhere(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    web = opened("web", "db")
    qtbot.waitUntil(lambda: engine.log_readers == 2)
    web.feed.set_url(None)
    qtbot.waitUntil(lambda: web.states == [LogState.RECONNECTING] * 2)
    engine.end_logs()  # it would notice at its next word only that nobody listens
    qtbot.waitUntil(lambda: engine.log_readers == 0)
    asked = len(engine.log_queries)
    web.feed.set_url(engine.url)
    qtbot.waitUntil(lambda: web.states == [LogState.FOLLOWING] * 2)
    assert len(engine.log_queries) == asked + 2, "a stopped machine's endpoint is never asked"


def test_the_log_of_a_container_that_is_gone_says_so(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    engine.happen("die", "web")
    opening = listed(engine)
    engine.happen("destroy", "web")
    web = Opened(engine, [entry for entry in opening if entry.name == "web"])
    qtbot.waitUntil(lambda: web.states == [LogState.ENDED])
    problem = web.log.states[0].problem
    assert problem is not None
    assert "no longer exists" in str(problem.summary)
    assert join_threads(web.feed.close(), 5)


def test_a_log_that_is_not_understood_is_asked_for_once(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    engine.wire_logs[identity(engine, "web")] = b"this is no chunk of a log\r\n"
    web = opened("web")
    qtbot.waitUntil(lambda: web.states == [LogState.ENDED])
    problem = web.log.states[0].problem
    assert problem is not None
    assert "understood" in str(problem.summary)
    web.feed.refresh_containers(listed(engine))  # any change of any container brings a new list
    engine.wire_logs.clear()
    engine.happen("die", "web")
    web.feed.refresh_containers(listed(engine))
    engine.happen("start", "web")
    web.feed.refresh_containers(listed(engine))
    qtbot.waitUntil(lambda: web.states == [LogState.FOLLOWING])
    assert join_threads(web.feed.close(), 5)
    asked = [one for one in engine.requests if one.endswith(f"{identity(engine, 'web')}/logs")]
    assert len(asked) == 2, "once before it was started again, and once after"


def test_several_logs_are_one_in_the_order_of_time(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    for name, first in (("web", 1), ("db", 2), ("dns", 3)):
        engine.logs[identity(engine, name)] = b"".join(
            stamped(second, f"{name} {second}") for second in range(first, 58, 3)
        )
    several = opened("web", "db", "dns")
    qtbot.waitUntil(lambda: len(several.lines) == 57)
    assert [int(line.split()[1]) for line in several.lines] == list(range(1, 58))
    engine.write_log(stamped(59, "late"), identity(engine, "db"))
    qtbot.waitUntil(lambda: several.lines[-1] == "late")
    source = several.log.buffer.record(57).source
    assert several.log.names[source] == "db"


def test_a_torrent_is_read_whole(engine: FakeEngine, opened: Opener, qtbot: QtBot) -> None:
    engine.logs[identity(engine, "web")] = b"".join(stamped(1, f"line {number}") for number in range(30_000))
    web = opened("web")
    qtbot.waitUntil(lambda: web.log.buffer.end == 30_000)
    assert web.lines == [f"line {number}" for number in range(30_000)]


def test_more_containers_than_are_followed_cost_no_more_connections(
    engine: FakeEngine, opened: Opener, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "TURN_S", 0.2)
    template = next(entry for entry in engine.entries if entry["State"] == "running")
    engine.entries = [
        template
        | {"Id": f"{number:064x}", "Names": [f"/many-{number}"], "State": "running" if number < 60 else "exited"}
        for number in range(100)
    ]
    for entry in listed(engine):
        engine.logs[entry.id] = stamped(int(entry.id, 16) % 60, entry.name)
    many = opened(*(entry.name for entry in listed(engine)))
    qtbot.waitUntil(lambda: len(many.lines) >= 100 and LogState.OPENING not in many.states)
    assert sorted(many.lines) == sorted(entry.name for entry in listed(engine))
    assert engine.most_log_readers <= FOLLOW_LIMIT + READERS
    qtbot.waitUntil(lambda: many.states.count(LogState.ENDED) == 40)
    assert many.states.count(LogState.FOLLOWING) == FOLLOW_LIMIT
    qtbot.waitUntil(lambda: many.states.count(LogState.IN_TURN) == 60 - FOLLOW_LIMIT)
    # One that is followed stops: one of the others takes its place.
    followed = many.states.index(LogState.FOLLOWING)
    engine.happen("die", f"many-{followed}")
    many.feed.refresh_containers(listed(engine))
    with engine._lock:
        stream = next(each for each in engine._log_streams if engine._log_names[id(each)] == f"{followed:064x}")
    stream.put(None)
    qtbot.waitUntil(lambda: many.states.count(LogState.ENDED) == 41)
    qtbot.waitUntil(lambda: many.states.count(LogState.FOLLOWING) == FOLLOW_LIMIT)


def test_the_newest_lines_are_read_first_and_older_ones_are_known_of(
    engine: FakeEngine, opened: Opener, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "LEAST_TAIL_LINES", 1)
    engine.logs[identity(engine, "web")] = b"".join(stamped(second, "line") for second in range(8))
    web = opened("web")
    qtbot.waitUntil(lambda: len(web.lines) == 8)
    assert not web.log.has_older, "they are all"
    assert f"tail={feed_module.FIRST_LINES}" in engine.log_queries[0]
    monkeypatch.setattr(feed_module, "FIRST_LINES", 5)
    ids = (identity(engine, "web"),)
    log = FollowedLog(ids, ("web",), LogBuffer(Spill()))
    feed = LogFeed(log, engine.url, listed(engine), tail=5)
    qtbot.waitUntil(lambda: log.buffer.end == 8)
    assert log.has_older, "as many as were asked for have come"
    assert join_threads(feed.close(), 5)


def test_a_log_that_is_late_says_so_until_no_line_comes(
    engine: FakeEngine, opened: Opener, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = opened("web")
    assert web.states == [LogState.OPENING]
    qtbot.waitUntil(lambda: engine.log_readers == 1)
    engine.write_log(stamped(1, "long ago"))
    qtbot.waitUntil(lambda: len(web.lines) == 1)
    assert not web.log.is_opening
    assert web.log.behind_s != 0.0
    monkeypatch.setattr(followed_module, "ARRIVING_S", 0.0)
    assert web.log.behind_s == 0.0, "nothing arrives: the last line is just old"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z fresh\n")
    monkeypatch.setattr(followed_module, "ARRIVING_S", 60.0)
    engine.write_log(frame(now.encode()))
    qtbot.waitUntil(lambda: len(web.lines) == 2)
    assert web.log.behind_s == 0.0
