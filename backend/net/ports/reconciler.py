"""Opens and closes ports until those open on the host equal the wanted ones, and reports failures.

One pass runs at a time, and always to its end, even when its caller is cancelled: a client that disconnects in between
must not leave a forward in QEMU that is not tracked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from backend.addresses import Forward, Origin, Protocol
from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import message, sentences
from backend.model import Notice
from backend.net.ports import bind_errors
from backend.net.ports.bindings import Published
from backend.net.ports.forwarder import Forwarder

_log = logging.getLogger(__name__)

_FRESH_EVERY: Final = 12
"""Number of retries after which the holder of a port in use is searched again. That takes the system a while, and every
start would have to wait for it."""
_LATER: Final = message("Wherry publishes it as soon as possible.")
_REPORTED: Final = (ProblemCode.PORT_TAKEN, ProblemCode.PORT_REFUSED)
_SHOWN_ORIGINS: Final = (Origin.CONTAINER, Origin.SERVICE)
"""Origins whose failures are shown: the user asked for these ports. A container with the host's network also listens on
many that nobody needs."""


class Reconciler:
    """Reconciles the ports of one machine."""

    def __init__(
        self,
        forwarder: Forwarder,
        wanted: Callable[[], tuple[Published, ...]],
        *,
        is_awaited: Callable[[str], bool],
        notify: Callable[[Notice], None],
        show: Callable[[tuple[Problem, ...]], None],
    ) -> None:
        """Nothing is open yet.

        Args:
            forwarder: opens the forwards.
            wanted: gives all wanted ports, each forward once.
            is_awaited: whether a client waits for the start of a container, by its id: it gets the failure as its
                answer.
            notify: receives failures that no client waits for.
            show: receives the current problems of running containers, whenever they change.
        """
        self._forwarder = forwarder
        self._wanted = wanted
        self._is_awaited = is_awaited
        self._notify = notify
        self._show = show
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Task[None] | None = None
        """A pass that has not started yet: further calls share it."""
        self._failed: dict[Forward, Problem] = {}
        self._is_uncertain = False
        """Whether a command to QEMU failed and may have been executed all the same."""
        self._retries = 0
        self._search_holders = False
        """Whether the next pass searches again for holders of ports in use."""
        self._shown: dict[str, Problem] = {}
        """The problems shown, by id of the container or service."""

    @property
    def failed(self) -> Mapping[Forward, Problem]:
        """The ports that are not open, and why."""
        return self._failed

    def problem_of(self, one: Published) -> Problem | None:
        """Why it is not open; a companion also fails when its main forward does."""
        problem = self._failed.get(one.forward)
        if problem is None and one.accompanies is not None:
            problem = self._failed.get(one.accompanies)
        return problem

    def first_problem(self, published: Iterable[Published]) -> Problem | None:
        """The problem of the first port that is failing."""
        return next((self._failed[one.forward] for one in published if self.is_failing(one)), None)

    def is_failing(self, one: Published) -> bool:
        """Whether it is not open, and is not just a companion."""
        return one.forward in self._failed and not one.is_companion

    def apply_soon(self) -> asyncio.Task[None]:
        """Start a pass as soon as the current one has ended."""
        if self._waiting is None:
            self._waiting = self._begin(self._pass)
        return self._waiting

    async def apply(self) -> None:
        """Run a pass: wanted ports are open or have failed afterwards. It continues if the caller is cancelled."""
        await asyncio.shield(self.apply_soon())

    async def adopt(self) -> None:
        """Read which forwards QEMU has; keep the wanted ones and close the others. Raises WherryError."""
        await asyncio.shield(self._begin(lambda: self._adopt([one.forward for one in self._wanted()])))

    async def retry(self) -> None:
        """Try failed ports again, where that may succeed now."""
        self._retries += 1
        self._search_holders = bool(self._failed) and self._retries % _FRESH_EVERY == 0
        if self._search_holders or self._is_uncertain or any(map(self._may_open, self._failed)):
            await self.apply()

    async def forget(self) -> None:
        """Forget everything: QEMU has exited."""
        await asyncio.shield(self._begin(self._drop))

    async def aclose(self) -> None:
        """Close our relays; QEMU is left unchanged."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        await self._forwarder.drop()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        async def alone() -> None:
            async with self._lock:
                await work()

        task = asyncio.create_task(alone(), name="publish ports")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting is task:
            self._waiting = None
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, WherryError):
            _log.error("internal error while publishing ports", exc_info=error)

    async def _adopt(self, wanted: Iterable[Forward]) -> None:
        await self._forwarder.adopt(wanted)
        self._is_uncertain = False

    async def _drop(self) -> None:
        self._failed.clear()
        self._is_uncertain = False
        self._report()
        await self._forwarder.drop()

    async def _pass(self) -> None:
        self._waiting = None
        wanted = {one.forward: one for one in self._wanted()}
        for forward in self._failed.keys() - wanted.keys():
            del self._failed[forward]
        try:
            await self._make_equal(wanted)
        except WherryError as error:  # QEMU's monitor failed: further commands would only wait for it too
            self._is_uncertain = True
            _log.warning("ports could not be updated: %s", error.problem.summary)
            for one in wanted.values():
                if one.forward not in self._forwarder.opened:
                    self._failed[one.forward] = error.problem
        for forward in self._failed.keys() & self._forwarder.opened:
            del self._failed[forward]
        self._report()

    async def _make_equal(self, wanted: Mapping[Forward, Published]) -> None:
        """Close what is not wanted and open what is. Raises WherryError when QEMU fails."""
        search_holders, self._search_holders = self._search_holders, False
        if self._is_uncertain:
            await self._adopt(wanted)
        # Companions use the others as targets: they are opened last and closed first.
        for forward in sorted(self._forwarder.opened - wanted.keys(), key=_is_ipv4):
            await self._forwarder.close(forward)
        open_at: dict[tuple[Protocol, int], list[Published]] = {}
        for forward in self._forwarder.opened:
            open_at.setdefault((forward.protocol, forward.host_port), []).append(wanted[forward])
        missing = [one for one in wanted.values() if one.forward not in self._forwarder.opened]
        for one in sorted(missing, key=lambda each: each.is_companion):
            if one.accompanies in self._failed:
                continue  # the other half of "localhost" belongs to another program
            if not search_holders and not self._may_open(one.forward):
                continue
            beside = open_at.setdefault((one.forward.protocol, one.forward.host_port), [])
            if await self._open(one, beside):
                beside.append(one)
        await self._forwarder.deepen()

    def _may_open(self, forward: Forward) -> bool:
        """Whether to try it: it has not failed yet, or its address seems to be free now. Fast."""
        problem = self._failed.get(forward)
        return problem is None or problem.code not in _REPORTED or bind_errors.can_be_bound(forward)

    async def _open(self, one: Published, beside: Iterable[Published]) -> bool:
        """Open a port. Returns whether that succeeded.

        Args:
            one: the port.
            beside: open ports with the same number, on other addresses or for others.

        Raises:
            WherryError: the result is not known.
        """
        try:
            if (other := next((each for each in beside if each.forward.conflicts_with(one.forward)), None)) is not None:
                raise WherryError(
                    _published_already(one.forward, other)
                )  # it is held by QEMU or us, which the user must not end
            await self._forwarder.open(one.forward)
        except WherryError as error:
            if error.problem.code not in _REPORTED:
                raise
            is_new = one.forward not in self._failed
            self._failed[one.forward] = error.problem
            level = logging.WARNING if is_new else logging.DEBUG
            _log.log(level, "%s: %s", one.forward.address, error.problem.summary)
            if is_new and one.origin not in _SHOWN_ORIGINS and not one.is_companion:
                named = message("{name}: {summary}", name=one.owner_name, summary=error.problem.summary)
                self._notify(Notice(level="warning", text=sentences(named, _LATER)))
            return False
        self._failed.pop(one.forward, None)
        return True

    def _report(self) -> None:
        """Show current problems, and notify once of new and solved ones."""
        wanted = self._wanted() if self._failed or self._shown else ()
        failing: dict[str, list[Published]] = {}
        for one in wanted:
            if self._is_shown(one):
                failing.setdefault(one.owner_id, []).append(one)
        before = self._shown
        self._shown = {key: _problem_shown(ports, self._failed[ports[0].forward]) for key, ports in failing.items()}
        if self._shown != before:
            self._show(tuple(self._shown.values()))
        for key, problem in self._shown.items():
            if key not in before:
                self._notify(Notice(level="warning", text=problem.summary))
        for key in {one.owner_id for one in wanted} & (before.keys() - self._shown.keys()):
            self._notify(Notice(level="info", text=message("Solved: {summary}", summary=before[key].summary)))

    def _is_shown(self, one: Published) -> bool:
        """Whether its failure is shown. While a client waits for the start, the engine's answer reports it instead."""
        problem = self._failed.get(one.forward)
        if problem is None or problem.code not in _REPORTED or one.is_companion or one.origin not in _SHOWN_ORIGINS:
            return False
        return one.owner_id in self._shown or not self._is_awaited(one.owner_id)


def _published_already(forward: Forward, other: Published) -> Problem:
    owner, port = other.owner_name or other.owner_id[:12], f"{forward.host_ip}:{forward.host_port}"
    if other.origin is Origin.SERVICE:
        summary = message(
            "Port {port} is already published by the service {name} at {address}.",
            port=port,
            name=owner,
            address=other.forward.address,
        )
        hint = message("Stop that service, or publish another port.")
    else:
        summary = message(
            "Port {port} is already published by the container {name} at {address}.",
            port=port,
            name=owner,
            address=other.forward.address,
        )
        hint = message("Stop that container, or publish another port.")
    return Problem(code=ProblemCode.PORT_TAKEN, summary=summary, hint=hint, retryable=True)


def _problem_shown(failing: list[Published], problem: Problem) -> Problem:
    """The problem of a container that lacks these ports, with the first one's reason."""
    first = failing[0]
    name, address = first.owner_name or first.owner_id[:12], first.forward.address
    if len(failing) > 1:
        what = message(
            "{name} isn't published at {address} and {count} more.", name=name, address=address, count=len(failing) - 1
        )
    else:
        what = message("{name} isn't published at {address}.", name=name, address=address)
    return Problem(
        code=problem.code,
        summary=sentences(what, problem.summary),
        hint=sentences(problem.hint, _LATER),
        retryable=True,
    )


def _is_ipv4(forward: Forward) -> bool:
    return ":" not in forward.host_ip
