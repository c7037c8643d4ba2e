"""Keeps the ports published on the host equal to those that the engine has published in the guest.

The wanted ports come from the engine's containers and services (`EngineState`). They are read again after an event, and
all of them whenever the engine starts or a read failed. The open ports are those of QEMU and the relays, which the
`Reconciler` makes equal to the wanted ones. There is no other state, so a new agent, or a restarted machine, begins by
reading both.

A container start through the API front waits twice: before it, single ports are opened, so that a port in use by
another program fails the start; after it, ports that the engine chose are opened before the client gets its answer.
When such a port is not free on the host, the container is restarted and gets the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from backend.addresses import Forward
from backend.engine.ask import ask, ask_json, follow
from backend.engine.engine_json import refusal
from backend.errors import Problem, WherryError
from backend.json_reader import JsonObject
from backend.model import Notice
from backend.net.ports.bindings import Published, Reader
from backend.net.ports.engine_state import EngineState
from backend.net.ports.forwarder import Forwarder
from backend.net.ports.gateways import Gateways
from backend.net.ports.host_network import GuestListener
from backend.net.ports.reconciler import Reconciler
from backend.stream import Dial

_log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0
_RECONNECT_S: Final = 0.5
_ELSEWHERE: Final = 10
"""How often a container is restarted to get other ports."""
_ANSWER_S: Final = 30.0
_FOLLOWED: Final = {
    "container": ("start", "die", "destroy", "rename"),
    "service": ("create", "update", "remove"),
    "network": ("connect", "disconnect"),  # these move the published ports of a running container
}
_EVENTS: Final = "/events?filters=" + quote(
    json.dumps({"type": list(_FOLLOWED), "event": [action for actions in _FOLLOWED.values() for action in actions]})
)

_GONE: Final = (404, 409)
"""Answers to the removal of a container that is removed already, or is being removed."""
_START_S: Final = 120.0
"""After this time a pending start is dropped: its client has disconnected."""


@dataclass(frozen=True, slots=True)
class _PendingStart:
    published: tuple[Published, ...]
    name: str
    since: float


class Publisher:
    """Publishes the engine's ports on the host. One per agent."""

    def __init__(
        self,
        dial: Dial,
        forwarder: Forwarder,
        *,
        reader: Callable[[], Reader],
        notify: Callable[[Notice], None],
        show: Callable[[tuple[Problem, ...]], None] = lambda _problems: None,
        gateways: Gateways | None = None,
        want_listeners: Callable[[bool], None] = lambda _is_wanted: None,
    ) -> None:
        """Nothing is published yet.

        Args:
            dial: opens a stream to the engine; does not wake the machine. Raises WherryError.
            forwarder: opens the forwards.
            reader: creates the reader of the engine's answers from the current settings. Called here, and in a thread
                whenever the engine starts.
            notify: receives failures that no client waits for.
            show: receives the current problems of running containers, whenever they change.
            gateways: publishes the ports for containers, too.
            want_listeners: receives whether a container with the host's network runs; then `hear` has to be called.
        """
        self._dial = dial
        self._gateways = gateways
        self._state = EngineState(dial, reader, want_listeners)
        self._asked: dict[str, _PendingStart] = {}
        """Ports of containers that are about to start, by container id."""
        self._reading = asyncio.Lock()
        self._is_adopted = False
        self._restored = asyncio.Event()
        self._reconciler = Reconciler(
            forwarder, self.published, is_awaited=self._asked.__contains__, notify=notify, show=show
        )

    # -- life cycle -----------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Follow the engine's events, and retry failed ports, until cancelled."""
        retrying = asyncio.create_task(self._keep_trying(), name="ports that failed")
        try:
            while True:
                await self._restored.wait()
                try:
                    await self._follow()
                except (WherryError, ConnectionError, TimeoutError) as error:
                    _log.info("the engine's event stream ended: %s", error)
                except Exception:  # noqa: BLE001 -- logged; then reconnected
                    _log.exception("internal error while reading the engine's events")
                await asyncio.sleep(_RECONNECT_S)
        finally:
            retrying.cancel()
            await asyncio.wait({retrying}, timeout=2)
            await self._reconciler.aclose()

    async def restore(self, *, timeout_s: float) -> None:
        """Publish all ports after the engine has started. Does not raise: failures are retried."""
        self._is_adopted = False
        if self._gateways is not None:
            self._gateways.forget()
        try:
            async with asyncio.timeout(timeout_s):
                await self._state.read_settings()
                await self._read_all()
        except (WherryError, TimeoutError) as error:
            _log.warning("not all ports could be published: %s", error)
        except Exception:  # noqa: BLE001 -- logged; it is tried again
            _log.exception("internal error while publishing ports")
        self._restored.set()

    async def restored(self, *, timeout_s: float) -> None:
        """Wait until ports of running containers are published again, or the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._restored.wait()

    async def forget(self) -> None:
        """Forget everything: the machine has stopped."""
        self._restored.clear()
        self._asked.clear()
        self._state.forget()
        self._is_adopted = False
        if self._gateways is not None:
            self._gateways.forget()
        await self._reconciler.forget()

    # -- called by the API front ----------------------------------------------------------------------------------
    async def prepare_start(self, name: str, dial: Dial) -> Problem | None:
        """Open the ports that a container requests, before it starts. Returns a Problem when one is not available.

        Args:
            name: name or id of the container, as given by the client.
            dial: opens a stream to the engine, and may wake the machine. Raises WherryError.
        """
        answer = await ask_json(dial, f"/containers/{name}/json")
        if answer is None:
            return None  # the engine reports the missing container
        inspected = answer.object()
        requested = self._state.asked(inspected)
        self._asked[inspected.text("Id")] = _PendingStart(requested, name, time.monotonic())
        if not requested:
            return None
        try:
            await self._reconciler.apply()
        except BaseException:
            self._end_start(name)
            raise
        problem = self._reconciler.first_problem(requested)
        if problem is not None:
            await self.give_up_start(name)
        return problem

    async def give_up_start(self, name: str) -> None:
        """Close the ports of a container whose start failed."""
        self._end_start(name)
        await self._reconciler.apply()

    async def finish_start(self, name: str) -> Problem | None:
        """Open the ports that a started container was given. If that fails, stop it and return the Problem."""
        try:
            return await self._settle(name)
        finally:
            self._end_start(name)

    async def leave_refused(self, name: str, dial: Dial) -> None:
        """Do what the engine does by itself after a start that failed: a container run with --rm is removed.

        Called when the engine never got the request. Clients wait for that removal, with no deadline. Does not raise.

        Args:
            name: name or id of the container, as given by the client.
            dial: opens a stream to the engine. Raises WherryError.
        """
        try:
            answer = await ask_json(dial, f"/containers/{name}/json")
            if answer is None or not answer.object().object("HostConfig").flag("AutoRemove"):
                return
            # By its id, for somebody else may have the name by now. Not by force: one that runs stays.
            key = answer.object().required_text("Id")
            status, body = await ask(dial, "DELETE", f"/containers/{key}?v=1")
            if status >= 400 and status not in _GONE:
                _log.warning("the container %s was not removed after its start: %s", key[:12], refusal(body))
        except WherryError as error:
            _log.warning("the container %s was not removed after its start: %s", name, error.problem.summary)

    async def end_unpublished(self, name: str) -> None:
        """Stop a container whose client is told that it didn't start. Raises WherryError."""
        await ask(self._dial, "POST", f"/containers/{name}/stop?t=0")
        await self._read_container(name)

    async def _settle(self, name: str) -> Problem | None:
        for attempts_left in reversed(range(_ELSEWHERE)):
            published = await self._read_container(name)
            failing = [one for one in published if self._reconciler.is_failing(one)]
            if not failing:
                return None
            if not attempts_left or not all(one.is_chosen for one in failing):
                break
            _log.info("%s: %s; started again for other ports", name, [one.forward.address for one in failing])
            # A restart, because stopping removes a container that was run with --rm.
            await ask(self._dial, "POST", f"/containers/{name}/restart?t=0")
        problem = self._reconciler.first_problem(published)
        with contextlib.suppress(WherryError):
            await self.end_unpublished(name)
        return problem

    async def release(self, name: str) -> None:
        """Close the ports of a container that was stopped or removed. Raises WherryError."""
        for key in self._state.named(name):
            await self._read_container(key)

    async def read_services(self) -> None:
        """Publish the ports of services. Raises WherryError."""
        await self._state.refresh_services()
        await self._reconciler.apply()

    async def hear(self, listeners: frozenset[GuestListener]) -> None:
        """Publish the ports that containers with the host's network listen on."""
        self._state.listeners = listeners
        await self._reconciler.apply()

    def problem_of(self, one: Published) -> Problem | None:
        """Why one of `published` is not open; None when it is open or still opening."""
        return self._reconciler.problem_of(one)

    def published(self) -> tuple[Published, ...]:
        """All wanted ports: each forward once, and each address once for each container."""
        asked = (one for asked in self._asked.values() for one in asked.published)
        chosen: dict[tuple[str, str], Published] = {}
        for one in itertools.chain(self._state.of_containers(), asked, self._state.of_others()):
            address = (one.owner_id, one.forward.address)
            if address not in chosen or (chosen[address].is_companion and not one.is_companion):
                chosen[address] = one
        by_forward: dict[Forward, Published] = {}
        for one in chosen.values():
            by_forward.setdefault(one.forward, one)
        return tuple(by_forward.values())

    # -- the engine's state ---------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        async with follow(self._dial, _EVENTS, timeout_s=_ANSWER_S) as events:
            # Only now, so that changes during and after the read are among the events.
            await self._read_all()
            async for event in events:
                await self._on_event(event)

    async def _on_event(self, event: JsonObject) -> None:
        kind, action, actor = event.text("Type"), event.text("Action"), event.object("Actor")
        key = actor.object("Attributes").text("container") if kind == "network" else actor.text("ID")
        try:
            if kind == "service":
                await self.read_services()
            elif key and action in _FOLLOWED.get(kind, ()):
                if action == "destroy":
                    self._asked.pop(key, None)  # its client has disconnected
                await self._read_container(key)
        except WherryError as error:
            _log.info("after %s of %s: %s", action, key, error.problem.summary)

    async def _read_all(self) -> None:
        """Read the whole state and publish it. Raises WherryError."""
        async with self._reading:
            await self._state.refresh_all()
            if not self._is_adopted:
                await self._reconciler.adopt()
                self._is_adopted = True
        await self._reconciler.apply()
        await self._open_gateways()

    async def _read_container(self, name: str) -> tuple[Published, ...]:
        """Read one container by its name or id and publish its ports. Returns them. Raises WherryError."""
        key = await self._state.refresh_container(name)
        await asyncio.gather(self._reconciler.apply(), self._open_gateways())
        return self._state.given(key)

    async def _open_gateways(self) -> None:
        if self._gateways is not None:
            await self._gateways.update(self._state.places)

    def _end_start(self, name: str) -> None:
        """Forget a pending start; ports opened only for it are closed soon."""
        ended = [key for key, start in self._asked.items() if start.name == name]
        opened = [one for key in ended for one in self._asked.pop(key).published]
        if opened:
            self._reconciler.apply_soon()

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_S)
            if not self._restored.is_set():
                continue
            try:
                for one in tuple(self._asked.values()):
                    if time.monotonic() - one.since > _START_S:
                        self._end_start(one.name)
                if self._state.is_stale or not self._is_adopted:
                    await self._read_all()
                await self._reconciler.retry()
                if self._gateways is not None:
                    await self._gateways.update(self._state.places, unhurried=True)
            except WherryError as error:
                _log.info("the state of the engine could not be read, retrying: %s", error.problem.summary)
            except Exception:  # noqa: BLE001 -- logged; it is tried again
                _log.exception("internal error while retrying ports")
