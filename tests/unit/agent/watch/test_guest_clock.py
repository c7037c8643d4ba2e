"""The guest's clock, measured and set by a host whose own clocks the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from backend.agent.watch.guest_clock import MAX_TRIP_S, GuestClock, TimeJumps, read_pong
from backend.errors import ProblemCode, fail
from backend.messages import verbatim


class Clocks:
    """The host's."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.jump = 1_700_000_000.0

    def wall(self) -> float:
        return self.now + self.jump

    def steady(self) -> float:
        return self.now


class GuestSide:
    """A guest that is `ahead` of the host and takes `trip_s` to answer."""

    def __init__(self, clocks: Clocks, *, ahead: float = 0.0, trips_s: list[float] | None = None) -> None:
        self.clocks = clocks
        self.ahead = ahead
        self.trips_s = trips_s or []
        self.asked = 0
        self.told: list[str] = []
        self.left: list[float] = []
        self.until: Callable[[], bool] = lambda: self.asked >= 3

    async def ask(self, command: str, timeout_s: float) -> str:
        assert command == "ping"
        if self.until():
            raise fail(ProblemCode.MACHINE_DIED, verbatim("gone"))
        self.asked += 1
        trip = self.trips_s.pop(0) if self.trips_s else 0.01
        if trip > timeout_s:
            self.clocks.now += timeout_s
            raise fail(ProblemCode.GUEST_HUNG, verbatim("silent"))
        self.clocks.now += trip / 2
        answer = f"12.5 {self.clocks.wall() + self.ahead:.6f}"
        self.clocks.now += trip / 2
        return answer

    async def send(self, line: str) -> None:
        self.told.append(line)
        self.clocks.now += 0.005
        self.ahead = float(line.split()[1]) - self.clocks.wall()
        self.left.append(self.ahead)


def play(guest: GuestSide, monkeypatch: pytest.MonkeyPatch) -> GuestClock:
    monkeypatch.setattr("backend.agent.watch.guest_clock.EVERY_S", 0.01)
    monkeypatch.setattr("backend.agent.watch.guest_clock._BUSY_RETRY_S", 0.01)
    clock = GuestClock(guest.ask, guest.send, guest.clocks)
    asyncio.run(asyncio.wait_for(clock.run(), 20))
    return clock


@pytest.mark.parametrize("ahead", [-300.0, -0.2, 0.2, 86_400.0])
def test_a_clock_that_is_wrong_is_set_once_and_measured_again(ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = GuestSide(Clocks(), ahead=ahead)
    clock = play(guest, monkeypatch)
    assert len(guest.told) == 1
    assert abs(guest.ahead) < 0.02
    assert clock.offset_s is not None
    assert abs(clock.offset_s) < 0.02


@pytest.mark.parametrize("ahead", [0.0, 0.09, -0.09])
def test_a_clock_that_is_right_is_left_alone(ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = GuestSide(Clocks(), ahead=ahead)
    play(guest, monkeypatch)
    assert (guest.told, guest.asked) == ([], 3)


def test_a_guest_that_stood_still_for_minutes_finds_no_old_time_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = GuestSide(Clocks(), ahead=-180.0, trips_s=[600.0, 600.0, 15.0, MAX_TRIP_S + 0.1])
    guest.until = lambda: guest.asked >= 6
    play(guest, monkeypatch)
    assert guest.told
    assert all(abs(ahead) < 0.5 for ahead in guest.left), "no time was sent that was not the time of then"
    assert abs(guest.ahead) < 0.02


def test_a_busy_host_whose_trips_are_long_sets_a_clock_that_is_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = GuestSide(Clocks(), ahead=-3600.0, trips_s=[MAX_TRIP_S * 4] * 3)
    play(guest, monkeypatch)
    assert len(guest.told) == 1
    assert abs(guest.ahead) < 1


def test_silence_lasts_until_an_answer() -> None:
    async def scene() -> None:
        clocks = Clocks()
        guest = GuestSide(clocks, trips_s=[600.0])
        clock = GuestClock(guest.ask, guest.send, clocks)
        running = asyncio.create_task(clock.run())
        states = []

        async def until(asked: int) -> None:
            async with asyncio.timeout(20):
                while guest.asked < asked:
                    states.append(clock.is_waiting)
                    await asyncio.sleep(0.01)

        await until(2)
        assert states
        assert all(states[1:]), "it is waited for until an answer comes"
        async with asyncio.timeout(20):
            while clock.is_waiting:
                await asyncio.sleep(0)
        clock.wake()
        await until(3)  # long before the next regular measurement
        running.cancel()

    asyncio.run(scene())


def test_jumps_and_sleep_are_told_and_nothing_else() -> None:
    clocks = Clocks()
    jumps = TimeJumps(clocks)
    for passed, jump, expected in (
        (1.0, 0.0, False), (1.0, 3600.0, True), (1.0, 0.0, False), (1.0, -3600.0, True), (2.5, 0.0, False),
        (1.0, 0.05, False), (60.0, 0.0, True), (1.0, 0.0, False), (0.2, 1800.0, True),
    ):  # fmt: skip
        clocks.now += passed
        clocks.jump += jump
        assert jumps.check(every_s=1.0) is expected, (passed, jump)


@pytest.mark.parametrize(
    ("answer", "epoch"),
    [
        ("1.5 1700000000.25", 1700000000.25),
        ("1.5", None),
        ("", None),
        ("1.5 nan", None),
        ("1.5 inf", None),
        ("a b", None),
    ],
)
def test_what_the_guest_tells(answer: str, epoch: float | None) -> None:
    assert read_pong(answer) == epoch
