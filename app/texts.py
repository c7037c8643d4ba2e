"""Translated texts of the window: the translation functions, and names for the backend's enums.

A text is English where it is written and is translated by the backend's catalogues: `_("Stop")`,
`_("{count} of {total}", count=1, total=2)`, `ngettext("{count} port", "{count} ports", 3)`. A text that is
defined before it is shown, in a table for example, is a `message("Stop")`, which `say` translates.
"""

from __future__ import annotations

from typing import Final

from backend.api import (
    LANGUAGES,
    ContainerAction,
    ContainerState,
    Health,
    Message,
    Phase,
    ProblemCode,
    StepState,
    _,
    choose_language,
    count_message,
    message,
    message_in,
    ngettext,
    npgettext,
    pgettext,
    problem_text,
    say,
    sentences,
    verbatim,
)

__all__ = [
    "LANGUAGES",
    "Message",
    "_",
    "action",
    "action_pending",
    "choose_language",
    "container_state",
    "count_message",
    "health",
    "message",
    "message_in",
    "ngettext",
    "npgettext",
    "pgettext",
    "phase",
    "problem_text",
    "problem_title",
    "say",
    "seconds",
    "sentences",
    "step_state",
    "verbatim",
]

_PHASES: Final = {
    Phase.SUSPENDED: message("Suspended"),
    Phase.STOPPED: message_in("machine", "Stopped"),
    Phase.PREPARING: message("Preparing"),
    Phase.BOOTING: message("Starting"),
    Phase.CONNECTING: message("Starting"),
    Phase.RUNNING: message("Running"),
    Phase.DEGRADED: message("Running with problems"),
    Phase.STOPPING: message("Stopping"),
    Phase.FAILED: message("Failed to start"),
}
_STEP_STATES: Final = {
    StepState.PENDING: message("Not started"),
    StepState.ACTIVE: message("In progress"),
    StepState.DONE: message("Done"),
    StepState.FAILED: message("Failed"),
}
_CONTAINER_STATES: Final = {
    ContainerState.CREATED: message("Created"),
    ContainerState.RUNNING: message("Running"),
    ContainerState.PAUSED: message("Paused"),
    ContainerState.RESTARTING: message("Restarting"),
    ContainerState.REMOVING: message("Removing"),
    ContainerState.EXITED: message_in("container", "Stopped"),
    ContainerState.DEAD: message("Dead"),
    ContainerState.UNKNOWN: message("Unknown"),
}
_HEALTH: Final = {
    Health.STARTING: message("starting health check"),
    Health.HEALTHY: message("healthy"),
    Health.UNHEALTHY: message("unhealthy"),
}
_ACTIONS: Final = {
    ContainerAction.START: message("Start"),
    ContainerAction.STOP: message("Stop"),
    ContainerAction.RESTART: message("Restart"),
    ContainerAction.PAUSE: message("Pause"),
    ContainerAction.UNPAUSE: message("Resume"),
    ContainerAction.KILL: message("Kill"),
    ContainerAction.REMOVE: message("Remove"),
    ContainerAction.REMOVE_WITH_VOLUMES: message("Remove with volumes"),
}
_PENDING: Final = {
    ContainerAction.START: message("Starting…"),
    ContainerAction.STOP: message("Stopping…"),
    ContainerAction.RESTART: message("Restarting…"),
    ContainerAction.PAUSE: message("Pausing…"),
    ContainerAction.UNPAUSE: message("Resuming…"),
    ContainerAction.KILL: message("Killing…"),
    ContainerAction.REMOVE: message("Removing…"),
    ContainerAction.REMOVE_WITH_VOLUMES: message("Removing…"),
}
_PROBLEMS: Final = {
    ProblemCode.QEMU_MISSING: message("QEMU is missing"),
    ProblemCode.QEMU_TOO_OLD: message("QEMU is too old"),
    ProblemCode.QEMU_UNUSABLE: message("QEMU doesn't work on this computer"),
    ProblemCode.TOOL_MISSING: message("A program is missing"),
    ProblemCode.HOST_DISK_FULL: message("This computer's disk is full"),
    ProblemCode.PATH_UNUSABLE: message("A folder can't be used"),
    ProblemCode.IMAGE_MISSING: message("The machine image is missing"),
    ProblemCode.IMAGE_DAMAGED: message("The machine image is damaged"),
    ProblemCode.CONFIG_BROKEN: message("The settings can't be read"),
    ProblemCode.CONFIG_TOO_NEW: message("The settings come from a newer version"),
    ProblemCode.DISK_LOCKED: message("The machine's disk is in use"),
    ProblemCode.DISK_DAMAGED: message("The machine's disk is damaged"),
    ProblemCode.DATA_DISK_FULL: message("The machine's disk is almost full"),
    ProblemCode.NO_ACCELERATOR: message("Can't run a virtual machine on this computer"),
    ProblemCode.BOOT_FAILED: message("The machine didn't boot"),
    ProblemCode.KERNEL_PANIC: message("The machine's kernel crashed"),
    ProblemCode.STEP_TIMED_OUT: message("Starting took too long"),
    ProblemCode.MACHINE_DIED: message("The machine stopped unexpectedly"),
    ProblemCode.NOT_OURS: message("Another machine answered"),
    ProblemCode.SSH_FAILED: message("Couldn't connect to the machine"),
    ProblemCode.GUEST_FAULT: message("The machine reports a problem"),
    ProblemCode.ENGINE_DOWN: message("The Docker engine isn't responding"),
    ProblemCode.ENGINE_SLOW: message("The Docker engine is slow to respond"),
    ProblemCode.ENGINE_ERROR: message("The Docker engine reported an error"),
    ProblemCode.ENDPOINT_TAKEN: message("The Docker endpoint is in use"),
    ProblemCode.CONTEXT_FAILED: message("Couldn't set up the docker context"),
    ProblemCode.MACHINE_STOPPED: message("The machine is stopped"),
    ProblemCode.AGENT_UNREACHABLE: message("The machine's agent isn't responding"),
    ProblemCode.AGENT_TOO_OLD: message("The machine's agent is a different version"),
    ProblemCode.BAD_REQUEST: message("Invalid request"),
    ProblemCode.WRONG_PHASE: message("Not available now"),
    ProblemCode.CANCELLED: message("Canceled"),
    ProblemCode.INTERNAL: message("Internal error"),
    ProblemCode.SUSPEND_FAILED: message("Couldn't suspend the machine"),
    ProblemCode.GUEST_HUNG: message("The machine isn't responding"),
    ProblemCode.MEMORY_LOW: message("The machine is low on memory"),
    ProblemCode.UPDATE_FAILED: message("Update failed"),
    ProblemCode.CHECKPOINT_FAILED: message("Checkpoint failed"),
    ProblemCode.BUSY: message("The machine is busy"),
    ProblemCode.PORT_TAKEN: message("A port is in use by another program"),
    ProblemCode.PORT_REFUSED: message("A port can't be used"),
    ProblemCode.SUBNET_CLASH: message("The machine's network conflicts with another network"),
    ProblemCode.NETWORK_FAILED: message("Network problem"),
}


def phase(value: Phase | None) -> str:
    """Name of a phase, such as "Running". None means that the machine's state is not known yet."""
    return say(_PHASES[value]) if value else _("Connecting")


def problem_title(code: ProblemCode) -> str:
    """The title shown above problems with this code."""
    return say(_PROBLEMS[code])


def step_state(value: StepState) -> str:
    """Name of a step's state, such as "Done"."""
    return say(_STEP_STATES[value])


def container_state(value: ContainerState) -> str:
    """Name of a container's state, such as "Running"."""
    return say(_CONTAINER_STATES[value])


def health(value: Health) -> str:
    """Name of a health check's result, such as "healthy"; empty without a health check."""
    return say(_HEALTH[value]) if value in _HEALTH else ""


def action(value: ContainerAction) -> str:
    """The label of an action: "Stop"."""
    return say(_ACTIONS[value])


def action_pending(value: ContainerAction) -> str:
    """The label of an action in progress: "Stopping…"."""
    return say(_PENDING[value])


def seconds(value: float) -> str:
    """A duration: "4.2 s", "1 min 12 s"."""
    if value < 10:
        return _("{value:.1f} s", value=value)
    if value < 60:
        return _("{value:.0f} s", value=value)
    return _("{minutes} min {seconds} s", minutes=int(value // 60), seconds=int(value % 60))
