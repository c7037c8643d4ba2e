"""The ports that the engine has published in the guest, as last read.

Reads are numbered when they start. A read may finish after a later one on another connection; an older result never
replaces a newer one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from backend.engine.ask import ask, ask_json
from backend.engine.engine_json import read_answer, refusal
from backend.errors import ProblemCode, fail
from backend.json_reader import JsonObject
from backend.messages import message
from backend.net.ports.bindings import Published, Reader, name_of
from backend.net.ports.host_network import GuestListener, uses_host_network
from backend.stream import Dial

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
_NO_MANAGER: Final = 503


class EngineState:
    """State of the engine's published ports. A failed read marks it stale until everything was read again."""

    def __init__(self, dial: Dial, reader: Callable[[], Reader], want_listeners: Callable[[bool], None]) -> None:
        """The state is empty at first. See Publisher for the arguments."""
        self._dial = dial
        self._make_reader = reader
        self._reader = reader()
        self._want_listeners = want_listeners
        self._given: dict[str, tuple[Published, ...]] = {}
        """Published ports by container id."""
        self._places: dict[str, str] = {}
        """Addresses of those containers, as text."""
        self._services: tuple[Published, ...] = ()
        self._host_network: dict[str, str] = {}
        """Names of running containers with the host's network, by id."""
        self._reads = itertools.count(1)
        self._read_number: dict[str, int] = {}
        """For each container, the number of the read that its state comes from."""
        self.listeners: frozenset[GuestListener] = frozenset()
        """The sockets that containers with the host's network listen on."""
        self.is_stale = False

    def forget(self) -> None:
        """Clear the state: the engine has stopped."""
        self._given.clear()
        self._places.clear()
        self._services = ()
        self._host_network.clear()
        self._read_number.clear()
        self.listeners = frozenset()
        self.is_stale = False
        self._want_listeners(False)

    async def read_settings(self) -> None:
        """Read the engine's answers with the current settings from now on."""
        self._reader = await asyncio.to_thread(self._make_reader)

    # -- the state ------------------------------------------------------------------------------------------------
    def of_containers(self) -> Iterator[Published]:
        """Ports of running containers."""
        for published in self._given.values():
            yield from published

    def of_others(self) -> Iterator[Published]:
        """Ports of services, and of containers with the host's network."""
        yield from self._services
        yield from self._reader.listeners(self.listeners, self._host_network)

    def given(self, key: str) -> tuple[Published, ...]:
        """Ports of the container with this id."""
        return self._given.get(key, ())

    def places(self) -> frozenset[str]:
        """A text for each container with published ports; another one when its ports or addresses are others."""
        return frozenset(self._places.values())

    def asked(self, inspected: JsonObject) -> tuple[Published, ...]:
        """Ports that a container will request when it starts; see Reader."""
        return self._reader.asked(inspected)

    def named(self, name: str) -> list[str]:
        """Ids of containers with published ports that match a name, an id or the start of an id."""
        plain = name.removeprefix("/")
        return [
            key
            for key, published in self._given.items()
            if plain and (key.startswith(plain) or any(one.owner_name == plain for one in published))
        ]

    # -- reads ----------------------------------------------------------------------------------------------------
    async def refresh_all(self) -> None:
        """Read all containers and services. Raises WherryError."""
        self.is_stale = False
        with self._stale_on_error():
            await self._refresh_all()

    @contextlib.contextmanager
    def _stale_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.is_stale = True
            raise

    async def _refresh_all(self) -> None:
        number = next(self._reads)
        listed = await ask_json(self._dial, "/containers/json")
        if listed is None:
            raise fail(
                ProblemCode.ENGINE_ERROR, message("The Docker engine doesn't list its containers."), retryable=True
            )
        gate = asyncio.Semaphore(_AT_ONCE)

        async def refresh_container(key: str) -> None:
            async with gate:
                await self.refresh_container(key)

        keys = {row.required_text("Id") for row in listed.objects() if _publishes(row) or uses_host_network(row)}
        try:
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    group.create_task(refresh_container(key))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        for key in (self._given.keys() | self._host_network.keys()) - keys:
            if self._read_number.get(key, 0) < number:
                self._take(key, None)
        await self.refresh_services()

    async def refresh_services(self) -> None:
        """Read the swarm's services, if there is one. Raises WherryError."""
        with self._stale_on_error():
            status, body = await ask(self._dial, "GET", "/services")
        if status == _NO_MANAGER:  # usually: not in a swarm
            self._services = ()
        elif status != 200:  # for example, a swarm without a leader: its services keep running
            _log.warning("the engine does not tell its services: %s", refusal(body))
        else:
            with self._stale_on_error():
                self._services = self._reader.services(read_answer(body, "GET /services").objects())

    async def refresh_container(self, name: str) -> str:
        """Read one container by its name or id. Returns its id, or the name when there is no such container.

        Raises:
            WherryError: as `ask_json`.
        """
        number = next(self._reads)
        with self._stale_on_error():
            answer = await ask_json(self._dial, f"/containers/{name}/json")
            if answer is None:
                self._take(name, None)
                self._read_number.pop(name, None)
                return name
            inspected = answer.object()
            key = inspected.required_text("Id")
            if self._read_number.get(key, 0) < number:
                self._take(key, inspected)
                self._read_number[key] = number
        return key

    def _take(self, key: str, inspected: JsonObject | None) -> None:
        """Store a container's state; None: it was removed."""
        published = self._reader.given(inspected) if inspected is not None else ()
        if inspected is not None and published:
            self._given[key] = published
            self._places[key] = _place(key, inspected, published)
        else:
            self._given.pop(key, None)
            self._places.pop(key, None)
        if inspected is not None and _runs_on_host_network(inspected):
            self._host_network[key] = name_of(inspected)
        else:
            self._host_network.pop(key, None)
        self._want_listeners(bool(self._host_network))


def _publishes(row: JsonObject) -> bool:
    """Whether a container from `GET /containers/json` has published ports."""
    return any(port.integer("PublicPort") for port in row.objects("Ports"))


def _place(key: str, inspected: JsonObject, published: Iterable[Published]) -> str:
    networks = inspected.object("NetworkSettings").object("Networks")
    addresses = sorted(networks.object(name).text("IPAddress") for name in networks)
    ports = sorted(f"{one.forward.address} {one.owner_port}/{one.forward.protocol}" for one in published)
    return " ".join((key, *addresses, *ports))


def _runs_on_host_network(inspected: JsonObject) -> bool:
    return inspected.object("State").flag("Running") and uses_host_network(inspected)
