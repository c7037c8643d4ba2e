"""Notifications of failures: not for requested stops, several as one, limited for crash loops, off by a setting."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.frame import notifications
from app.frame.notifications import QUIET_S, Alarm, ContainerWatch
from app.state.store import AppStore
from backend.engine.client.answers import events
from backend.engine.types import EngineEvent
from backend.model import Phase
from tests.gui.screenshots import machine, running


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alarms(store: AppStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> list[Alarm]:
    received: list[Alarm] = []
    running(store)
    return received


@pytest.fixture
def watch(store: AppStore, clock: Clock, alarms: list[Alarm], monkeypatch: pytest.MonkeyPatch) -> ContainerWatch:
    monkeypatch.setattr(notifications, "GATHER_MS", 20)
    container_watch = ContainerWatch(store, store, clock=clock)
    container_watch.alarm.connect(alarms.append)
    return container_watch


def event(action: str, name: str = "web", *, code: int | None = None, signal: int | None = None) -> EngineEvent:
    return EngineEvent(
        kind="container", action=action, actor_id=f"id-{name}", time=1.0, name=name, exit_code=code, signal=signal
    )


def settle(watch: ContainerWatch, qtbot: QtBot) -> None:
    """Wait until the batch timer has fired, so that all alarms were emitted."""
    qtbot.waitUntil(lambda: not watch._batch_timer.isActive())


def test_a_container_that_ends_with_an_error(watch: ContainerWatch, alarms: list[Alarm], qtbot: QtBot) -> None:
    watch.note(event("die", code=3))
    settle(watch, qtbot)
    (alarm,) = alarms
    assert (alarm.title, alarm.containers) == ("web failed", ("id-web",))
    assert "3" in alarm.text


def test_an_unhealthy_one_and_one_that_was_killed_by_the_kernel(
    watch: ContainerWatch, alarms: list[Alarm], qtbot: QtBot
) -> None:
    watch.note(event("health_status: unhealthy"))
    settle(watch, qtbot)
    watch.note(event("die", "db", code=137))
    settle(watch, qtbot)
    assert "health" in alarms[0].text
    assert "memory" in alarms[1].text


@pytest.mark.parametrize(
    "seen",
    [
        [event("die", code=0)],
        [event("kill", signal=15), event("die", code=143)],
        [event("kill", signal=15), event("kill", signal=9), event("die", code=137), event("destroy")],
        [event("health_status: healthy")],
        [event("exec_die", code=1)],
        [event("start")],
    ],
    ids=["ended well", "stopped", "removed", "healthy", "a command in it", "started"],
)
def test_what_is_not_notified(
    watch: ContainerWatch, alarms: list[Alarm], qtbot: QtBot, seen: list[EngineEvent]
) -> None:
    for entry in seen:
        watch.note(entry)
    settle(watch, qtbot)
    assert alarms == []


def test_a_crash_after_a_restart_or_a_reload_is_notified(
    watch: ContainerWatch, alarms: list[Alarm], qtbot: QtBot
) -> None:
    for entry in (event("kill", signal=15), event("die", code=143), event("start"), event("die", code=1)):
        watch.note(entry)
    for entry in (event("kill", "nginx", signal=1), event("die", "nginx", code=1)):
        watch.note(entry)
    settle(watch, qtbot)
    assert [alarm.containers for alarm in alarms] == [("id-web", "id-nginx")]


def test_a_stop_requested_long_ago_does_not_hide_a_crash(
    watch: ContainerWatch, clock: Clock, alarms: list[Alarm], qtbot: QtBot
) -> None:
    watch.note(event("kill", signal=15))
    clock.now += notifications.REQUESTED_S + 1
    watch.note(event("die", code=1))
    settle(watch, qtbot)
    assert len(alarms) == 1


def test_many_failures_are_one_notification(watch: ContainerWatch, alarms: list[Alarm], qtbot: QtBot) -> None:
    for number in range(30):
        watch.note(event("die", f"worker-{number}", code=1))
    settle(watch, qtbot)
    (alarm,) = alarms
    assert alarm.title == "30 containers failed"
    assert alarm.text == "worker-0, worker-1, worker-2, worker-3 and 26 more"


def test_a_crash_loop_is_notified_once_in_a_while(
    watch: ContainerWatch, clock: Clock, alarms: list[Alarm], qtbot: QtBot
) -> None:
    for _ in range(5):
        watch.note(event("die", code=1))
        watch.note(event("start"))
        settle(watch, qtbot)
    assert len(alarms) == 1
    clock.now += QUIET_S + 1
    watch.note(event("die", code=1))
    settle(watch, qtbot)
    assert len(alarms) == 2


def test_off_by_a_setting_and_while_the_machine_stops(
    watch: ContainerWatch, store: AppStore, alarms: list[Alarm], qtbot: QtBot
) -> None:
    store.preferences.notifications = False
    watch.note(event("die", code=1))
    settle(watch, qtbot)
    store.preferences.notifications = True
    machine(store, Phase.STOPPING)
    watch.note(event("die", code=1))
    settle(watch, qtbot)
    assert alarms == []


def test_an_event_as_the_engine_writes_it() -> None:
    line = (
        b'{"Type":"container","Action":"die","Actor":{"ID":"ab","Attributes":{"name":"\\u001b[31mweb","exitCode":"137",'
        b'"signal":"x"}},"time":5}\n'
    )
    (read,) = events(iter([line]))
    assert (read.name, read.exit_code, read.signal) == ("[31mweb", 137, None)
    (odd,) = events(iter([b'{"Type":"container","Action":"die","Actor":{"ID":"ab","Attributes":["x"]},"time":5}\n']))
    assert (odd.name, odd.exit_code) == ("", None)
