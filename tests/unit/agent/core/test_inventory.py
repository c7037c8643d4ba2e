"""What the engine has before an update and after it: what is missed, and what goes by itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from backend.agent.core import inventory
from backend.json_reader import NotUnderstood

ANONYMOUS = "f" * 64


@dataclass
class Stream:
    """The engine's end of one request."""

    engine: Engine
    answer: bytes = b""

    async def read(self, limit: int = 65_536) -> bytes:
        piece, self.answer = self.answer[:limit], self.answer[limit:]
        return piece

    async def write(self, data: bytes) -> None:
        self.answer = self.engine.answer(*data.decode().split(" ")[:2])

    async def write_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


@dataclass
class Engine:
    """Answers what it is given, by target."""

    has: dict[str, Any]
    started: list[str] = field(default_factory=list)

    async def dial(self) -> Stream:
        return Stream(self)

    def answer(self, method: str, target: str) -> bytes:
        if method == "POST":
            self.started.append(target)
            return b"HTTP/1.0 204 No Content\r\n\r\n" if "web" in target else b"HTTP/1.0 409 Conflict\r\n\r\n{}"
        if target not in self.has:
            return b"HTTP/1.0 404 Not Found\r\n\r\n{}"
        return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(self.has[target]).encode()


def container(name: str, state: str, **labels: str) -> dict[str, Any]:
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "State": state, "Labels": labels}


def full() -> Engine:
    return Engine(
        {
            "/containers/json?all=1": [
                container("web", "running"),
                container("old", "exited"),
                container("passing", "running"),
                container("gone", "running"),
                container("task.1", "running", **{"com.docker.swarm.task.id": "x"}),
            ],
            "/containers/id-web/json": {"HostConfig": {"AutoRemove": False}},
            "/containers/id-passing/json": {
                "HostConfig": {"AutoRemove": True},
                "Mounts": [{"Type": "volume", "Name": ANONYMOUS}, {"Type": "volume", "Name": "kept"}],
            },
            "/volumes": {"Volumes": [{"Name": ANONYMOUS}, {"Name": "kept"}]},
            "/images/json": [{"Id": "sha256:1"}],
            "/networks": [{"Name": "bridge"}, {"Name": "mine"}],
        }
    )


def test_what_goes_by_itself_is_not_missed_and_everything_else_is() -> None:
    engine = full()
    before = asyncio.run(inventory.take(engine.dial))
    assert before.containers == {"id-web": "web", "id-old": "old"}
    assert (before.ran, before.passing) == (("id-web",), {"id-passing": "passing"})
    assert before.volumes == {"kept"}
    engine.has["/containers/json?all=1"] = engine.has["/containers/json?all=1"][:2]
    engine.has["/volumes"]["Volumes"].pop(0)
    now = asyncio.run(inventory.take(engine.dial))
    assert inventory.missing(before, now) == []
    lost = replace(now, containers={"id-old": "old"}, volumes=frozenset(), networks=frozenset({"bridge"}))
    assert inventory.missing(before, lost) == ["container web", "volume kept", "network mine"]


def test_what_ran_is_started_again_and_what_does_not_start_is_told() -> None:
    engine = full()
    refused = asyncio.run(inventory.run_again(engine.dial, ("id-web", "id-old")))
    assert engine.started == ["/containers/id-web/start", "/containers/id-old/start"]
    assert len(refused) == 1
    assert refused[0].startswith("container id-old")


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/networks", {"message": "no"}),
        ("/volumes", []),
        ("/images/json", [{"Id": None}]),
        ("/containers/json?all=1", ["web"]),
        ("/containers/id-web/json", {"HostConfig": "x"}),
    ],
)
def test_what_is_not_understood_is_not_taken_for_nothing(target: str, answer: object) -> None:
    engine = full()
    engine.has[target] = answer
    with pytest.raises(NotUnderstood):
        asyncio.run(inventory.take(engine.dial))
