"""Who may start a machine that was put down, and what counts as use of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest

from backend.engine.client.socket import open_api
from backend.engine.front.activity import Activity
from backend.engine.front.clients import OWN_CLIENT_HEADER, Clients, Purpose, Request, is_own, purpose_of
from backend.engine.front.http_head import parse_request_head
from backend.host.process import ProcessIdentity
from backend.model import PutDown


@pytest.mark.parametrize(
    ("method", "target", "purpose"),
    [
        ("GET", "/events", Purpose.EVENTS),
        ("GET", "/v1.50/events?filters=%7B%7D", Purpose.EVENTS),
        ("GET", "/v1.50/containers/a/logs?follow=1&stdout=1", Purpose.FOLLOWS),
        ("GET", "/containers/a/logs?follow=true", Purpose.FOLLOWS),
        ("GET", "/v1.50/services/a/logs?follow=1", Purpose.FOLLOWS),
        ("GET", "/v1.50/containers/a/logs?stdout=1", Purpose.LOOKS),
        ("GET", "/v1.50/containers/a/logs?follow=0", Purpose.LOOKS),
        ("GET", "/v1.50/containers/a/stats", Purpose.FOLLOWS),
        ("GET", "/v1.50/containers/a/stats?stream=0", Purpose.LOOKS),
        ("GET", "/v1.50/containers/a/stats?stream=1&one-shot=1", Purpose.LOOKS),
        ("POST", "/v1.50/containers/a/wait?condition=next-exit", Purpose.FOLLOWS),
        ("POST", "/v1.50/containers/a/attach?stream=1", Purpose.FOLLOWS),
        ("HEAD", "/_ping", Purpose.LOOKS),
        ("GET", "/v1.50/containers/json", Purpose.LOOKS),
        ("GET", "/v1.50/containers/a/archive?path=%2F", Purpose.DOWNLOADS),
        ("HEAD", "/v1.50/containers/a/archive?path=%2F", Purpose.LOOKS),
        ("GET", "/v1.50/images/a/b/get", Purpose.DOWNLOADS),
        ("POST", "/v1.50/containers/a/start", Purpose.ACTS),
        ("POST", "/v1.50/containers/create?name=events", Purpose.ACTS),
        ("DELETE", "/v1.50/containers/logs", Purpose.ACTS),
    ],
)
def test_what_a_request_is_for(method: str, target: str, purpose: Purpose) -> None:
    assert purpose_of(method, target) is purpose


@dataclass
class Connection:
    """An accepted stream with the process at its other end."""

    process: ProcessIdentity | None

    def peer_process(self) -> ProcessIdentity | None:
        return self.process


OLD, NEW, UNKNOWN = ProcessIdentity(1, 50.0), ProcessIdentity(2, 300.0), None
PING, LIST = "GET /_ping", "GET /v1.50/containers/json"
LOGS, EVENTS, START = "GET /containers/a/logs?follow=1", "GET /events", "POST /containers/a/start"


class Front:
    """The rules with a clock of the test's."""

    def __init__(self, *, began: float = 0.0) -> None:
        self.now = began
        self.put_down: PutDown | None = None
        self.clients = Clients(put_down=lambda: self.put_down, clock=lambda: self.now)

    def request(self, line: str, process: ProcessIdentity | None, *headers: str) -> Request:
        text = "".join(f"{name}\r\n" for name in (f"{line} HTTP/1.1", "Host: docker", *headers)) + "\r\n"
        return self.clients.request(parse_request_head(text.encode()), self.clients.of(Connection(process)))

    def may_start(self, line: str, process: ProcessIdentity | None, *headers: str) -> bool:
        return self.clients.may_start(self.request(line, process, *headers))


@pytest.mark.parametrize("by_person", [True, False])
@pytest.mark.parametrize(
    ("line", "process", "after_person", "after_rule"),
    [
        (PING, OLD, False, True),
        (LIST, OLD, False, True),
        (LOGS, OLD, False, False),
        (EVENTS, OLD, False, False),
        (START, OLD, True, True),
        (PING, NEW, True, True),
        (LOGS, NEW, True, True),
        (EVENTS, NEW, False, False),
        (START, NEW, True, True),
        (PING, UNKNOWN, True, True),
        (LOGS, UNKNOWN, False, False),
        (START, UNKNOWN, True, True),
    ],
)
def test_who_starts_a_machine_that_was_put_down(
    by_person: bool, line: str, process: ProcessIdentity | None, after_person: bool, after_rule: bool
) -> None:
    front = Front()
    front.now = 100.0
    front.request("GET /version", OLD)
    front.put_down = PutDown(at=200.0, by_person=by_person)
    front.now = 310.0
    assert front.may_start(line, process) is (after_person if by_person else after_rule)


@pytest.mark.parametrize("line", [PING, LIST, LOGS, EVENTS, START])
def test_the_window_starts_nothing(line: str) -> None:
    front = Front()
    front.put_down = PutDown(at=200.0, by_person=False)
    assert not front.may_start(line, NEW, f"{OWN_CLIENT_HEADER}: 1")


def test_a_process_of_another_with_the_same_id_is_a_new_one() -> None:
    front = Front()
    front.now = 100.0
    front.request(PING, OLD)
    front.put_down = PutDown(at=200.0, by_person=True)
    front.now = 310.0
    assert front.may_start(PING, ProcessIdentity(OLD.pid, 305.0))


def test_an_agent_that_began_later_takes_every_older_process_for_connected() -> None:
    front = Front(began=250.0)
    front.put_down = PutDown(at=200.0, by_person=True)
    front.now = 310.0
    assert not front.may_start(PING, OLD)
    assert front.may_start(PING, NEW)


def test_a_machine_that_was_never_put_down_is_started_for_every_command() -> None:
    front = Front()
    assert front.may_start(LOGS, UNKNOWN)
    assert front.may_start(PING, OLD)
    assert not front.may_start(EVENTS, NEW)


def test_a_program_that_asks_the_same_again_and_again_does_not_use_the_machine() -> None:
    now = 0.0
    activity, front = Activity(lambda: now), Front()
    for now in (10.0, 20.0, 30.0):  # noqa: B007 -- the clock reads it
        ended = activity.begin(front.request(LIST, OLD))
        assert activity.idle_s == 0.0, "its answer may be a long one"
        ended()
    assert activity.idle_s == 20.0
    for line in (START, START):
        now += 10.0
        activity.begin(front.request(line, OLD))()
        assert activity.idle_s == 0.0, "that is use, however often"


def test_the_window_uses_the_machine_only_by_what_it_changes() -> None:
    now = 0.0
    activity, front = Activity(lambda: now), Front()
    mark = f"{OWN_CLIENT_HEADER}: 1"
    now = 50.0
    activity.begin(front.request(LOGS, NEW, mark))
    activity.begin(front.request(LIST, NEW, mark))()
    assert activity.idle_s == 50.0
    downloaded = activity.begin(front.request("GET /containers/a/export", NEW, mark))
    assert activity.idle_s == 0.0
    now = 60.0
    downloaded()
    now = 70.0
    assert activity.idle_s == 10.0
    activity.begin(front.request(START, NEW, mark))()
    assert activity.idle_s == 0.0


def test_our_own_programs_mark_their_requests() -> None:
    with contextlib.closing(open_api("unix:///none", "1.47", 1)) as api:
        assert is_own(tuple((name.lower(), str(value)) for name, value in api.headers.items()))
