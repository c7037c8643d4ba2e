"""Makes what is open on the host equal to what is wanted, and tells what cannot be had.

One pass at a time, and each to its end, whoever asked for it: a client that hangs up in the midst of one must not leave
a forward in QEMU that nobody knows of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from backend.addresses import Forward, Origin, Protocol
from backend.errors import Problem, ProblemCode, WherryError
from backend.model import Notice
from backend.net.ports import bind_errors
from backend.net.ports.bindings import Published
from backend.net.ports.forwarder import Forwarder

_log = logging.getLogger(__name__)

_FRESH_EVERY: Final = 12
"""Retries, after which it is looked anew who has a port that is still taken. That takes the system a while, for which
every start would wait."""
_TOLD: Final = (ProblemCode.PORT_TAKEN, ProblemCode.PORT_REFUSED)
_STANDING: Final = (Origin.CONTAINER, Origin.SERVICE)
"""What somebody asked to be published; a container with the host's network listens on much that nobody wants."""


class Reconciler:
    """Of one machine."""

    def __init__(
        self,
        forwarder: Forwarder,
        wanted: Callable[[], tuple[Published, ...]],
        *,
        is_awaited: Callable[[str], bool],
        notify: Callable[[Notice], None],
        show: Callable[[tuple[Problem, ...]], None],
    ) -> None:
        """Make one that has done nothing yet.

        Args:
            forwarder: makes the forwards.
            wanted: all that is to be open, each forward once.
            is_awaited: whether a client waits for the start of a container, by its id: it is told what fails.
            notify: told of what fails with no client to tell.
            show: given what stands in the way of containers that run, each time that it is different.
        """
        self._forwarder = forwarder
        self._wanted = wanted
        self._is_awaited = is_awaited
        self._notify = notify
        self._show = show
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Task[None] | None = None
        """A pass that has not begun: whoever asks for one meanwhile has a share in it."""
        self._failed: dict[Forward, Problem] = {}
        self._is_uncertain = False
        """Whether QEMU owes us an answer, and may have done what it was asked."""
        self._retries = 0
        self._looks_anew = False
        """Whether the next pass is to find out who has what is still taken."""
        self._shown: dict[str, Problem] = {}
        """What stands, by the id of whose ports these are."""

    @property
    def failed(self) -> Mapping[Forward, Problem]:
        """What is not open, and why."""
        return self._failed

    def problem_of(self, one: Published) -> Problem | None:
        """Why it is not open; a companion is not, either, where that fails which it accompanies."""
        problem = self._failed.get(one.forward)
        if problem is None and one.accompanies is not None:
            problem = self._failed.get(one.accompanies)
        return problem

    def first_problem(self, published: Iterable[Published]) -> Problem | None:
        """Why the first of them that matters is not open."""
        return next((self._failed[one.forward] for one in published if self.is_failing(one)), None)

    def is_failing(self, one: Published) -> bool:
        """Whether it is not open, and somebody would miss it."""
        return one.forward in self._failed and not one.is_companion

    def apply_soon(self) -> asyncio.Task[None]:
        """Begin a pass, as soon as the one under way is over."""
        if self._waiting is None:
            self._waiting = self._begin(self._pass)
        return self._waiting

    async def apply(self) -> None:
        """Return when what is wanted now is open, or failed. The pass goes on if the caller is cancelled."""
        await asyncio.shield(self.apply_soon())

    async def adopt(self) -> None:
        """Learn what QEMU has open, keep what is wanted of it and close the rest. Raises WherryError."""
        await asyncio.shield(self._begin(lambda: self._adopt([one.forward for one in self._wanted()])))

    async def retry(self) -> None:
        """Try again what failed, where that may help now."""
        self._retries += 1
        self._looks_anew = bool(self._failed) and self._retries % _FRESH_EVERY == 0
        if self._looks_anew or self._is_uncertain or any(map(self._may_open, self._failed)):
            await self.apply()

    async def forget(self) -> None:
        """QEMU is gone."""
        await asyncio.shield(self._begin(self._drop))

    async def aclose(self) -> None:
        """Leave QEMU as it is, and close what is ours."""
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
            _log.error("ports could not be published by a defect", exc_info=error)

    async def _adopt(self, wanted: Iterable[Forward]) -> None:
        await self._forwarder.adopt(wanted)
        self._is_uncertain = False

    async def _drop(self) -> None:
        self._failed.clear()
        self._is_uncertain = False
        self._tell()
        await self._forwarder.drop()

    async def _pass(self) -> None:
        self._waiting = None
        wanted = {one.forward: one for one in self._wanted()}
        for forward in self._failed.keys() - wanted.keys():
            del self._failed[forward]
        try:
            await self._make_equal(wanted)
        except WherryError as error:  # QEMU's monitor: the rest would only wait for it, one after the other
            self._is_uncertain = True
            _log.warning("ports are not as they are wanted: %s", error.problem.summary)
            for one in wanted.values():
                if one.forward not in self._forwarder.opened:
                    self._failed[one.forward] = error.problem
        for forward in self._failed.keys() & self._forwarder.opened:
            del self._failed[forward]
        self._tell()

    async def _make_equal(self, wanted: Mapping[Forward, Published]) -> None:
        """Close what is not wanted and open what is. Raises WherryError when QEMU does not do its part."""
        looks_anew, self._looks_anew = self._looks_anew, False
        if self._is_uncertain:
            await self._adopt(wanted)
        # Companions lead through the others: they come last, and go first.
        for forward in sorted(self._forwarder.opened - wanted.keys(), key=_is_ipv4):
            await self._forwarder.close(forward)
        there: dict[tuple[Protocol, int], list[Published]] = {}
        for forward in self._forwarder.opened:
            there.setdefault((forward.protocol, forward.host_port), []).append(wanted[forward])
        missing = [one for one in wanted.values() if one.forward not in self._forwarder.opened]
        for one in sorted(missing, key=lambda each: each.is_companion):
            if one.accompanies in self._failed:
                continue  # half of "localhost" would be another program's
            if not looks_anew and not self._may_open(one.forward):
                continue
            beside = there.setdefault((one.forward.protocol, one.forward.host_port), [])
            if await self._open(one, beside):
                beside.append(one)
        await self._forwarder.deepen()

    def _may_open(self, forward: Forward) -> bool:
        """Whether to try it is worth while: it has not failed, or what was in the way seems to be gone. Quick."""
        problem = self._failed.get(forward)
        return problem is None or problem.code not in _TOLD or bind_errors.can_be_bound(forward)

    async def _open(self, one: Published, beside: Iterable[Published]) -> bool:
        """Open it, and return whether that succeeded.

        Args:
            beside: what is open at the same port, of other addresses or for others.

        Raises:
            WherryError: it was not found out.
        """
        try:
            if (other := next((each for each in beside if each.forward.meets(one.forward)), None)) is not None:
                raise WherryError(_published_already(one.forward, other))  # by QEMU or us: the user must not end those
            await self._forwarder.open(one.forward)
        except WherryError as error:
            if error.problem.code not in _TOLD:
                raise
            is_new = one.forward not in self._failed
            self._failed[one.forward] = error.problem
            level = logging.WARNING if is_new else logging.DEBUG
            _log.log(level, "%s: %s", one.forward.address, error.problem.summary)
            if is_new and one.origin not in _STANDING and not one.is_companion:
                text = f"{one.owner_name}: {error.problem.summary} It is published as soon as it can be."
                self._notify(Notice(level="warning", text=text))
            return False
        self._failed.pop(one.forward, None)
        return True

    def _tell(self) -> None:
        """Show what stands, and say once what is new or over."""
        wanted = self._wanted() if self._failed or self._shown else ()
        failing: dict[str, list[Published]] = {}
        for one in wanted:
            if self._stands(one):
                failing.setdefault(one.owner_id, []).append(one)
        before = self._shown
        self._shown = {key: _standing(ports, self._failed[ports[0].forward]) for key, ports in failing.items()}
        if self._shown != before:
            self._show(tuple(self._shown.values()))
        for key, problem in self._shown.items():
            if key not in before:
                self._notify(Notice(level="warning", text=problem.summary))
        for key in {one.owner_id for one in wanted} & (before.keys() - self._shown.keys()):
            self._notify(Notice(level="info", text=f"This is over: {before[key].summary}"))

    def _stands(self, one: Published) -> bool:
        """Whether it is to be told of for as long as it fails. A client that waits is told by the engine's answer."""
        problem = self._failed.get(one.forward)
        if problem is None or problem.code not in _TOLD or one.is_companion or one.origin not in _STANDING:
            return False
        return one.owner_id in self._shown or not self._is_awaited(one.owner_id)


def _published_already(forward: Forward, other: Published) -> Problem:
    kind = "service" if other.origin is Origin.SERVICE else "container"
    return Problem(
        code=ProblemCode.PORT_TAKEN,
        summary=f"Port {forward.host_port} on {forward.host_ip} is published by the {kind} "
        f"{other.owner_name or other.owner_id[:12]} already, at {other.forward.address}.",
        hint=f"Stop that {kind}, or publish another port.",
        retryable=True,
    )


def _standing(failing: list[Published], problem: Problem) -> Problem:
    """What is told for as long as a container lacks these ports, the first of them for this reason."""
    first = failing[0]
    more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
    return Problem(
        code=problem.code,
        summary=f"{first.owner_name or first.owner_id[:12]} is not published at {first.forward.address}{more}: "
        f"{problem.summary}",
        hint=f"{problem.hint or ''} It is published as soon as it can be.".strip(),
        retryable=True,
    )


def _is_ipv4(forward: Forward) -> bool:
    return ":" not in forward.host_ip
