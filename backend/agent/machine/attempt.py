"""A start under way, the end of a machine, and whom the supervisor's effects tell of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from backend.agent.boot.prepare import Preparation
from backend.agent.core.lifecycle import Event
from backend.errors import Problem
from backend.messages import Message, count_message
from backend.model import Notice, Phase
from backend.vm.guest import Stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the effects tell, and whom they ask."""

    post: Callable[[Event], None]
    """Takes an event for the reducer."""
    run: Callable[[], int]
    """The number of the present run."""
    phase: Callable[[], Phase]
    """The present phase."""
    changed: Callable[[], None]
    """Something that the snapshot shows is different."""
    notify: Callable[[Notice], None]
    greeting: Callable[[], str]
    """What a guest is told as soon as its control port is open; "" for nothing."""


class Endpoint(Protocol):
    """What docker clients connect to."""

    async def open(self) -> None:
        """Listen, if not listening yet. Raises WherryError."""
        ...

    async def engine_answers(self) -> None:
        """Prepare what a client expects of an engine. Does not raise."""
        ...


class Found(Enum):
    """What a new agent finds of the machine."""

    NOTHING = "no QEMU runs"
    ADOPTED = "QEMU runs and is ours"
    LOST = "QEMU ran, could not be taken over and was ended"
    STRANGER = "something else answers, and was left alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """The start under way, or the last one."""

    requested_at: float
    """Seconds since the epoch."""
    preparation: Preparation | None = None
    """What it, or the one before, was prepared with; None before the first."""
    failed_before: tuple[Message, ...] = ()
    """Why better accelerators failed in it, for the user."""


@dataclass(slots=True, kw_only=True)
class Ending:
    """What is known in advance of the end of the QEMU that runs."""

    problem: Problem | None = None
    """Why we end it, where nobody asked for that."""
    is_saved: bool = False
    """It was suspended, and is only to be ended."""


def waits_for(stopping: Stopping) -> Message:
    """What a stop waits for."""
    return count_message(
        "Waiting for a container to stop, up to {seconds:g} s.",
        "Waiting for {count} containers to stop, each up to {seconds:g} s.",
        stopping.containers,
        seconds=stopping.seconds,
    )


def killed(stopping: Stopping) -> Message:
    """Which containers did not end in order."""
    return count_message(
        "A container didn't stop in time and was killed. Docker will show its exit code as 255.",
        "{count} containers didn't stop in time and were killed. Docker will show their exit code as 255.",
        stopping.containers,
    )
