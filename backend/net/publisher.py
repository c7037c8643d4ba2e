"""Keeps what is published on the host equal to what the engine has published in the guest.

Wanted is what the engine says of its containers and services, read again whenever an event tells of a change, and
whole whenever the engine comes up; open is what QEMU and the relays have. Nothing else is state, so an agent that
takes over, or a machine that comes back, begins with a look at both.

A start through the front is held twice: before it, single ports are opened, so that one that another program has fails
the start before anything runs; after it, those that the engine chose, before the client hears of it. A port that the
engine chose and the host does not have makes the container start again, with the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from backend.engine.ask import Dial, ask, ask_json
from backend.errors import Problem, ProblemCode, WherryError
from backend.model import Notice
from backend.net.bindings import Published, Reader
from backend.net.forwarder import Forwarder
from backend.net.host_network import Listener, uses_host_network
from backend.net.model import Forward

_log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0
_RECONNECT_S: Final = 0.5
_ELSEWHERE: Final = 10
"""How often a container is started again for other ports."""
_AT_ONCE: Final = 4
_SERVICE_S: Final = 3.0
_LINE_BYTES: Final = 1_048_576
_HEEDED: Final = {
    "container": ("start", "die", "destroy", "rename"),
    "service": ("create", "update", "remove"),
    "network": ("connect", "disconnect"),  # which moves what a running container publishes
}
_EVENTS: Final = "/events?filters=" + quote(
    json.dumps({"type": list(_HEEDED), "event": [action for actions in _HEEDED.values() for action in actions]})
)

_START_S: Final = 120.0
"""A start whose end nobody has told by then has none: its client left."""


@dataclass(frozen=True, slots=True)
class _Asked:
    published: tuple[Published, ...]
    name: str
    since: float


class Publisher:
    """One per agent."""

    def __init__(
        self,
        dial: Dial,
        forwarder: Forwarder,
        *,
        reader: Callable[[], Reader],
        notify: Callable[[Notice], None],
        want_listeners: Callable[[bool], None] = lambda _wanted: None,
    ) -> None:
        """Make it.

        Args:
            dial: opens a stream to the engine; wakes nothing. Raises WherryError.
            forwarder: makes the forwards.
            reader: reads what the engine says, by the settings in force. Called when the engine comes up.
            notify: told of ports that fail with no client to tell.
            want_listeners: told whether a container with the host's network runs, so that `hear` is to be called.
        """
        self._dial = dial
        self._forwarder = forwarder
        self._make_reader = reader
        self._reader = reader()
        self._notify = notify
        self._given: dict[str, tuple[Published, ...]] = {}
        """By the container's id."""
        self._asked: dict[str, _Asked] = {}
        """By the id of a container that is about to start."""
        self._services: tuple[Published, ...] = ()
        self._want_listeners = want_listeners
        self._host_network: dict[str, str] = {}
        """Names of running containers with the host's network, by id."""
        self._listeners: frozenset[Listener] = frozenset()
        self._failed: dict[Forward, Problem] = {}
        self._applying = asyncio.Lock()
        self._restored = asyncio.Event()

    # -- life -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Follow the engine's events, and try again what failed, until cancelled."""
        retrying = asyncio.create_task(self._retry(), name="ports that failed")
        try:
            while True:
                await self._restored.wait()
                try:
                    await self._follow()
                except (WherryError, ConnectionError) as error:
                    _log.info("the engine's events broke off: %s", error)
                await asyncio.sleep(_RECONNECT_S)
                with contextlib.suppress(WherryError):
                    await self._read_all()
        finally:
            retrying.cancel()
            await asyncio.wait({retrying}, timeout=2)
            await self._forwarder.drop()

    async def restore(self, *, timeout_s: float) -> None:
        """The engine answers (again): publish what it has. Does not raise: what fails is tried again."""
        self._reader = self._make_reader()
        try:
            async with asyncio.timeout(timeout_s):
                await self._read_all(adopt=True)
        except (WherryError, TimeoutError) as error:
            _log.warning("not all ports could be published: %s", error)
        self._restored.set()

    async def restored(self, *, timeout_s: float) -> None:
        """Return when what ran before has its ports again, or at the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._restored.wait()

    async def forget(self) -> None:
        """The machine does not run."""
        self._restored.clear()
        self._given.clear()
        self._asked.clear()
        self._services = ()
        self._host_network.clear()
        self._listeners = frozenset()
        self._want_listeners(False)
        self._failed.clear()
        async with self._applying:
            await self._forwarder.drop()

    # -- what the front asks --------------------------------------------------------------------------------------
    async def prepare_start(self, name: str, dial: Dial) -> Problem | None:
        """Open what a container asks for, before it is started; a Problem if that cannot be had.

        Args:
            name: of the container, or its id, as the client gave it.
            dial: opens a stream to the engine, and may wake the machine for it. Raises WherryError.
        """
        inspected = await ask_json(dial, f"/containers/{name}/json")
        if not isinstance(inspected, dict):
            return None  # the engine says that there is none
        asked = self._reader.asked(inspected)
        if not asked:
            return None
        self._asked[str(inspected.get("Id"))] = _Asked(asked, name, time.monotonic())
        await self._apply()
        problem = self._problem_of(asked)
        if problem is not None:
            await self.give_up_start(name)
        return problem

    async def give_up_start(self, name: str) -> None:
        """Close what was opened for a container whose start failed."""
        self._started(name)
        await self._apply()

    async def finish_start(self, name: str) -> Problem | None:
        """Open what a container was given, once it was started; a Problem, and it is stopped, if that cannot be had."""
        for left in reversed(range(_ELSEWHERE)):
            published = await self._read_container(name)
            self._started(name)
            failing = [one for one in published if one.forward in self._failed and not one.is_companion]
            if not failing:
                return None
            if not left or not all(one.is_chosen for one in failing):
                break
            _log.info("%s: %s; started again for other ports", name, [one.forward.address for one in failing])
            # A restart, because a stop removes a container that was run with --rm.
            await ask(self._dial, "POST", f"/containers/{name}/restart?t=0")
        problem = self._problem_of(published)
        with contextlib.suppress(WherryError):
            await ask(self._dial, "POST", f"/containers/{name}/stop?t=0")
            await self._read_container(name)
        return problem

    async def release(self, name: str) -> None:
        """Close what a container had, which was stopped or removed. Raises WherryError."""
        known = [key for key, published in self._given.items() if _is_named(key, published, name)]
        for key in known:
            await self._read_container(key)

    async def read_services(self, wanted: int = 0) -> None:
        """Publish what services have; wait a little for ports that one has just asked for. Raises WherryError.

        Args:
            wanted: how many ports there have to be.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SERVICE_S
        while True:
            await self._look_at_services()
            await self._apply()
            if len({(one.owner_id, one.forward.host_port) for one in self._services}) >= wanted:
                return
            if loop.time() > deadline:
                return
            await asyncio.sleep(0.1)

    async def hear(self, listeners: frozenset[Listener]) -> None:
        """Containers with the host's network listen on these ports now."""
        self._listeners = listeners
        await self._apply()

    @property
    def reader(self) -> Reader:
        """By the settings in force."""
        return self._reader

    @property
    def forwarder(self) -> Forwarder:
        """What is open."""
        return self._forwarder

    @property
    def failed(self) -> Mapping[Forward, Problem]:
        """What is not open, and why."""
        return self._failed

    def published(self) -> tuple[Published, ...]:
        """All that is to be open, each forward once."""
        asked = [one.published for one in self._asked.values()]
        heard = self._reader.listeners(self._listeners, self._host_network)
        every = [*self._given.values(), *asked, self._services, heard]
        found: dict[Forward, Published] = {}
        for one in (one for group in every for one in group):
            found.setdefault(one.forward, one)
        return tuple(found.values())

    # -- the engine's state ---------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        stream = await self._dial()
        try:
            await stream.write(f"GET {_EVENTS} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            buffer = b""
            while chunk := await stream.read():
                *lines, buffer = (buffer + chunk).split(b"\n")
                if len(buffer) > _LINE_BYTES:
                    return
                for line in lines:
                    await self._heed(line)
        finally:
            with contextlib.suppress(ConnectionError):
                await stream.aclose()

    async def _heed(self, untrusted_line: bytes) -> None:
        try:
            event = json.loads(untrusted_line)
            kind, action, actor = event["Type"], event["Action"], event["Actor"]
            key = str(actor["Attributes"]["container"] if kind == "network" else actor["ID"])
        except (ValueError, KeyError, TypeError):
            return  # the answer's head, or an event of a form that we do not know
        try:
            if kind == "service":
                await self.read_services()
            elif action in _HEEDED.get(kind, ()):
                await self._read_container(key)
        except WherryError as error:
            _log.info("after %s of %s: %s", action, key, error.problem.summary)

    async def _read_all(self, *, adopt: bool = False) -> None:
        listed = await ask_json(self._dial, "/containers/json")
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(key: str) -> tuple[str, tuple[Published, ...]]:
            async with gate:
                inspected = await ask_json(self._dial, f"/containers/{key}/json")
                return key, self._reader.given(inspected) if isinstance(inspected, dict) else ()

        keys = [str(row.get("Id")) for row in listed or () if any(one.get("PublicPort") for one in row["Ports"] or ())]
        self._given = dict(await asyncio.gather(*map(read, keys)))
        self._host_network = {
            str(row.get("Id")): str((row.get("Names") or [""])[0]).removeprefix("/")
            for row in listed or ()
            if uses_host_network([row])
        }
        self._want_listeners(bool(self._host_network))
        await self._look_at_services()
        if adopt:
            async with self._applying:
                await self._forwarder.adopt([one.forward for one in self.published()])
        await self._apply()

    async def _look_at_services(self) -> None:
        try:
            listed = await ask_json(self._dial, "/services")
        except WherryError as error:
            if error.problem.code is not ProblemCode.ENGINE_ERROR:
                raise
            listed = None  # this node is in no swarm
        self._services = self._reader.services(listed) if isinstance(listed, list) else ()

    async def _read_container(self, name: str) -> tuple[Published, ...]:
        """Look at one container again, by its name or id, and publish what it has; returns that."""
        inspected = await ask_json(self._dial, f"/containers/{name}/json")
        key = str(inspected.get("Id")) if isinstance(inspected, dict) else name
        published = self._reader.given(inspected) if isinstance(inspected, dict) else ()
        if published:
            self._given[key] = published
        else:
            self._given.pop(key, None)
        if _runs_on_host_network(inspected):
            self._host_network[key] = str(inspected.get("Name") or "").removeprefix("/")
        else:
            self._host_network.pop(key, None)
        self._want_listeners(bool(self._host_network))
        await self._apply()
        return published

    def _started(self, name: str) -> None:
        for key in [key for key, asked in self._asked.items() if asked.name == name]:
            del self._asked[key]

    # -- making it so ---------------------------------------------------------------------------------------------
    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            overdue = [key for key, one in self._asked.items() if time.monotonic() - one.since > _START_S]
            for key in overdue:
                del self._asked[key]
            if overdue or self._failed:
                await self._apply()

    async def _apply(self) -> None:
        async with self._applying:
            wanted = {one.forward: one for one in self.published()}
            opened = self._forwarder.opened
            # Companions lead through the others: they come last, and go first.
            for forward in sorted(opened - wanted.keys(), key=_is_ipv4):
                await self._try(self._forwarder.close(forward), forward, None)
            for forward in self._failed.keys() - wanted.keys():
                del self._failed[forward]
            missing = [wanted[each] for each in wanted.keys() - opened]
            for one in sorted(missing, key=lambda each: each.is_companion):
                if not one.is_companion or not self._is_in_vain(one.forward):
                    await self._try(self._forwarder.open(one.forward), one.forward, one)
            with contextlib.suppress(WherryError):  # whatever that is, the next step meets it too
                await self._forwarder.deepen()

    def _is_in_vain(self, companion: Forward) -> bool:
        """Whether the forward that it accompanies failed: half of "localhost" would be another program's."""
        return any(
            (each.protocol, each.host_port) == (companion.protocol, companion.host_port) for each in self._failed
        )

    async def _try(self, work: Coroutine[Any, Any, None], forward: Forward, one: Published | None) -> None:
        try:
            await work
        except WherryError as error:
            is_new = forward not in self._failed
            self._failed[forward] = error.problem
            _log.log(logging.WARNING if is_new else logging.DEBUG, "%s: %s", forward.address, error.problem.summary)
            is_told = error.problem.code in (ProblemCode.PORT_TAKEN, ProblemCode.PORT_REFUSED)
            if is_told and one is not None and is_new and not one.is_companion and one.owner_id not in self._asked:
                text = f"{one.owner_name}: {error.problem.summary} It is published as soon as it can be."
                self._notify(Notice(level="warning", text=text))
        else:
            self._failed.pop(forward, None)

    def _problem_of(self, published: tuple[Published, ...]) -> Problem | None:
        for one in published:
            if not one.is_companion and (problem := self._failed.get(one.forward)) is not None:
                return problem
        return None


def _is_ipv4(forward: Forward) -> bool:
    return ":" not in forward.host_ip


def _runs_on_host_network(inspected: Any) -> bool:
    state = inspected.get("State") if isinstance(inspected, dict) else None
    return isinstance(state, dict) and bool(state.get("Running")) and uses_host_network([inspected])


def _is_named(key: str, published: tuple[Published, ...], name: str) -> bool:
    plain = name.removeprefix("/")
    return (len(plain) >= 1 and key.startswith(plain)) or any(one.owner_name == plain for one in published)
