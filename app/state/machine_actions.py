"""What can be asked of the machine in its present state, for the header, the menus, the tray and the palette alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.state.store import AppStore
from app.texts import text
from backend.api import OperationStatus, Phase


@dataclass(frozen=True, slots=True)
class MachineAction:
    """One thing that is offered."""

    name: str
    """ "start", "suspend", "restart" or "stop"."""
    words: str
    sentence: str
    """The same where it stands alone: "Suspend the machine"."""
    tip: str
    """What it does, or why it cannot be done now."""
    glyph: str
    enabled: bool
    run: Callable[[], None]


def operation(store: AppStore) -> OperationStatus | None:
    """What is under way with the machine, as far as the agent can be heard."""
    return store.machine.operation if store.machine is not None and store.phase is not None else None


def refusal(store: AppStore) -> str:
    """Why the machine takes no request now; "" if it does."""
    if store.phase is None:
        return text("machine.refusal.unknown")
    under_way = operation(store)
    return text("machine.refusal.busy", title=operation_title(under_way)) if under_way is not None else ""


def operation_title(status: OperationStatus) -> str:
    """What is being done, in the user's language; the agent's own words for what this window does not know."""
    return text_or(f"operation.{status.name}", status.title)


def operation_line(status: OperationStatus) -> str:
    """The title and the step: "Moving the disk · Copying · 40 %"."""
    parts = [operation_title(status), status.step]
    if status.fraction is not None:
        parts.append(text("figure.percent", value=int(status.fraction * 100)))
    return " · ".join(part for part in parts if part)


def operation_short(status: OperationStatus) -> str:
    """The title and how far it is, where there is little room."""
    share = "" if status.fraction is None else text("figure.percent", value=int(status.fraction * 100))
    return " · ".join(part for part in (operation_title(status), share) if part)


def text_or(key: str, otherwise: str) -> str:
    """The words for a key that may not be there."""
    try:
        return text(key)
    except KeyError:
        return otherwise


def machine_actions(store: AppStore) -> list[MachineAction]:
    """What is offered now, the first thing first. Empty while nothing is known of the machine."""
    phase, intents, reason = store.phase, store.intents, refusal(store)

    def offer(name: str, words: str, glyph: str, run: Callable[[], None], tip: str = "") -> MachineAction:
        sentence = text(f"search.{words}")
        tip = reason or text(tip or f"{words}.tip")
        return MachineAction(name, text(words), sentence, tip, glyph, not reason, run)

    suspend = offer("suspend", "machine.suspend", "pause", intents.suspend_machine.emit)
    restart = offer("restart", "machine.restart", "restart", intents.restart_machine.emit)
    stop = offer("stop", "machine.stop", "stop", intents.stop_machine.emit)
    match phase:
        case None | Phase.STOPPING:
            return []
        case Phase.SUSPENDED:
            close = offer("stop", "machine.stop", "stop", intents.stop_machine.emit, "machine.stop.suspended.tip")
            return [offer("start", "machine.resume", "play", intents.start_machine.emit), close]
        case Phase.FAILED:
            return [offer("start", "machine.start-again", "play", intents.start_machine.emit)]
        case Phase.STOPPED:
            return [offer("start", "machine.start", "play", intents.start_machine.emit)]
        case Phase.RUNNING | Phase.DEGRADED:
            return [suspend, restart, stop]
        case _:
            return [stop]


def start_words(store: AppStore) -> str:
    """On the button that brings the machine up."""
    found = [action.words for action in machine_actions(store) if action.name == "start"]
    return found[0] if found else text("machine.start")
