"""A publisher and forwarder with real ports, a scripted engine, and QEMU's forwards as a list."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from backend.addresses import Protocol
from backend.errors import Problem, ProblemCode, fail
from backend.messages import verbatim
from backend.model import Notice
from backend.net.ports.bindings import Reader
from backend.net.ports.forwarder import Forwarder
from backend.net.ports.publisher import Publisher
from backend.stream import ByteStream
from backend.vm.monitor import Monitor
from backend.vm.usernet import HostForward, UserNetTable

SSH = HostForward(Protocol.TCP, "127.0.0.1", 40022, "10.0.2.15", 10055)


class Qemu(Monitor):
    """Only the user network: a list of forwards."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[HostForward] = [SSH]
        self._chosen = itertools.count(50_000)
        self.is_gone = False
        self.adds = asyncio.Event()
        self.adds.set()
        """Set: forwards are added at once."""

    async def usernet(self) -> UserNetTable:
        return UserNetTable(tuple(self.rows), {})

    async def add_forward(self, forward: HostForward) -> None:
        port = forward.host_port or next(self._chosen)
        row = HostForward(
            forward.protocol, forward.host_ip, port, forward.guest_ip or "10.0.2.15", forward.guest_port, port
        )
        self.rows.append(row)
        await self.adds.wait()
        if self.is_gone:
            raise fail(ProblemCode.STEP_TIMED_OUT, verbatim("QEMU did not answer."))

    async def remove_forward(self, forward: HostForward) -> None:
        if self.is_gone:
            raise fail(ProblemCode.STEP_TIMED_OUT, verbatim("QEMU did not answer."))
        self.rows = [
            row
            for row in self.rows
            if (row.protocol, row.host_ip, row.host_port) != (forward.protocol, forward.host_ip, forward.host_port)
        ]

    @property
    def ports(self) -> set[tuple[str, int]]:
        return {(row.host_ip, row.host_port) for row in self.rows if row != SSH}


class Engine:
    """A scripted engine: containers by name, and the requests that it has received."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.restarted: Callable[[str], None] = lambda _name: None
        self.services: tuple[int, Any] = (503, {"message": "This node is not a swarm manager."})
        self.is_down = False
        self.hold: Callable[[str], Awaitable[object]] | None = None
        """Awaited with the request's target before an answer is delivered."""
        self.events: asyncio.Queue[bytes] = asyncio.Queue()

    def add(self, name: str, asked: dict[str, Any], given: dict[str, Any], *, running: bool = False) -> None:
        self.containers[name] = {
            "Id": name * 8,
            "Name": f"/{name}",
            "State": {"Running": running},
            "HostConfig": {"PortBindings": asked, "NetworkMode": "bridge"},
            "NetworkSettings": {"Ports": given},
        }

    def run(self, name: str, running: bool = True) -> None:
        self.containers[name]["State"]["Running"] = running

    def tell(self, name: str, action: str) -> None:
        actor: dict[str, Any] = {"ID": name * 8}
        kind = "container"
        if action in ("connect", "disconnect"):
            kind, actor = "network", {"ID": "n" * 64, "Attributes": {"container": name * 8}}
        event = {"Type": kind, "Action": action, "Actor": actor}
        self.events.put_nowait(json.dumps(event).encode() + b"\n")

    async def dial(self) -> ByteStream:
        return _Answer(self)

    def answer(self, method: str, target: str) -> tuple[int, Any]:
        if target == "/containers/json":
            return 200, [
                {"Id": one["Id"], "Names": [one["Name"]], "Ports": [{"PublicPort": 1}], "HostConfig": {}}
                for one in self.containers.values()
                if one["State"]["Running"]
            ]
        if target == "/services":
            return self.services
        name = target.split("/")[2].partition("?")[0]
        container = next((one for key, one in self.containers.items() if name in (key, one["Id"])), None)
        if method == "DELETE":
            self.asked.append(target)
            if container is None or container["State"]["Running"]:
                return (404 if container is None else 409), {"message": "it is not there, or runs"}
            del self.containers[container["Name"].removeprefix("/")]
            return 204, None
        if method == "POST":
            self.asked.append(target)
            self.restarted(name)
            if "/stop" in target and container is not None:
                container["State"]["Running"] = False
            return 204, None
        return (404, {"message": "no such container"}) if container is None else (200, container)


class _Answer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._target = ""
        self._left = b""
        self._follows = False

    async def write(self, data: bytes) -> None:
        if self._engine.is_down:
            raise ConnectionResetError("the engine is down")
        method, target, _ = data.decode().split(" ", 2)
        self._target = target
        if target.startswith("/events"):
            self._follows = True
            self._left = b"HTTP/1.0 200 OK\r\n\r\n"
            return
        status, value = self._engine.answer(method, target)
        self._left = b"HTTP/1.0 %d X\r\n\r\n%s" % (status, b"" if value is None else json.dumps(value).encode())

    async def read(self, max_bytes: int = 262_144) -> bytes:
        if self._follows and not self._left:
            return await self._engine.events.get()
        data, self._left = self._left, b""
        if data and self._engine.hold is not None:
            await self._engine.hold(self._target)
        return data

    async def write_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


_stages: list[Stage] = []


class Stage:
    def __init__(self, *, shallow: bool = False) -> None:
        _stages.append(self)
        self.qemu, self.engine = Qemu(), Engine()
        self.notices: list[Notice] = []
        self.problems: tuple[Problem, ...] = ()
        self.deepened: list[int] = []
        self.is_shallow = shallow
        self.forwarder = Forwarder(lambda: self.qemu, guest_ssh_port=lambda: 10055, deepen=self._deepen)
        self.publisher = Publisher(
            self.engine.dial,
            self.forwarder,
            reader=lambda: Reader(publish_everywhere=False, host_address=lambda ip: {"127.66.0.1": "::1"}.get(ip, ip)),
            notify=self.notices.append,
            show=self._show,
        )

    def _deepen(self, descriptor: int, _backlog: int) -> bool:
        self.deepened.append(descriptor)
        return not self.is_shallow

    def _show(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems

    async def begin(self) -> None:
        await self.publisher.restore(timeout_s=10)


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        try:
            async with asyncio.timeout(30):
                await story()
        finally:
            while _stages:
                await _stages.pop().publisher.forget()
            for _ in range(20):  # connections that were accepted meanwhile are closed in the loop's next turns
                await asyncio.sleep(0)

    asyncio.run(within())


def row(port: int | str, ip: str = "") -> dict[str, str]:
    return {"HostIp": ip, "HostPort": str(port)}


def listens(port: int, address: str = "::1") -> bool:
    try:
        with socket.create_connection((address, port), timeout=10):
            return True
    except ConnectionResetError:
        return True  # somebody took the connection, and found nobody behind it
    except ConnectionRefusedError:
        return False


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
