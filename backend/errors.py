"""Errors, in the form that both the command line and the window show.

WherryError                 carries a Problem; the only exception raised across modules on purpose ├── WrongPhase
the request is not possible in the machine's present phase └── Cancelled               the user cancelled the request

An exception of a library is converted in the module that imports the library. This module imports nothing of ours but
`messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.messages import Message


class ProblemCode(StrEnum):
    """Stable, searchable names of the problems. A code is never reused for another meaning."""

    # Missing on the host
    QEMU_MISSING = "qemu-missing"
    QEMU_TOO_OLD = "qemu-too-old"
    QEMU_UNUSABLE = "qemu-unusable"
    TOOL_MISSING = "tool-missing"
    HOST_DISK_FULL = "host-disk-full"
    PATH_UNUSABLE = "path-unusable"
    # Files of the machine
    IMAGE_MISSING = "image-missing"
    IMAGE_DAMAGED = "image-damaged"
    CONFIG_BROKEN = "config-broken"
    CONFIG_TOO_NEW = "config-too-new"
    DISK_LOCKED = "disk-locked"
    DISK_DAMAGED = "disk-damaged"
    DATA_DISK_FULL = "data-disk-full"
    # Life cycle of the machine
    NO_ACCELERATOR = "no-accelerator"
    BOOT_FAILED = "boot-failed"
    KERNEL_PANIC = "kernel-panic"
    STEP_TIMED_OUT = "step-timed-out"
    SUSPEND_FAILED = "suspend-failed"
    GUEST_HUNG = "guest-hung"
    MEMORY_LOW = "memory-low"
    UPDATE_FAILED = "update-failed"
    CHECKPOINT_FAILED = "checkpoint-failed"
    BUSY = "busy"
    MACHINE_DIED = "machine-died"
    NOT_OURS = "not-ours"
    SSH_FAILED = "ssh-failed"
    GUEST_FAULT = "guest-fault"
    # The engine and its endpoint
    ENGINE_DOWN = "engine-down"
    ENGINE_SLOW = "engine-slow"
    ENGINE_ERROR = "engine-error"
    ENDPOINT_TAKEN = "endpoint-taken"
    CONTEXT_FAILED = "context-failed"
    MACHINE_STOPPED = "machine-stopped"
    # Ports and networking
    PORT_TAKEN = "port-taken"
    PORT_REFUSED = "port-refused"
    SUBNET_CLASH = "subnet-clash"
    NETWORK_FAILED = "network-failed"
    # Communication between client and agent
    AGENT_UNREACHABLE = "agent-unreachable"
    AGENT_TOO_OLD = "agent-too-old"
    BAD_REQUEST = "bad-request"
    WRONG_PHASE = "wrong-phase"
    CANCELLED = "cancelled"
    # Internal errors
    INTERNAL = "internal"


class Action(StrEnum):
    """What can be done about a problem with one click or one command; the agent takes the request of `request`."""

    START = "start"
    RESTART = "restart"
    FORCE_RESTART = "force-restart"
    RESTART_ENGINE = "restart-engine"
    CONTINUE = "continue"
    RECLAIM = "reclaim"
    DOCTOR = "doctor"

    @property
    def command(self) -> str:
        """The equivalent command on the command line."""
        return _COMMANDS[self]


_COMMANDS: Final = {
    Action.START: "wherry start",
    Action.RESTART: "wherry restart",
    Action.FORCE_RESTART: "wherry restart --kill",
    Action.RESTART_ENGINE: "wherry restart --engine",
    Action.CONTINUE: "wherry start",
    Action.RECLAIM: "wherry reclaim",
    Action.DOCTOR: "wherry doctor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem, with everything that is needed to show it and act on it."""

    code: ProblemCode
    summary: Message
    """One sentence without jargon: what happened."""
    hint: Message | None = None
    """What the user can do about it."""
    command: str | None = None
    """The command that failed, as the user could type it."""
    tail: tuple[str, ...] = ()
    """The last lines of its output, oldest first."""
    retryable: bool = False
    """Whether the same request can succeed without the user changing anything."""
    action: Action | None = None
    """What Wherry can do about it when the user agrees."""

    def as_text(self) -> str:
        """The whole problem in English as plain lines, for logs and files; `texts.problem_text` says it to a person."""
        lines = [str(self.summary)]
        if self.command:
            lines.append(f"  ran: {self.command}")
        lines.extend(f"  | {line}" for line in self.tail)
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
        lines.append(f"  ({self.code.value})")
        return "\n".join(lines)


class WherryError(Exception):
    """Carries the Problem to show. MUST NOT be caught only to be ignored."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem.summary))
        self.problem = problem


class WrongPhase(WherryError):  # noqa: N818 -- it is a state of affairs, named as the reducer names it
    """The request is not possible in the machine's present phase."""


class Cancelled(WherryError):  # noqa: N818 -- likewise
    """The user cancelled the request."""


def fail(
    code: ProblemCode,
    summary: Message,
    *,
    hint: Message | None = None,
    command: str | None = None,
    tail: Sequence[str] = (),
    retryable: bool = False,
    action: Action | None = None,
) -> WherryError:
    """Build the error to raise: ``raise fail(ProblemCode.X, message("..."), hint=message("..."))``."""
    return WherryError(
        Problem(
            code=code, summary=summary, hint=hint, command=command, tail=tuple(tail), retryable=retryable, action=action
        )
    )
