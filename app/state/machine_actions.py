"""Actions that the machine accepts in its current state. Used by the header, the menus, the tray and the palette."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.state.store import AppStore
from app.texts import Message, _, message, say
from backend.api import OperationStatus, Phase


@dataclass(frozen=True, slots=True)
class MachineAction:
    """An action as a button or menu entry shows it; `enabled` is False while an operation runs."""

    name: str
    """ "start", "suspend", "restart" or "stop"."""
    label: str
    sentence: str
    """The label without context: "Suspend the machine"."""
    tip: str
    """Tool tip: what the action does, or why it is not available now."""
    glyph: str
    enabled: bool
    run: Callable[[], None]


class _Offer(NamedTuple):
    name: str
    label: Message
    sentence: Message
    tip: Message
    glyph: str


_START_TIP: Final = message("Start the machine and the Docker engine")
_START: Final = _Offer("start", message("Start"), message("Start the machine"), _START_TIP, "play")
_START_AGAIN: Final = _Offer("start", message("Start again"), message("Start the machine again"), _START_TIP, "play")
_RESUME: Final = _Offer(
    "start", message("Resume"), message("Resume the machine"), message("Resume the suspended machine"), "play"
)
_SUSPEND: Final = _Offer(
    "suspend",
    message("Suspend"),
    message("Suspend the machine"),
    message("Save the machine's memory to disk; containers pick up where they left off"),
    "pause",
)
_RESTART: Final = _Offer(
    "restart", message("Restart"), message("Restart the machine"), message("Stop and start the machine"), "restart"
)
_STOP: Final = _Offer(
    "stop", message("Stop"), message("Stop the machine"), message("Stop all containers, then the machine"), "stop"
)


def operation(store: AppStore) -> OperationStatus | None:
    """The machine's running operation; None if there is none or the agent is not connected."""
    return store.machine.operation if store.machine is not None and store.phase is not None else None


def refusal(store: AppStore) -> str:
    """Why the machine accepts no request now; "" if it does."""
    if store.phase is None:
        return _("Not connected to the machine's agent.")
    under_way = operation(store)
    return _("Not available now: {title}", title=operation_title(under_way)) if under_way is not None else ""


def operation_title(status: OperationStatus) -> str:
    """The operation's title, translated."""
    return say(status.title)


def operation_line(status: OperationStatus) -> str:
    """Title, step and progress: "Moving the disk · Copying · 40%"."""
    parts = [operation_title(status), say(status.step) if status.step is not None else ""]
    if status.fraction is not None:
        parts.append(_("{value}%", value=int(status.fraction * 100)))
    return " · ".join(part for part in parts if part)


def operation_short(status: OperationStatus) -> str:
    """Title and progress only, for narrow places: "Moving the disk · 40%"."""
    share = "" if status.fraction is None else _("{value}%", value=int(status.fraction * 100))
    return " · ".join(part for part in (operation_title(status), share) if part)


def machine_actions(store: AppStore) -> list[MachineAction]:
    """The available actions, the main one first. Empty while the machine's phase is unknown or it is stopping."""
    phase, intents, reason = store.phase, store.intents, refusal(store)

    def offer(what: _Offer, run: Callable[[], None], tip: Message | None = None) -> MachineAction:
        explained = reason or say(tip or what.tip)
        return MachineAction(what.name, say(what.label), say(what.sentence), explained, what.glyph, not reason, run)

    start = intents.start_machine.emit
    stop = offer(_STOP, intents.stop_machine.emit)
    match phase:
        case None | Phase.STOPPING:
            return []
        case Phase.SUSPENDED:
            tip = message("The machine resumes first, so that its containers can stop cleanly")
            return [offer(_RESUME, start), offer(_STOP, intents.stop_machine.emit, tip)]
        case Phase.FAILED:
            return [offer(_START_AGAIN, start)]
        case Phase.STOPPED:
            return [offer(_START, start)]
        case Phase.RUNNING | Phase.DEGRADED:
            return [offer(_SUSPEND, intents.suspend_machine.emit), offer(_RESTART, intents.restart_machine.emit), stop]
        case _:
            return [stop]


def start_label(store: AppStore) -> str:
    """Label of the button that starts the machine: "Start", "Start again" or "Resume"."""
    labels = [action.label for action in machine_actions(store) if action.name == "start"]
    return labels[0] if labels else _("Start")
