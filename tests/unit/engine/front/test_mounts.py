"""Sources of mounts: the engine's socket, by every path and in every request that can name it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.engine.front.mounts import GUEST_SOCKET, MountSources
from backend.errors import ProblemCode, WherryError


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    path = tmp_path / "home 100%" / "run" / "docker.sock"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def sources(socket: Path) -> MountSources:
    return MountSources(socket, f"unix://{str(socket).replace('%', '%25')}")


def container(**host: Any) -> dict[str, Any]:
    return {"Image": "web", "HostConfig": host}


def test_every_path_of_the_socket_is_the_engines(tmp_path: Path, socket: Path, sources: MountSources) -> None:
    link = tmp_path / "docker.sock"
    link.symlink_to(socket)
    home = tmp_path / "link"
    home.symlink_to(socket.parent.parent)
    paths = [socket, f"/{socket}", f"{socket.parent}/../run//docker.sock", str(socket).replace("%", "%25"), link]
    for path in (*paths, home / "run" / "docker.sock"):
        body = container(Binds=["data:/data", f"{path}:/var/run/docker.sock:ro"])
        assert sources.map_container(body), path
        assert body["HostConfig"]["Binds"] == ["data:/data", f"{GUEST_SOCKET}:/var/run/docker.sock:ro"]


def test_every_request_is_mapped(socket: Path, sources: MountSources) -> None:
    def mounts() -> list[dict[str, Any]]:
        local = {"Name": "local", "Options": {"type": "none", "o": "bind", "device": str(socket)}}
        return [
            {"Type": "bind", "Source": str(socket), "Target": "/docker.sock", "ReadOnly": True},
            {"Type": "volume", "Source": "x", "Target": "/x", "VolumeOptions": {"DriverConfig": local}},
        ]

    expected = mounts()
    expected[0]["Source"] = expected[1]["VolumeOptions"]["DriverConfig"]["Options"]["device"] = GUEST_SOCKET
    body = container(Mounts=mounts())
    assert sources.map_container(body)
    assert body["HostConfig"]["Mounts"] == expected
    service: dict[str, Any] = {"TaskTemplate": {"ContainerSpec": {"Image": "web", "Mounts": mounts()}}}
    assert sources.map_service(service)
    assert service["TaskTemplate"]["ContainerSpec"]["Mounts"] == expected
    volume: dict[str, Any] = {"Driver": "local", "DriverOpts": {"o": "bind", "device": str(socket)}}
    assert sources.map_volume(volume)
    assert volume["DriverOpts"]["device"] == GUEST_SOCKET


def test_other_files_beside_the_socket_are_refused(socket: Path, sources: MountSources) -> None:
    for path in (socket.parent, f"{socket.parent}/", socket.parent / "control.sock"):
        with pytest.raises(WherryError) as caught:
            sources.map_container(container(Binds=[f"{path}:/run/host"]))
        assert caught.value.problem.code is ProblemCode.BAD_REQUEST
        assert GUEST_SOCKET in str(caught.value.problem.hint)


@pytest.mark.parametrize(
    "body",
    [
        container(Binds=["/:/host:ro,rslave", "/var/run/docker.sock:/var/run/docker.sock", "", 5, "docker.sock:/x"]),
        container(Binds=None, Mounts=None),
        container(Binds={}, Mounts=[5, {"Type": "bind"}, {"Type": "volume", "VolumeOptions": {"DriverConfig": None}}]),
        container(Mounts=[{"Type": "bind", "Source": "/\0"}, {"Type": "tmpfs", "Target": "/x"}]),
        {"HostConfig": 5},
        {"TaskTemplate": {"ContainerSpec": {"Mounts": 5}}},
        {"DriverOpts": {"device": 5}},
        {},
    ],
)  # fmt: skip
def test_anything_else_is_left_as_it_is(body: dict[str, Any], sources: MountSources) -> None:
    assert not any(one(body) for one in (sources.map_container, sources.map_service, sources.map_volume))
