"""When a machine is put away by itself: the settings, the engine's containers and what clients want decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from backend.agent.core.lifecycle import StopRequested
from backend.agent.watch.idleness import Idleness
from backend.engine.front.activity import Activity
from backend.engine.front.clients import Clients, Request
from backend.engine.front.http_head import parse_request_head
from backend.errors import ProblemCode, fail
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Notice, OperationStatus, Phase, StopPolicy
from backend.settings.config import Config, MachineSection

TICK_S = 0.01


@dataclass
class Stream:
    """The engine's answer to one request."""

    answer: bytes
    closed: bool = False

    async def read(self, limit: int = 65_536) -> bytes:
        piece, self.answer = self.answer[:limit], self.answer[limit:]
        return piece

    async def write(self, data: bytes) -> None:
        assert data.startswith(b"GET /containers/json")

    async def write_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Machine:
    """A machine that answers as told."""

    answer: bytes = b"HTTP/1.0 200 OK\r\n\r\n[]"
    phase: Phase = Phase.RUNNING
    begins: OperationStatus | None = None
    """What somebody begins while the engine is asked."""
    operation: OperationStatus | None = None
    asked: list[StopRequested] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)

    def status(self) -> MachineStatus:
        return MachineStatus(seq=1, phase=self.phase, desired=Desired.RUNNING, operation=self.operation)

    async def ask(self, event: StopRequested) -> int:
        self.asked.append(event)
        self.phase = Phase.STOPPING
        return 1

    async def dial(self, *, wakes: bool = True) -> Stream:
        assert not wakes, "a look starts nothing"
        if not self.answer:
            raise fail(ProblemCode.ENGINE_DOWN, verbatim("It is away."))
        self.operation = self.begins
        self.streams.append(Stream(self.answer))
        return self.streams[-1]


def request(method: str, target: str) -> Request:
    """A docker client's request."""
    return Clients.request(parse_request_head(f"{method} {target} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()), None)


def watch(
    machine: Machine,
    *,
    minutes: int = 2,
    action: str = "suspend",
    activity: Activity | None = None,
    looks: int = 8,
) -> list[Notice]:
    """Let it look that often; a minute lasts as long as a tick."""
    notices: list[Notice] = []
    done = 0

    def load() -> Config:
        nonlocal done
        done += 1
        return Config(machine=MachineSection(idle_minutes=minutes, idle_action=action))  # type: ignore[arg-type]  # as read from a file

    async def run() -> None:
        idleness = Idleness(
            machine, activity or Activity(), load_config=load, notify=notices.append, tick_s=TICK_S, minute_s=TICK_S
        )
        watching = asyncio.create_task(idleness.run())
        async with asyncio.timeout(30):
            while done <= looks:  # one more has begun: so many are over
                await asyncio.sleep(TICK_S)
        watching.cancel()
        await asyncio.wait({watching})
        assert watching.cancelled()

    asyncio.run(run())
    return notices


@pytest.mark.parametrize(("action", "policy"), [("suspend", StopPolicy.SUSPEND), ("stop", StopPolicy.POWER_DOWN)])
def test_an_idle_machine_is_put_away_once(action: str, policy: StopPolicy) -> None:
    machine = Machine()
    notices = watch(machine, action=action)
    assert machine.asked == [StopRequested(policy, by_person=False)]
    assert len(notices) == 1
    assert "2 idle minutes" in str(notices[0].text)
    assert all(stream.closed for stream in machine.streams)


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(Machine(answer=b'HTTP/1.0 200 OK\r\n\r\n[{"Id": "1"}]'), id="a container runs"),
        pytest.param(Machine(answer=b"HTTP/1.0 500 Internal Server Error\r\n\r\n[]"), id="the engine is in trouble"),
        pytest.param(Machine(answer=b"HTTP/1.0 200 OK\r\n\r\n"), id="no answer"),
        pytest.param(Machine(answer=b"HTTP/1.0 200 OK\r\n\r\n{"), id="half an answer"),
        pytest.param(Machine(answer=b""), id="the engine is away"),
        pytest.param(Machine(phase=Phase.CONNECTING), id="it is on its way up"),
        pytest.param(
            Machine(begins=OperationStatus(name="update.apply", title=verbatim("Updating"))), id="an update begins"
        ),
    ],
)
def test_any_other_is_not(machine: Machine) -> None:
    watch(machine)
    assert machine.asked == []


def test_nor_one_whose_settings_do_not_ask_for_it() -> None:
    machine = Machine()
    watch(machine, minutes=0)
    assert machine.asked == []


def test_nor_one_that_a_client_uses() -> None:
    machine, activity = Machine(), Activity()
    ended = activity.begin(request("POST", "/v1.50/exec/1/start"))
    watch(machine, activity=activity)
    assert machine.asked == []
    ended()
    watch(machine, activity=activity)
    assert machine.asked == [StopRequested(StopPolicy.SUSPEND, by_person=False)]


def test_a_client_that_only_listens_wants_nothing() -> None:
    now = 100.0
    clock: Callable[[], float] = lambda: now  # noqa: E731 -- it reads the variable
    activity = Activity(clock)
    ended = activity.begin(request("GET", "/v1.50/events?filters=%7B%7D"))
    now = 160.0
    assert activity.idle_s == 60.0
    busy = activity.begin(request("GET", "/v1.50/containers/json"))
    assert activity.idle_s == 0.0
    now = 200.0
    busy()
    ended()
    now = 230.0
    assert activity.idle_s == 30.0
