"""The guest's control port: every line of it is the guest's word, so no line may do more than be passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ProblemCode, WherryError
from backend.vm.guest import (
    BootStage,
    CommandAnswer,
    GuestControl,
    GuestEvent,
    GuestProblem,
    OutOfMemory,
    ProblemSolved,
    ServiceChange,
    ServiceContinued,
    Stopping,
    Trimmed,
    UnknownCommand,
    parse,
)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"stage sshd 1.52", BootStage("sshd", 1.52)),
        (b"stage off 80\r", BootStage("off", 80.0)),
        (b"service dockerd started", ServiceChange("dockerd", None)),
        (b"service dockerd exited 137", ServiceChange("dockerd", 137)),
        (b"problem data-full the data disk is 97% full", GuestProblem("data-full", "the data disk is 97% full")),
        (b"stopping 12 30", Stopping(12, 30.0)),
        (b"stopping 12 nan", None),
        (b"stopping 12 1e9", None),
        (b"stopping -1 30", None),
        (b"stopping", None),
        (b"solved data-full", ProblemSolved("data-full")),
        (b"solved", None),
        (b"problem odd", GuestProblem("odd", "")),
        (b"pong 7", CommandAnswer("7", True, "")),
        (b"pong", None),
        (b"done 7", CommandAnswer("7", True, "")),
        (b"done 7 it is so", CommandAnswer("7", True, "it is so")),
        (b"failed 7 no such thing", CommandAnswer("7", False, "no such thing")),
        (b"failed", None),
        (b"error unknown command freeze", UnknownCommand("freeze")),
        (b"ok", None),
        (b"", None),
        (b"error no such service", None),
        (b"stage sshd", None),
        (b"stage sshd soon", None),
        (b"stage  1.0", None),
        (b"service dockerd continued", ServiceContinued("dockerd")),
        (b"oom 2 oom-kill:task=a", OutOfMemory(2, "oom-kill:task=a")),
        (b"oom many", None),
        (b"trimmed /data: 5 bytes trimmed", Trimmed("/data: 5 bytes trimmed")),
        (b"pong 7 1.50 1700000000.25", CommandAnswer("7", True, "1.50 1700000000.25")),
        (b"service dockerd exited badly", None),
        (b"service dockerd", None),
        (b"problem", None),
        (b"stage sshd nan", None),
        (b"stage sshd inf", None),
        (b"\xff\xfe\x00", None),
    ],
)
def test_a_line_means_one_thing_or_nothing(
    line: bytes, event: GuestEvent | CommandAnswer | UnknownCommand | None
) -> None:
    assert parse(line) == event


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_line_does_harm(line: bytes) -> None:
    assert parse(line) is None or isinstance(parse(line), GuestEvent | CommandAnswer | UnknownCommand)


class Chunks:
    """A ByteStream that gives these chunks and ends (or breaks)."""

    def __init__(self, *chunks: bytes, broken: bool = False) -> None:
        self.written = b""
        self._chunks = list(chunks)
        self._broken = broken

    async def read(self, max_bytes: int = 262_144) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if self._broken:
            raise ConnectionResetError
        return b""

    async def write(self, data: bytes) -> None:
        self.written += data

    async def write_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def events(*chunks: bytes, broken: bool = False) -> list[GuestEvent]:
    async def collect() -> list[GuestEvent]:
        return [event async for event in GuestControl(Chunks(*chunks, broken=broken)).events()]

    return asyncio.run(collect())


@given(st.integers(1, 20))
def test_lines_are_lines_however_they_arrive(size: int) -> None:
    text = b"stage init 0.5\nstage data 0.9\nservice dockerd started\n"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert events(*pieces) == [BootStage("init", 0.5), BootStage("data", 0.9), ServiceChange("dockerd", None)]


def test_a_line_without_an_end_does_not_fill_the_memory_and_the_next_is_read() -> None:
    flood = [b"x" * 4096] * 100
    assert events(*flood, b"\nstage init 1.0\n") == [BootStage("init", 1.0)]


def test_the_end_of_the_guest_is_the_end_of_its_events() -> None:
    assert events(b"stage init 1.0\nstage da", broken=True) == [BootStage("init", 1.0)]


class Speaking:
    """A guest that answers each line as `answer` says, and goes on listening until it is told to end."""

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        self._answer = answer
        self._said: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self, max_bytes: int = 262_144) -> bytes:
        return await self._said.get()

    async def write(self, data: bytes) -> None:
        reply = self._answer(data.decode().strip())
        if reply is not None:
            self._said.put_nowait(reply.encode())

    async def write_eof(self) -> None:
        self._said.put_nowait(b"")

    async def aclose(self) -> None:
        self._said.put_nowait(b"")


async def ask(stream: Speaking, command: str, *, timeout_s: float = 10) -> str:
    control = GuestControl(stream)

    async def follow() -> None:
        async for _ in control.events():
            pass

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        try:
            return await control.ask(command, timeout_s=timeout_s)
        finally:
            following.cancel()


def refusal(stream: Speaking, command: str = "freeze", *, timeout_s: float = 10) -> ProblemCode:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(ask(stream, command, timeout_s=timeout_s))
    error = caught.value.exceptions[0]
    assert isinstance(error, WherryError)
    return error.problem.code


def test_who_asks_gets_the_answer_to_its_own_command() -> None:
    def answer(line: str) -> str:
        identity = line.split()[1]
        return f"pong 00000000\ndone other no\nstage sshd 1.0\ndone {identity} it\x07 is frozen\n"

    assert asyncio.run(ask(Speaking(answer), "freeze")) == "it is frozen"


def test_what_is_refused_unknown_unanswered_or_cut_off_is_told_apart() -> None:
    assert refusal(Speaking(lambda line: f"failed {line.split()[1]} busy\n")) is ProblemCode.GUEST_FAULT
    assert refusal(Speaking(lambda line: f"error unknown command {line.split()[0]}\n")) is ProblemCode.GUEST_FAULT
    old = Speaking(lambda line: f"error unknown command {line.split()[0]}\n")
    assert refusal(old, "restart dockerd", timeout_s=0.5) is ProblemCode.GUEST_FAULT, "the word is told, not the whole"
    assert refusal(Speaking(lambda line: None), timeout_s=0.05) is ProblemCode.GUEST_HUNG
    assert refusal(Speaking(lambda line: "")) is ProblemCode.MACHINE_DIED
