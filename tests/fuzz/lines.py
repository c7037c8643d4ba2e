"""Fuzz targets for what the agent reads: control channel, the guest's control port and statistics, QEMU's events."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from typing import Any

import msgspec

from backend.agent.core.guest import Guest
from backend.agent.services.stats_feed import _Reader
from backend.agent.services.stats_lines import MAX_CONTAINERS, container_usages, machine_usage
from backend.control import messages
from backend.control.lines import MAX_LINE_BYTES
from backend.control.messages.request import Request, answer_type
from backend.control.protocol import (
    PROTOCOL,
    ReplyLine,
    RequestLine,
    decode_from_agent,
    decode_from_client,
    read_reply,
    read_request,
)
from backend.control.server import ControlServer
from backend.errors import ProblemCode, WherryError, fail
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Phase
from backend.vm.guest import GuestControl
from backend.vm.monitor import _event
from tests.fuzz.material import changed, json_bytes, noise, pieces, spoil, value, words
from tests.fuzz.streams import Scripted, VirtualLoop

STATUS = MachineStatus(seq=1, phase=Phase.STOPPED, desired=Desired.STOPPED)
_HELLO: dict[str, Any] = {"type": "hello", "protocol": PROTOCOL, "version": "0.1.0", "pid": 1}
_REQUESTS: tuple[dict[str, Any], ...] = (
    {"type": "request", "id": 1, "name": "daemon.set", "args": {"text": "{}"}},
    {"type": "request", "id": 2, "name": "checkpoints.delete", "args": {"id": "c0"}},
    {"type": "request", "id": 3, "name": "ports.list", "args": {}},
    {"type": "request", "id": 4, "name": "reclaim"},
    {"type": "request", "id": 5, "name": "stats.subscribe"},
    {"type": "request", "id": 6, "name": "no such thing"},
    {"type": "request", "id": 7, "name": "config.set", "args": {"values": {"machine.cpus": 2, "a": True, "b": "c"}}},
    {"type": "request", "id": 8, "name": "stop", "args": {"policy": "kill"}},
    {"type": "request", "id": 9, "name": "files.list", "args": {"container": "ab", "path": "/"}},
    {"type": "request", "id": 10, "name": "checkpoints.create", "args": {"name": "x", "force": False}},
)
_ARGUMENTS: dict[str, Any] = {"id": "c0", "size_gib": 1, "directory": "/", "values": {}, "text": "", "on": True}
_SAMPLES: dict[type[Request[Any]], Request[Any]] = {
    kind: msgspec.convert(
        {**_ARGUMENTS, "container": "ab", "path": "/", "which": "serial", "policy": "kill"}, type=kind
    )
    for kind in messages.REQUESTS.values()
}
"""One request of each type."""
_FROM_AGENT: tuple[dict[str, Any], ...] = (
    {"type": "status", "status": {"seq": 1, "phase": "stopped", "desired": "stopped", "problems": []}},
    {"type": "reply", "id": 1, "result": {}, "problem": {"code": "busy", "summary": "x", "tail": ["a"]}},
    {"type": "reply", "id": 2, "result": {"ports": [{"protocol": "tcp", "address": "::", "port": 1, "state": "open"}]}},
    {
        "type": "reply",
        "id": 3,
        "result": {"container": "ab", "path": "/", "resolved": "/", "entries": [["a", 1, 2, 3]]},
    },
    {"type": "reply", "id": 4, "result": {"values": {"a": 1}, "chosen": {"cpus": 1}, "host": {}, "disk": {}}},
    {"type": "reply", "id": 5, "result": {"text": "x", "findings": [{"severity": "error", "line": 1}], "valid": True}},
    {"type": "notice", "notice": {"level": "info", "text": "x"}},
    {"type": "stats", "sample": None, "problem": None},
)


def make_client(source: random.Random) -> tuple[list[bytes], str, int | None]:
    """Data of a client on the control channel: pieces, ending, and the byte count after which it stops reading."""
    hello = json.dumps(_HELLO).encode() if source.randrange(5) else json_bytes(source, _HELLO)
    lines = [hello, *(json_bytes(source, source.choice(_REQUESTS)) for _ in range(source.randrange(6)))]
    if source.randrange(20) == 0:
        lines.append(noise(source, 400))
    data = b"\n".join(lines) + (b"\n" if source.randrange(4) else b"")
    fails = source.choice((None, None, None, 0, 300))
    return pieces(source, data), source.choice(("eof", "reset", "silence")), fails


def run_client(loop: VirtualLoop, client: tuple[list[bytes], str, int | None]) -> None:
    """The server serves the client, closes the connection and leaves no task. A defect of a handler is answered."""

    async def echo(request: messages.SetDaemonFile) -> messages.DaemonFileSaved:
        return messages.DaemonFileSaved(findings=(), valid=True, text=request.text)

    async def refuse(request: messages.DeleteCheckpoint) -> messages.CheckpointDeleted:
        raise fail(ProblemCode.BUSY, verbatim(f"Not now: {request.id}."))

    async def slow(_request: messages.ListPorts) -> messages.PortList:
        await asyncio.sleep(100)
        return messages.PortList(ports=())

    async def breaks(_request: messages.Reclaim) -> messages.Reclaimed:
        raise RuntimeError("a defect")

    async def work() -> None:
        wanted: list[bool] = []
        server = ControlServer(
            [
                messages.SetDaemonFile.handled_by(echo),
                messages.DeleteCheckpoint.handled_by(refuse),
                messages.ListPorts.handled_by(slow),
                messages.Reclaim.handled_by(breaks),
            ],
            lambda: STATUS,
            stats_wanted=wanted.append,
        )
        stream = Scripted(client[0], ending=client[1], write_fails_after=client[2])
        serving = loop.create_task(server.handle(stream))
        if client[1] == "silence":
            loop.call_later(3600, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await serving
        assert stream.closed, "the connection is left open"
        assert server.clients == 0
        assert not wanted or wanted[-1] is False, "the figures are still followed for nobody"
        for line in bytes(stream.written).splitlines():
            decode_from_agent(line)

    loop.play(work())


def make_message(source: random.Random) -> bytes:
    """A line of a client or of the agent."""
    return json_bytes(source, source.choice((*_REQUESTS, *_FROM_AGENT, _HELLO)))


def run_message(_loop: VirtualLoop, line: bytes) -> None:
    """Decoding gives a message or a problem, also of its arguments and result for every type of request."""
    for decode in (decode_from_client, decode_from_agent):
        try:
            message = decode(line)
        except WherryError as error:
            assert str(error.problem.summary).isprintable()
            continue
        assert len(line) <= MAX_LINE_BYTES
        for kind in messages.REQUESTS.values():
            try:
                if isinstance(message, RequestLine):
                    assert isinstance(read_request(kind, message), kind)
                elif isinstance(message, ReplyLine):
                    assert isinstance(read_reply(_SAMPLES[kind], message), answer_type(kind))
            except WherryError as error:
                assert len(str(error.problem.summary)) < 1_000 or (isinstance(message, ReplyLine) and message.problem)


_GUEST = (
    *(
        b"stage",
        b"service",
        b"problem",
        b"solved",
        b"pong",
        b"ok",
        b"error",
        b"unknown",
        b" ",
        b" ",
        b" ",
        b"\n",
        b"\n",
    ),
    *(
        b"1.5",
        b"nan",
        b"inf",
        b"1e400",
        b"started",
        b"exited",
        b"-9",
        b"data-full",
        b"engine-crash",
        b"dockerd",
        b"off",
    ),
)


def make_guest(source: random.Random) -> tuple[list[bytes], str]:
    """Data of a guest on its control port: pieces and ending."""
    data = words(source, _GUEST, 60)
    if source.randrange(15) == 0:
        data += b"stage " + b"x" * source.choice((4000, 5000, 20_000)) + b" 1\nstage y 2\n"
    if source.randrange(15) == 0:
        data += b"".join(b"problem p%d x\nstage s%d 1\n" % (number, number) for number in range(150))
    return pieces(source, data), source.choice(("eof", "reset"))


def run_guest(loop: VirtualLoop, guest_data: tuple[list[bytes], str]) -> None:
    """Events are read to the end; stored data is limited in size and printable."""

    async def work() -> None:
        stream = Scripted(guest_data[0], ending=guest_data[1])
        guest = Guest(GuestControl(stream))

        async def follow() -> None:
            async for _ in guest.events():
                pass

        following = loop.create_task(follow())
        with contextlib.suppress(WherryError):
            await guest.control.ask("ping", timeout_s=5)
        await following
        assert len(guest.stages) <= 100
        problems = guest.problems
        assert len(problems) <= 20
        assert all(len(line) <= 20_000 for problem in problems for line in problem.tail)
        assert all(line.isprintable() for problem in problems for line in problem.tail)
        await guest.control.aclose()
        assert stream.closed

    loop.play(work())


_ID = b"0123456789abcdef" * 4
_STATS = (
    *(b"sample 12.50\n", b"sample 14.50\n", b"end\n"),
    *(b"end\n", b"cpu  1 2 3 4 5 6 7 8 9 10\n", b"MemTotal: 1000 kB\n"),
    *(b"MemFree: 10 kB\n", b"Cached: 5 kB\n", b"disk 4096 1000 20\n", b"process " + _ID + b" 77\n", b"sample nan\n"),
    *(b"docker/" + _ID + b"/cpu.stat:usage_usec 5\n", b"docker/" + _ID + b"/memory.current:99\n"),
    *(
        b"docker/" + _ID + b"/memory.max:max\n",
        b"docker/" + _ID + b"/cpu.max:5 0\n",
        b"docker/" + _ID + b"/pids.current:3\n",
    ),
    *(b"/proc/77/net/dev:  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", b"docker/x/io.stat:8:0 rbytes=1\n"),
    *(
        b"docker/" + _ID + b"/io.stat:8:0 rbytes=1 wbytes=-2\n",
        b"disk 9 9\n",
        b"cpu 1\n",
        b"\n",
        b"docker/" + _ID + b"/x:1\n",
    ),
)


def make_stats(source: random.Random) -> list[bytes]:
    """Output of the guest's stats program."""
    data = words(source, _STATS, 40)
    if source.randrange(30) == 0:
        data += (
            b"sample 1.00\n"
            + b"".join(b"docker/%064x/memory.current:1\n" % number for number in range(2100))
            + b"end\n"
        )
    return pieces(source, spoil(source, data))


def run_stats(_loop: VirtualLoop, data: list[bytes]) -> None:
    """Samples have limited size and valid values."""
    reader = _Reader()
    samples = [sample for piece in data for sample in reader.feed(piece)]
    assert len(reader._rest) <= 8192
    for before, now in itertools.pairwise(samples):
        usage = machine_usage(now, before)
        assert 0 <= usage.cpu_percent <= 100
        for container in container_usages(now, before):
            assert container.memory_bytes >= 0
    assert all(len(sample.containers) <= MAX_CONTAINERS for sample in samples)


_QMP: dict[str, Any] = {
    "event": "SHUTDOWN",
    "data": {"guest": True, "reason": "guest-shutdown"},
    "timestamp": {"seconds": 1, "microseconds": 2},
}


def make_event(source: random.Random) -> dict[str, Any]:
    """An event as QEMU's library returns it: an object with "event" and any other fields."""
    made = changed(source, _QMP, 4)
    return {**(made if isinstance(made, dict) else {"data": made}), "event": value(source)}


def run_event(_loop: VirtualLoop, message: dict[str, Any]) -> None:
    """The event gets a name and a dictionary."""
    event = _event(message)  # type: ignore[arg-type]  # the library's Message is a mapping, as this is
    assert isinstance(event.name, str)
    assert isinstance(event.data, dict)
