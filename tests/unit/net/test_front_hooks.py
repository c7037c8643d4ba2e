"""What the API front has done for the network: requests by their method and target, on a scripted engine."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from backend.engine.front.mounts import GUEST_SOCKET, MountSources
from backend.errors import ProblemCode, WherryError
from backend.net import front_hooks as front
from backend.net.aliases import Aliases
from backend.net.front_hooks import NetworkHooks
from tests.unit.net.ports.publisher_stage import Stage, play, row, until

START = "/v1.51/containers/web/start"


def hooks_on(stage: Stage, home: Path) -> NetworkHooks:
    return NetworkHooks(stage.publisher, Aliases(home / "addresses.json"), stage.engine.dial)


def add_web(stage: Stage, port: int) -> None:
    stage.engine.add("web", {"80/tcp": [row(port)]}, {"80/tcp": [row(port, "127.0.0.1")]})


async def with_web(home: Path, port: int) -> tuple[Stage, NetworkHooks]:
    """A stage that has begun, with a container that asks for the port."""
    stage = Stage()
    await stage.begin()
    add_web(stage, port)
    return stage, hooks_on(stage, home)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/containers/web/stop?t=1"),
        ("POST", "/v1.51/containers/web/kill"),
        ("DELETE", "/v1.51/containers/web?force=1"),
    ],
)
def test_ports_come_with_the_start_and_go_with_the_end(
    tmp_path: Path, ports: list[int], method: str, target: str
) -> None:
    async def story() -> None:
        stage, hooks = await with_web(tmp_path, ports[0])
        assert await hooks.before_request("POST", START) is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        stage.engine.run("web")
        assert await hooks.before_response("POST", START, 204) is None
        for other in ("/containers/web/json", "/containers/json", "/containers/web/wait"):
            assert await hooks.before_request("GET", other) is None
            assert await hooks.before_response("GET", other, 200) is None
        stage.engine.run("web", running=False)
        assert await hooks.before_response(method, target, 500) is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}, "it was refused"
        assert await hooks.before_response(method, target, 204) is None
        assert stage.qemu.ports == set()

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_conflict_is_said_as_docker_says_it(tmp_path: Path, ports: list[int]) -> None:
    async def story() -> None:
        _stage, hooks = await with_web(tmp_path, ports[0])
        with socket.create_server(("127.0.0.1", ports[0])):
            problem = await hooks.before_request("POST", START)
        assert problem is not None
        assert problem.code is ProblemCode.PORT_TAKEN
        words = "driver failed programming external connectivity: port is already allocated: Port "
        assert str(problem.summary).startswith(words)

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_container_that_removes_itself_is_gone_after_a_start_that_was_refused_here(
    tmp_path: Path, ports: list[int]
) -> None:
    async def refused(verb: str, *, removes_itself: bool = True, running: bool = False) -> bool:
        """Whether the container is still there."""
        stage, hooks = await with_web(tmp_path, ports[0])
        stage.engine.containers["web"]["HostConfig"]["AutoRemove"] = removes_itself
        stage.engine.run("web", running)
        with socket.create_server(("127.0.0.1", ports[0])):
            assert await hooks.before_request("POST", f"/v1.24/containers/web/{verb}") is not None
        return "web" in stage.engine.containers

    async def story() -> None:
        assert not await refused("start")
        assert await refused("start", removes_itself=False), "as an engine leaves it"
        assert await refused("restart", running=True), "it was not ended"

    play(story)


def test_a_container_whose_ports_took_too_long_does_not_run_while_its_client_is_told_that_it_failed(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        stage, hooks = await with_web(tmp_path, ports[0])
        monkeypatch.setattr(front, "_HOLD_S", 0.05)
        stage.qemu.adds.clear()
        stage.engine.containers["web"]["HostConfig"]["AutoRemove"] = True
        assert await hooks.before_request("POST", START) is not None
        assert "web" not in stage.engine.containers
        add_web(stage, ports[0])
        stage.engine.run("web")
        problem = await hooks.before_response("POST", START, 204)
        assert problem is not None
        assert "/containers/web/stop?t=0" in stage.engine.asked
        stage.qemu.adds.set()
        await until(lambda: not stage.qemu.ports)

    play(story)


def test_a_start_that_the_engine_refuses_or_that_takes_too_long_leaves_nothing(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        stage, hooks = await with_web(tmp_path, ports[0])
        await hooks.before_request("POST", START)
        assert await hooks.before_response("POST", START, 500) is None
        assert stage.qemu.ports == set()

        monkeypatch.setattr(front, "_HOLD_S", 0.05)
        stage.qemu.adds.clear()
        problem = await hooks.before_request("POST", START)
        assert problem is not None
        assert problem.code is ProblemCode.NETWORK_FAILED
        assert problem.retryable
        stage.qemu.adds.set()
        await until(lambda: not stage.qemu.ports)

        stage.engine.is_down = True
        assert await hooks.before_request("POST", START) is None, "the engine says it itself"
        assert await hooks.before_response("POST", START, 204) is None

    play(story)


def test_addresses_that_the_guest_lacks_are_written_otherwise_for_it_and_back_for_the_client(tmp_path: Path) -> None:
    async def story() -> None:
        stage = Stage()
        hooks = hooks_on(stage, tmp_path)
        assert hooks.rewrite_response("GET", "/containers/json", 200) is None, "nobody has an alias"
        assert hooks.wants_body("POST", "/v1.51/containers/create?name=web")

        async def create(bindings: dict[str, Any]) -> Any:
            body = json.dumps({"HostConfig": {"PortBindings": bindings}, "Image": "ü"}).encode()
            changed = await hooks.rewrite_request("POST", "/containers/create", (), body)
            return changed and json.loads(changed)

        assert await create({"80/tcp": [row(80), row(81, "0.0.0.0"), "odd"], "81/tcp": None}) is None
        made = await create({"80/tcp": [row(80, "::1"), row(81)]})
        rows = made["HostConfig"]["PortBindings"]["80/tcp"]
        assert (made["Image"], rows[1]) == ("ü", row(81))
        assert rows[0]["HostIp"].startswith("127.66.")
        for target in ("/containers/json?all=1", "/v1.51/containers/web/json"):
            restore = hooks.rewrite_response("GET", target, 200)
            assert restore is not None
            assert json.loads(restore(json.dumps(rows).encode()))[0] == row(80, "::1")
        assert hooks.rewrite_response("GET", "/containers/web/logs", 200) is None
        with pytest.raises(WherryError) as caught:
            await create({"80/sctp": [row(80)]})
        assert caught.value.problem.code is ProblemCode.BAD_REQUEST

    play(story)


def test_a_mount_of_the_socket_is_mapped_in_requests_of_every_kind(tmp_path: Path) -> None:
    socket_path = tmp_path / "docker.sock"
    stage = Stage()
    aliases = Aliases(tmp_path / "addresses.json")
    mounts = MountSources(socket_path, f"unix://{socket_path}")
    hooks = NetworkHooks(stage.publisher, aliases, stage.engine.dial, mounts=mounts)
    bind = {"Type": "bind", "Source": str(socket_path), "Target": "/docker.sock"}
    requests: dict[str, dict[str, Any]] = {
        "/containers/create?name=web": {"HostConfig": {"Binds": [f"{socket_path}:/docker.sock"]}},
        "/v1.24/containers/create": {"HostConfig": {"Mounts": [bind]}},
        "/v1.51/services/create": {"TaskTemplate": {"ContainerSpec": {"Mounts": [bind]}}},
        "/services/web/update?version=5": {"TaskTemplate": {"ContainerSpec": {"Mounts": [bind]}}},
        "/volumes/create": {"DriverOpts": {"o": "bind", "device": str(socket_path)}},
    }

    async def story() -> None:
        for target, body in requests.items():
            assert hooks.wants_body("POST", target)
            changed = await hooks.rewrite_request("POST", target, (), json.dumps(body).encode())
            assert changed is not None, target
            assert GUEST_SOCKET.encode() in changed
            assert str(socket_path).encode() not in changed

    play(story)


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 200_000, b"\xff", b'{"HostConfig": 5}'])
def test_a_body_of_another_shape_is_left_to_the_engine(tmp_path: Path, body: bytes) -> None:
    async def story() -> None:
        assert await hooks_on(Stage(), tmp_path).rewrite_request("POST", "/containers/create", (), body) is None

    play(story)
