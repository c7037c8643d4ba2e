"""The publisher under everything at once: in the end what is wanted is open, and QEMU has nothing else."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from backend.errors import WherryError
from backend.net.ports import publisher as module
from tests.unit.net.ports.publisher_stage import Stage, end, play, row, until

STEPS = 60
NAMES = ("a1", "b2", "c3", "d4")


class Chaos:
    """Containers start and end, clients leave, answers come late, engine and QEMU fall silent."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.stage = Stage(shallow=self._random.random() < 0.25)
        self.stage.engine.hold = self._hold
        self._clients: set[asyncio.Task[None]] = set()
        self._places: dict[str, tuple[str, int]] = {}
        with ExitStack() as held:
            for name in NAMES:
                server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
                port, asked = server.getsockname()[1], self._random.choice(["", "0.0.0.0", "127.0.0.1"])
                given = asked or "127.0.0.1"
                self.stage.engine.add(name, {"80/tcp": [row(port, asked)]}, {"80/tcp": [row(port, given)]})
                self._places[name] = given, port

    async def _hold(self, _target: str) -> None:
        if self._random.random() < 0.3:
            await asyncio.sleep(self._random.random() * 0.03)

    async def play(self) -> None:
        for _ in range(STEPS):
            self._step()
            await asyncio.sleep(self._random.random() * 0.01)
        self.stage.qemu.is_gone = self.stage.engine.is_down = False
        if self._clients:
            await asyncio.wait(self._clients)
        for name in NAMES:  # what the engine does is told in the end
            self.stage.engine.tell(name, "start" if self._runs(name) else "die")

    def _step(self) -> None:
        chance, name = self._random.random(), self._random.choice(NAMES)
        if chance < 0.35:
            self._begin(self._start(name))
        elif chance < 0.6:
            self._begin(self._stop(name))
        elif chance < 0.75 and self._clients:
            self._random.choice(list(self._clients)).cancel()
        elif chance < 0.8:
            self.stage.qemu.is_gone = not self.stage.qemu.is_gone
        elif chance < 0.85:
            self.stage.engine.is_down = not self.stage.engine.is_down
        elif chance < 0.88:
            self.stage.engine.events.put_nowait(b"")
        elif chance < 0.9:
            self._begin(self.stage.publisher.restore(timeout_s=0.05))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def client() -> None:
            try:
                await work
            except (asyncio.CancelledError, WherryError):
                work.close()

        self._clients.add(asyncio.create_task(client()))

    async def _start(self, name: str) -> None:
        if await self.stage.publisher.prepare_start(name, self.stage.engine.dial) is not None:
            return
        if self._random.random() < 0.2:
            await self.stage.publisher.give_up_start(name)
            return
        self.stage.engine.run(name)
        if self._random.random() < 0.8:
            self.stage.engine.tell(name, "start")
        await self.stage.publisher.finish_start(name)

    async def _stop(self, name: str) -> None:
        self.stage.engine.run(name, running=False)
        if self._random.random() < 0.8:
            self.stage.engine.tell(name, "die")
        await self.stage.publisher.release(name)

    def _runs(self, name: str) -> bool:
        return bool(self.stage.engine.containers[name]["State"]["Running"])

    def is_right(self) -> bool:
        wanted = {self._places[name] for name in NAMES if self._runs(name)}
        opened = {(one.host_ip, one.host_port) for one in self.stage.forwarder.opened if ":" not in one.host_ip}
        has = self.stage.qemu.ports
        return opened == wanted and (len(has) == len(wanted) if self.stage.is_shallow else has == wanted)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.expect_log("ports could not be updated", at_least=0)
@pytest.mark.expect_log("not all ports could be published", at_least=0)
def test_in_the_end_what_is_wanted_is_open(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_RETRY_S", 0.02), ("_RECONNECT_S", 0.01), ("_START_S", 0.2)):
        monkeypatch.setattr(module, name, seconds)

    async def story() -> None:
        chaos = Chaos(seed)
        await chaos.stage.begin()
        running = asyncio.create_task(chaos.stage.publisher.run())
        await chaos.play()
        await until(chaos.is_right)
        await end(running)

    play(story)
