"""The control server and the endpoint that it listens on: private, never somebody else's, rid of those who stall it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backend.control import messages
from backend.control.lines import MAX_LINE_BYTES
from backend.control.messages.request import Handler, Request
from backend.control.protocol import PROTOCOL, Hello, ReplyLine, StatsPush, decode_from_agent, encode, request_line
from backend.control.server import ControlServer
from backend.errors import ProblemCode, WherryError
from backend.host.systems.linux import LinuxHost
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Notice, Phase
from backend.stats import MachineUsage, StatsSample
from backend.stream import ByteStream

HOST = LinuxHost("amd64")
STOPPED = MachineStatus(seq=1, phase=Phase.STOPPED, desired=Desired.STOPPED)
HELLO = encode(Hello(protocol=PROTOCOL, version="test", pid=1))


@pytest.fixture
def address(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    return place / "agent.sock"


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(within())


async def echo(stream: ByteStream) -> None:
    while data := await stream.read():
        await stream.write(data)


async def refusal(address: Path) -> ProblemCode:
    with pytest.raises(WherryError) as caught:
        await HOST.listen(address, echo)
    assert caught.value.problem.hint
    return caught.value.problem.code


def test_only_the_user_can_open_it_and_it_goes_with_the_listener(address: Path) -> None:
    async def story() -> None:
        listener = await HOST.listen(address, echo)
        assert stat.S_IMODE(address.stat().st_mode) == 0o600
        stream = await HOST.connect(address)
        await stream.write(b"ping")
        assert await stream.read() == b"ping"
        await stream.aclose()
        await listener.aclose()
        await listener.aclose()
        assert list(address.parent.iterdir()) == []

    play(story)


def test_a_name_that_nobody_serves_is_taken_over(address: Path) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(address))
        listener = await HOST.listen(address, echo)
        await (await HOST.connect(address)).aclose()
        await listener.aclose()

    play(story)


def test_what_somebody_serves_is_left_to_them(address: Path) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(address))
            other.listen(5)
            assert await refusal(address) is ProblemCode.ENDPOINT_TAKEN
            assert address.is_socket()

    play(story)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_as_it_is(address: Path, tmp_path: Path, kind: str) -> None:
    if kind == "file":
        address.write_text("precious")
    elif kind == "directory":
        address.mkdir()
    else:
        address.symlink_to(tmp_path / "nowhere")

    async def story() -> None:
        assert await refusal(address) is ProblemCode.ENDPOINT_TAKEN
        assert address.is_symlink() or address.exists()

    play(story)


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_a_directory_that_others_can_write_is_refused(address: Path, mode: int) -> None:
    address.parent.chmod(mode)

    async def story() -> None:
        assert await refusal(address) is ProblemCode.PATH_UNUSABLE

    play(story)


def test_a_directory_in_a_place_where_others_can_exchange_it_is_refused(address: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    async def story() -> None:
        assert await refusal(address) is ProblemCode.PATH_UNUSABLE
        tmp_path.chmod(0o1777)  # as /tmp is: only the owner may
        await (await HOST.listen(address, echo)).aclose()

    play(story)


def test_a_linked_directory_is_refused(address: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(address.parent)

    async def story() -> None:
        assert await refusal(tmp_path / "link" / "agent.sock") is ProblemCode.PATH_UNUSABLE

    play(story)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away needs root")
def test_a_directory_of_another_user_is_refused(address: Path) -> None:
    os.chown(address.parent, 12345, 12345)

    async def story() -> None:
        assert await refusal(address) is ProblemCode.PATH_UNUSABLE

    play(story)


def test_the_end_of_a_listener_does_not_take_its_successors_name(address: Path) -> None:
    async def story() -> None:
        first = await HOST.listen(address, echo)
        address.unlink()
        second = await HOST.listen(address, echo)
        await first.aclose()
        await (await HOST.connect(address)).aclose()
        await second.aclose()

    play(story)


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(address: Path) -> None:
    async def pour(stream: ByteStream) -> None:
        while True:
            await stream.write(b"x" * 65_536)

    async def story() -> None:
        listener = await HOST.listen(address, pour)
        with socket.socket(socket.AF_UNIX) as lazy:
            lazy.connect(str(address))
            await asyncio.to_thread(lazy.recv, 1)
            async with asyncio.timeout(20):
                await listener.aclose()

    play(story)


class Wire:
    """A ByteStream whose reader gives what the test says, and whose writer can be blocked."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.written = b""
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.closed = False

    async def read(self, max_bytes: int = 262_144) -> bytes:
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        await self.flowing.wait()
        self.written += data

    async def write_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        self.closed = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def server(*handlers: Handler) -> ControlServer:
    return ControlServer(handlers, lambda: STOPPED)


def asked(number: int, request: Request[Any]) -> bytes:
    return encode(request_line(number, request))


def replies(wire: Wire) -> list[ReplyLine]:
    read = (decode_from_agent(line) for line in wire.written.splitlines())
    return [message for message in read if isinstance(message, ReplyLine)]


def test_snapshots_coalesce_for_a_slow_client_and_the_last_one_arrives() -> None:
    async def story() -> None:
        serving, wire = server(), Wire()
        handling = asyncio.create_task(serving.handle(wire))
        await wire.incoming.put(HELLO)
        await settle()
        wire.flowing.clear()
        for number in range(1000):
            serving.publish(MachineStatus(seq=number, phase=Phase.BOOTING, desired=Desired.RUNNING))
            await asyncio.sleep(0)
        before = len(wire.written)
        wire.flowing.set()
        await settle()
        arrived = wire.written[before:]
        assert b'"seq":999' in arrived
        assert arrived.count(b"\n") <= 2
        await wire.incoming.put(b"")
        await handling
        assert wire.closed
        assert serving.clients == 0

    play(story)


@pytest.mark.expect_log("it is cut off")
def test_a_client_that_lets_even_its_replies_pile_up_is_cut_off() -> None:
    async def story() -> None:
        serving, wire = server(), Wire()
        handling = asyncio.create_task(serving.handle(wire))
        await wire.incoming.put(HELLO)
        await settle()
        wire.flowing.clear()
        for number in range(1000):
            serving.notify(Notice(level="info", text=verbatim(str(number))))
        await asyncio.wait({handling})
        assert handling.cancelled()
        assert serving.clients == 0
        assert wire.closed

    play(story)


def figures(at: float) -> StatsPush:
    usage = MachineUsage(
        cpu_percent=1, memory_used_bytes=1, memory_total_bytes=2, disk_used_bytes=1, disk_total_bytes=2
    )
    return StatsPush(sample=StatsSample(at=float(at), machine=usage))


def test_figures_coalesce_go_to_subscribers_only_and_their_number_is_told() -> None:
    async def story() -> None:
        wanted: list[bool] = []
        serving = ControlServer((), lambda: STOPPED, stats=lambda: figures(-1), stats_wanted=wanted.append)
        wires = Wire(), Wire()
        handling = [asyncio.create_task(serving.handle(wire)) for wire in wires]
        for wire in wires:
            await wire.incoming.put(HELLO)
        await settle()
        serving.publish_stats(figures(0))
        subscriber, other = wires
        await subscriber.incoming.put(asked(1, messages.SubscribeStats()))
        await settle()
        assert b'"at":-1.0' in subscriber.written, "the newest ones come at once"
        assert b'"at":0.0' not in subscriber.written
        subscriber.flowing.clear()
        before = len(subscriber.written)
        for number in range(1, 1000):
            serving.publish_stats(figures(number))
            await asyncio.sleep(0)
        subscriber.flowing.set()
        await settle()
        arrived = subscriber.written[before:]
        assert b'"at":999.0' in arrived
        assert arrived.count(b"\n") <= 2
        await other.incoming.put(asked(1, messages.SubscribeStats()))
        await settle()
        assert wanted == [True]
        await subscriber.incoming.put(asked(2, messages.UnsubscribeStats()))
        await settle()
        assert wanted == [True]
        await other.incoming.put(b"")
        await settle()
        assert wanted == [True, False]
        await subscriber.incoming.put(b"")
        await asyncio.wait(handling)

    play(story)


LOGGED = pytest.mark.expect_log("request checkpoints.create failed")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="an error", marks=LOGGED),
        pytest.param(messages.CheckpointCreated(id="x" * MAX_LINE_BYTES), id="too long"),
        pytest.param(messages.CheckpointCreated(id=object()), id="no JSON", marks=LOGGED),  # type: ignore[arg-type]
    ],
)
def test_a_defect_in_a_handler_is_answered(answer: messages.CheckpointCreated | None) -> None:
    async def broken(request: messages.CreateCheckpoint) -> messages.CheckpointCreated:
        if answer is None:
            raise KeyError("oops")
        return answer

    async def story() -> None:
        serving, wire = server(messages.CreateCheckpoint.handled_by(broken)), Wire()
        handling = asyncio.create_task(serving.handle(wire))
        await wire.incoming.put(HELLO + asked(5, messages.CreateCheckpoint()))
        await settle()
        assert [(reply.id, reply.problem and reply.problem.code) for reply in replies(wire)] == [
            (5, ProblemCode.INTERNAL)
        ]
        await wire.incoming.put(b"")
        await handling

    play(story)


def test_a_request_that_is_not_known_or_not_understood_is_answered_and_the_next_one_too() -> None:
    async def delete(request: messages.DeleteCheckpoint) -> messages.CheckpointDeleted:
        return messages.CheckpointDeleted(disk_bytes=len(request.id))

    async def story() -> None:
        serving, wire = server(messages.DeleteCheckpoint.handled_by(delete)), Wire()
        handling = asyncio.create_task(serving.handle(wire))
        newer = b'{"type":"request","id":1,"name":"machine.fold","args":{"twice":true}}\n'
        other = b'{"type":"request","id":2,"name":"checkpoints.delete","args":{"id":["c0"]}}\n'
        await wire.incoming.put(HELLO + newer + other + asked(3, messages.DeleteCheckpoint(id="c0")))
        await settle()
        one, two, three = sorted(replies(wire), key=lambda reply: reply.id)
        for refused, name in ((one, "machine.fold"), (two, "checkpoints.delete")):
            assert refused.problem is not None
            assert refused.problem.code is ProblemCode.BAD_REQUEST
            assert name in str(refused.problem.summary)
        assert (three.problem, bytes(three.result)) == (None, b'{"disk_bytes":2,"freed_bytes":0}')
        await wire.incoming.put(b"")
        await handling

    play(story)


def test_a_slow_request_does_not_hold_up_the_next_one() -> None:
    gate = asyncio.Event()

    async def list_files(request: messages.ListFiles) -> messages.FileList:
        if request.path == "/slow":
            await gate.wait()
        return messages.FileList(container=request.container, path=request.path, resolved=request.path)

    async def story() -> None:
        serving, wire = server(messages.ListFiles.handled_by(list_files)), Wire()
        handling = asyncio.create_task(serving.handle(wire))
        await wire.incoming.put(
            HELLO
            + asked(1, messages.ListFiles(container="c", path="/slow"))
            + asked(2, messages.ListFiles(container="c", path="/quick"))
        )
        await settle()
        assert [reply.id for reply in replies(wire)] == [2]
        gate.set()
        await settle()
        assert [reply.id for reply in replies(wire)] == [2, 1]
        await wire.incoming.put(b"")
        await handling

    play(story)


def test_a_server_that_ends_for_want_of_clients_greets_nobody_whom_it_would_leave() -> None:
    async def story() -> None:
        serving, early, late = server(), Wire(), Wire()
        handling = asyncio.create_task(serving.handle(early))
        await settle()  # connected, and nothing said yet
        assert not serving.retire()
        await early.incoming.put(HELLO)
        await settle()
        assert b"hello" in early.written
        await early.incoming.put(b"")
        await handling
        assert serving.retire()
        await late.incoming.put(HELLO)
        await serving.handle(late)
        assert late.closed
        assert late.written == b""

    play(story)
