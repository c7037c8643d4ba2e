"""What the engine has published in the guest, as far as it was looked at.

A look at a container is numbered when it begins. Its answer may come after that of a later look, by another
connection; what is older than what is known is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Final

from backend.engine.ask import Dial, ask, ask_json
from backend.engine.engine_json import read_answer, refusal
from backend.errors import ProblemCode, fail
from backend.json_reader import JsonObject
from backend.net.ports.bindings import Published, Reader, name_of
from backend.net.ports.host_network import Listener, uses_host_network

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
_NO_MANAGER: Final = 503


class EngineState:
    """Of one engine. What it cannot look at makes it stale, until it has looked at everything again."""

    def __init__(self, dial: Dial, reader: Callable[[], Reader], want_listeners: Callable[[bool], None]) -> None:
        """Make one that knows of nothing. See Publisher for the arguments."""
        self._dial = dial
        self._make_reader = reader
        self._reader = reader()
        self._want_listeners = want_listeners
        self._given: dict[str, tuple[Published, ...]] = {}
        """By the container's id."""
        self._services: tuple[Published, ...] = ()
        self._host_network: dict[str, str] = {}
        """Names of running containers with the host's network, by id."""
        self._looks = itertools.count(1)
        self._seen_by: dict[str, int] = {}
        """The number of the look that told what is known of a container."""
        self.listeners: frozenset[Listener] = frozenset()
        """What containers with the host's network listen on."""
        self.is_stale = False

    def forget(self) -> None:
        """There is no engine."""
        self._given.clear()
        self._services = ()
        self._host_network.clear()
        self._seen_by.clear()
        self.listeners = frozenset()
        self.is_stale = False
        self._want_listeners(False)

    async def read_settings(self) -> None:
        """From now on read answers by the settings that are in force now."""
        self._reader = await asyncio.to_thread(self._make_reader)

    # -- what is known --------------------------------------------------------------------------------------------
    def of_containers(self) -> Iterator[Published]:
        """What running containers have published."""
        for published in self._given.values():
            yield from published

    def of_others(self) -> Iterator[Published]:
        """What services have published, and what containers with the host's network listen on."""
        yield from self._services
        yield from self._reader.listeners(self.listeners, self._host_network)

    def given(self, key: str) -> tuple[Published, ...]:
        """What the container with this id has published."""
        return self._given.get(key, ())

    def asked(self, inspected: JsonObject) -> tuple[Published, ...]:
        """What a container that is going to start asks for; see Reader."""
        return self._reader.asked(inspected)

    def named(self, name: str) -> list[str]:
        """Ids of containers with published ports that go by this name, id or begin of an id."""
        plain = name.removeprefix("/")
        return [
            key
            for key, published in self._given.items()
            if plain and (key.startswith(plain) or any(one.owner_name == plain for one in published))
        ]

    # -- looks ----------------------------------------------------------------------------------------------------
    async def look_at_all(self) -> None:
        """Look at all containers and services. Raises WherryError."""
        self.is_stale = False
        with self._stale_unless_done():
            await self._look_at_all()

    @contextlib.contextmanager
    def _stale_unless_done(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.is_stale = True
            raise

    async def _look_at_all(self) -> None:
        look = next(self._looks)
        listed = await ask_json(self._dial, "/containers/json")
        if listed is None:
            raise fail(ProblemCode.ENGINE_ERROR, "The engine does not list its containers.", retryable=True)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look_at(key: str) -> None:
            async with gate:
                await self.look_at(key)

        keys = {row.required_text("Id") for row in listed.objects() if _publishes(row) or uses_host_network(row)}
        try:
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    group.create_task(look_at(key))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        for key in (self._given.keys() | self._host_network.keys()) - keys:
            if self._seen_by.get(key, 0) < look:
                self._take(key, None)
        await self.look_at_services()

    async def look_at_services(self) -> None:
        """Look at the swarm's services, if there is one. Raises WherryError."""
        with self._stale_unless_done():
            status, body = await ask(self._dial, "GET", "/services")
        if status == _NO_MANAGER:  # nor in a swarm, most likely
            self._services = ()
        elif status != 200:  # as of a swarm that has no leader for a while: its services go on
            _log.warning("the engine does not tell its services: %s", refusal(body))
        else:
            with self._stale_unless_done():
                self._services = self._reader.services(read_answer(body, "GET /services").objects())

    async def look_at(self, name: str) -> str:
        """Look at one container, by its name or id; returns its id, or the name where there is none.

        Raises:
            WherryError: as `ask_json`.
        """
        look = next(self._looks)
        with self._stale_unless_done():
            answer = await ask_json(self._dial, f"/containers/{name}/json")
            if answer is None:
                self._take(name, None)
                self._seen_by.pop(name, None)
                return name
            inspected = answer.object()
            key = inspected.required_text("Id")
            if self._seen_by.get(key, 0) < look:
                self._take(key, inspected)
                self._seen_by[key] = look
        return key

    def _take(self, key: str, inspected: JsonObject | None) -> None:
        """What is known of a container now; None: that it is gone."""
        published = self._reader.given(inspected) if inspected is not None else ()
        if published:
            self._given[key] = published
        else:
            self._given.pop(key, None)
        if inspected is not None and _runs_on_host_network(inspected):
            self._host_network[key] = name_of(inspected)
        else:
            self._host_network.pop(key, None)
        self._want_listeners(bool(self._host_network))


def _publishes(row: JsonObject) -> bool:
    """Whether a container, of the answer of `GET /containers/json`, has published ports."""
    return any(port.integer("PublicPort") for port in row.objects("Ports"))


def _runs_on_host_network(inspected: JsonObject) -> bool:
    return inspected.object("State").flag("Running") and uses_host_network(inspected)
