"""The feed of figures on a scripted guest: when it runs, how it begins again, what it says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest

from backend.agent.services import stats_feed
from backend.agent.services.stats_feed import TOO_OLD, HostFigures, StatsFeed
from backend.control.protocol import StatsPush
from backend.errors import ProblemCode, fail
from backend.messages import verbatim
from backend.stream import CommandOutput
from tests.fakes.loop import turns

ID = "a" * 64


def sample(uptime_s: float, usec: int = 0) -> bytes:
    lines = (
        f"sample {uptime_s:.2f}",
        "cpu  1 0 1 10 0 0 0 0 0 0",
        "MemTotal: 4000 kB",
        "MemFree: 600 kB",
        "Buffers: 100 kB",
        "Cached: 300 kB",
        f"docker/{ID}/cpu.stat:usage_usec {usec}",
        f"docker/{ID}/memory.current:5000",
        "end",
    )
    return "\n".join(lines).encode() + b"\n"


class Program:
    """One run: gives its pieces, then stays silent, or ends with a code, or breaks."""

    def __init__(self, pieces: Iterable[bytes], end: int | Exception | None) -> None:
        self._pieces = list(pieces)
        self._end = end

    async def read(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if isinstance(self._end, Exception):
            raise self._end
        if self._end is None:
            await asyncio.Event().wait()
        return b""

    async def exit_code(self) -> int:
        assert isinstance(self._end, int)
        return self._end


class Guest:
    """Runs one program after the other; the last again and again."""

    def __init__(self, *programs: Callable[[], CommandOutput]) -> None:
        self._programs = list(programs)
        self.begun = 0
        self.running = 0

    @contextlib.asynccontextmanager
    async def follow(self, command: str) -> AsyncIterator[CommandOutput]:
        assert command == stats_feed.COMMAND
        make = self._programs.pop(0) if len(self._programs) > 1 else self._programs[0]
        self.begun += 1
        self.running += 1
        try:
            yield make()
        finally:
            self.running -= 1


def play(guest: Guest, story: Callable[[StatsFeed, list[StatsPush]], Awaitable[None]]) -> list[StatsPush]:
    """Run a feed while the story lasts; gives what it published."""
    published: list[StatsPush] = []

    async def within() -> None:
        feed = StatsFeed(guest.follow, lambda: HostFigures(disk=7, memory=None), published.append)
        running = asyncio.create_task(feed.run())
        try:
            async with asyncio.timeout(20):
                await story(feed, published)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert guest.running == 0, "a program is left in the guest"

    asyncio.run(within())
    return published


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_feed, "BACK_OFF_S", (0.001, 0.002))


def test_it_runs_only_while_it_is_wanted_and_there_is_a_machine() -> None:
    guest = Guest(lambda: Program([sample(1), sample(3, 1_000_000)], None))

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        await turns()
        assert guest.begun == 0
        feed.set_up(True)
        await until(lambda: len(published) == 1)
        newest = feed.newest
        assert newest is published[0]
        feed.set_wanted(False)
        await until(lambda: guest.running == 0)
        assert feed.newest is None
        feed.set_wanted(True)
        await until(lambda: len(published) == 2)
        feed.set_up(False)
        await until(lambda: guest.running == 0)

    first, _second = play(guest, story)
    assert guest.begun == 2
    assert first.sample is not None
    assert first.sample.machine.disk_on_host_bytes == 7
    assert first.sample.machine.memory_used_bytes == 3000 * 1024
    (usage,) = first.sample.containers
    assert (usage.id, usage.cpu_percent) == (ID, 50.0)


@pytest.mark.expect_log("a line that is not understood")
def test_lines_cut_anywhere_and_odd_lines_make_no_difference(caplog: pytest.LogCaptureFixture) -> None:
    noise = b"\xff\xfe\x1b[2J\n" + b"x" * 10_000 + b"\n" + b"cpu of a boat\n" * 50
    text = sample(1).replace(b"MemTotal", noise + b"MemTotal") + sample(3)
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    guest = Guest(lambda: Program(pieces, None))

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: bool(published))

    (push,) = play(guest, story)
    assert push.sample is not None
    assert push.sample.machine.memory_total_bytes == 4000 * 1024
    assert len([record for record in caplog.records if "understood" in record.message]) == 1


def test_a_program_that_ends_is_begun_again() -> None:
    guest = Guest(
        lambda: Program([sample(1), sample(3)], 0),
        lambda: Program([sample(5)], ConnectionResetError("cut")),
        lambda: Program([sample(7), sample(9)], None),
    )

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: len(published) == 2)

    published = play(guest, story)
    assert guest.begun == 3
    assert all(push.sample is not None for push in published), "what comes back at once is not told"


@pytest.mark.expect_log("stats_feed: no figures")
def test_what_does_not_come_back_is_told_once() -> None:
    guest = Guest(lambda: Program([], 1))

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: guest.begun >= 20)

    (push,) = play(guest, story)
    assert push.problem is not None
    assert push.problem.retryable


def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_feed, "SILENCE_S", 0.02)
    guest = Guest(lambda: Program([sample(1)], None))

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: guest.begun >= 3)

    play(guest, story)


@pytest.mark.parametrize("code", [126, 127])
@pytest.mark.expect_log("stats_feed: no figures")
def test_an_older_image_is_said_and_left_alone_until_another_runs(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_feed, "BACK_OFF_S", (0,))
    guest = Guest(lambda: Program([], code), lambda: Program([sample(1), sample(3)], None))

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: bool(published))
        await turns()
        assert guest.begun == 1
        feed.set_up(False)
        feed.set_up(True)
        await until(lambda: len(published) == 2)

    first, second = play(guest, story)
    assert first.problem == TOO_OLD
    assert second.sample is not None


@pytest.mark.expect_log("stats_feed: no figures")
def test_a_guest_that_cannot_be_reached_is_asked_again() -> None:
    tries = 0

    def refuse() -> CommandOutput:
        nonlocal tries
        tries += 1
        raise fail(ProblemCode.SSH_FAILED, verbatim("There is no connection to the guest."))

    guest = Guest(refuse)

    async def story(feed: StatsFeed, published: list[StatsPush]) -> None:
        feed.set_wanted(True)
        feed.set_up(True)
        await until(lambda: tries >= 6)

    (push,) = play(guest, story)
    assert push.problem is not None
    assert push.problem.code is ProblemCode.SSH_FAILED
