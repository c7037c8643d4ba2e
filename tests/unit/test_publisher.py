"""The publisher and its forwarder: held starts, conflicts, events, adoption. Real ports, a scripted engine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from backend.errors import ProblemCode
from backend.model import Notice
from backend.net import publisher as module
from backend.net.bindings import Reader
from backend.net.forwarder import Forwarder
from backend.net.model import Protocol
from backend.net.publisher import Publisher
from backend.stream import ByteStream
from backend.vm.monitor import Monitor
from backend.vm.usernet import HostForward, UserNetTable

SSH = HostForward(Protocol.TCP, "127.0.0.1", 40022, "10.0.2.15", 10055)


class Qemu(Monitor):
    """Its user network alone: a list of forwards."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[HostForward] = [SSH]

    async def usernet(self) -> UserNetTable:
        return UserNetTable(tuple(self.rows), {})

    async def add_forward(self, forward: HostForward) -> None:
        port = forward.host_port or 40_000 + len(self.rows)
        self.rows.append(
            HostForward(forward.protocol, forward.host_ip, port, forward.guest_ip or "10.0.2.15", forward.guest_port)
        )

    async def remove_forward(self, forward: HostForward) -> None:
        self.rows = [
            row
            for row in self.rows
            if (row.protocol, row.host_ip, row.host_port) != (forward.protocol, forward.host_ip, forward.host_port)
        ]

    @property
    def ports(self) -> set[tuple[str, int]]:
        return {(row.host_ip, row.host_port) for row in self.rows if row != SSH}


class Engine:
    """Containers by name, and what it was asked to do."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.restarted: Callable[[str], None] = lambda _name: None
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
            return 503, {"message": "This node is not a swarm manager."}
        name = target.split("/")[2]
        found = next((one for key, one in self.containers.items() if name in (key, one["Id"])), None)
        if method == "POST":
            self.asked.append(target)
            self.restarted(name)
            if "/stop" in target and found is not None:
                found["State"]["Running"] = False
            return 204, None
        return (404, {"message": "no such container"}) if found is None else (200, found)


class _Answer:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._left = b""
        self._follows = False

    async def write(self, data: bytes) -> None:
        method, target, _ = data.decode().split(" ", 2)
        if target.startswith("/events"):
            self._follows = True
            return
        status, value = self._engine.answer(method, target)
        self._left = b"HTTP/1.0 %d X\r\n\r\n%s" % (status, b"" if value is None else json.dumps(value).encode())

    async def read(self, max_bytes: int = 262_144) -> bytes:
        if self._follows:
            return await self._engine.events.get()
        data, self._left = self._left, b""
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
        self.forwarder = Forwarder(
            lambda: self.qemu, guest_ssh_port=lambda: 10055, deepen=lambda _descriptor, _backlog: not shallow
        )
        self.publisher = Publisher(
            self.engine.dial,
            self.forwarder,
            reader=lambda: Reader(publish_everywhere=False, host_address=lambda ip: ip),
            notify=self.notices.append,
        )

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


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Three free ports, on IPv4 and IPv6."""
    found: list[int] = []
    while len(found) < 3:
        with socket.create_server(("127.0.0.1", 0)) as held:
            found.append(held.getsockname()[1])
    yield found


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


def test_a_port_is_open_before_its_container_starts_and_goes_when_it_stops(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]})
        assert await stage.publisher.prepare_start("web", stage.engine.dial) is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        assert await asyncio.to_thread(listens, ports[0])
        stage.engine.run("web")
        assert await stage.publisher.finish_start("web") is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        stage.engine.run("web", running=False)
        await stage.publisher.release("web")
        assert stage.qemu.ports == set()
        assert not await asyncio.to_thread(listens, ports[0])

    play(story)


def test_a_taken_port_is_a_problem_and_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])], "81/tcp": [row(ports[1])]}, {})
        with socket.create_server(("127.0.0.1", ports[1])):
            problem = await stage.publisher.prepare_start("web", stage.engine.dial)
        assert problem is not None
        assert problem.code is ProblemCode.PORT_TAKEN
        assert stage.qemu.ports == set()
        assert stage.publisher.published() == ()
        assert stage.notices == [], "the client was told"

    play(story)


def test_a_start_that_the_engine_refuses_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {})
        await stage.publisher.prepare_start("web", stage.engine.dial)
        await stage.publisher.give_up_start("web")
        assert stage.qemu.ports == set()

    play(story)


def test_a_port_of_the_engines_choice_that_is_taken_makes_it_choose_again(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row("")]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)

        def next_port(_name: str) -> None:
            stage.engine.containers["web"]["NetworkSettings"]["Ports"] = {"80/tcp": [row(ports[1], "127.0.0.1")]}

        stage.engine.restarted = next_port
        with socket.create_server(("127.0.0.1", ports[0])):
            assert await stage.publisher.finish_start("web") is None
        assert stage.engine.asked == ["/containers/web/restart?t=0"]
        assert stage.qemu.ports == {("127.0.0.1", ports[1])}

    play(story)


def test_a_port_that_stays_taken_stops_the_container(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row("")]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        with socket.create_server(("127.0.0.1", ports[0])):
            problem = await stage.publisher.finish_start("web")
        assert problem is not None
        assert stage.engine.asked[-1] == "/containers/web/stop?t=0"
        assert 2 <= len(stage.engine.asked) <= 12
        assert stage.publisher.published() == ()

    play(story)


def test_events_open_and_close_what_no_client_asked_for(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        running = asyncio.create_task(stage.publisher.run())
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        stage.engine.events.put_nowait(b"HTTP/1.0 200 OK\r\n\r\nnot json\n")
        stage.engine.tell("web", "start")
        while stage.qemu.ports != {("127.0.0.1", ports[0])}:
            await asyncio.sleep(0.01)
        stage.engine.containers["web"]["NetworkSettings"]["Ports"] = {"80/tcp": [row(ports[1], "127.0.0.1")]}
        stage.engine.tell("web", "connect")
        while stage.qemu.ports != {("127.0.0.1", ports[1])}:
            await asyncio.sleep(0.01)
        stage.engine.run("web", running=False)
        stage.engine.tell("web", "die")
        while stage.qemu.ports:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})

    play(story)


def test_what_was_open_is_taken_over_and_what_nobody_wants_is_closed(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        wanted = HostForward(Protocol.TCP, "127.0.0.1", ports[0], "127.0.0.1", ports[0])
        orphan = HostForward(Protocol.TCP, "127.0.0.1", ports[1], "127.0.0.1", ports[1])
        stage.qemu.rows += [wanted, orphan]
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        with socket.create_server(("127.0.0.1", ports[0])):  # QEMU's own, were it a real one
            await stage.begin()
        assert stage.qemu.rows == [SSH, wanted]
        assert await asyncio.to_thread(listens, ports[0]), "relays are made anew"
        await stage.publisher.forget()
        assert not await asyncio.to_thread(listens, ports[0])

    play(story)


def test_a_port_that_is_taken_when_the_machine_comes_is_told_and_opened_once_it_is_free(
    ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        with socket.create_server(("127.0.0.1", ports[0])):
            await stage.begin()
            assert stage.qemu.ports == set()
            assert [code.code for code in stage.publisher.failed.values()] == [ProblemCode.PORT_TAKEN]
            assert len(stage.notices) == 1
            assert "web" in stage.notices[0].text
            running = asyncio.create_task(stage.publisher.run())
            await asyncio.sleep(0.2)
            assert len(stage.notices) == 1, "said once"
        while not stage.qemu.ports:
            await asyncio.sleep(0.01)
        assert not stage.publisher.failed
        running.cancel()
        await asyncio.wait({running})

    play(story)


def test_where_qemus_sockets_cannot_be_given_a_backlog_tcp_is_relayed(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage(shallow=True)
        await stage.begin()
        given = {"80/tcp": [row(ports[0], "127.0.0.1")], "53/udp": [row(ports[1], "127.0.0.1")]}
        stage.engine.add("web", {"80/tcp": [row(ports[0])], "53/udp": [row(ports[1])]}, given, running=True)
        assert await stage.publisher.finish_start("web") is None
        assert await asyncio.to_thread(listens, ports[0], "127.0.0.1")
        assert ("127.0.0.1", ports[0]) not in stage.qemu.ports, "QEMU has another port for it"
        assert ("127.0.0.1", ports[1]) in stage.qemu.ports
        await stage.publisher.forget()

    play(story)
