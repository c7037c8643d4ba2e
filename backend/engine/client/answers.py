"""What the engine answers, made into the values of `types`: pure, whatever brought the answer.

Bytes that come without end (logs, events) are read by generators over blocks that may be cut anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from backend.engine.types import (
    Container,
    ContainerState,
    EngineEvent,
    Health,
    PortBinding,
    clean_text,
    is_anonymous_volume,
    kept_labels,
)
from backend.errors import ProblemCode, WherryError, fail

_MAX_EVENT_BYTES: Final = 1_048_576
NOT_UNDERSTOOD: Final = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError),
    *(OverflowError, RecursionError),
)
"""What reading an answer raises when it is of another shape than an engine's: wrong kinds, numbers, or depths."""
_Made = TypeVar("_Made")
_EXITED: Final = re.compile(r"Exited \((-?\d+)\)")


ROLE_LABEL: Final = "io.wherry.role"
DEBUG_ROLE: Final = "debug"


def is_debug_helper(untrusted: dict[str, Any]) -> bool:
    """Whether an entry of `GET /containers/json` is a debug shell of ours (`exec.open_debug_shell`)."""
    return (untrusted.get("Labels") or {}).get(ROLE_LABEL) == DEBUG_ROLE


def json_value(untrusted_bytes: bytes) -> Any:
    """What an answer says. Raises ValueError for anything but JSON.

    Not the standard library's reader: it holds the interpreter, and with it the window, for ten milliseconds over the
    list of a thousand containers.
    """
    try:
        return msgspec.json.decode(untrusted_bytes)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from error


def understood(command: str, make: Callable[[], _Made]) -> _Made:
    """What `make` makes of an answer. Raises WherryError (ENGINE_ERROR) where the answer is of another shape."""
    try:
        return make()
    except NOT_UNDERSTOOD as error:
        raise not_understood(command, error) from error


def not_understood(command: str, error: BaseException) -> WherryError:
    """The error for an answer of another shape."""
    return fail(
        ProblemCode.ENGINE_ERROR,
        "The Docker engine's answer was not understood.",
        command=command,
        tail=(clean_text(f"{type(error).__name__}: {error}", 500),),
        hint="Check that nothing else listens at the engine's address.",
    )


def container_from_answer(untrusted: dict[str, Any]) -> Container:
    """One entry of `GET /containers/json`."""
    names = untrusted.get("Names") or [untrusted["Id"][:12]]
    # A linked container has further names of the form /other/alias: its own has one slash.
    own = next((name for name in names if name.count("/") <= 1), names[0])
    labels = {str(key): str(value) for key, value in (untrusted.get("Labels") or {}).items()}
    status = clean_text(str(untrusted.get("Status", "")))
    exited = _EXITED.match(status)
    return Container(
        id=clean_text(str(untrusted["Id"])),
        name=clean_text(str(own).removeprefix("/")),
        image=clean_text(str(untrusted.get("Image", ""))),
        state=_state(str(untrusted.get("State", ""))),
        status=status,
        created=int(untrusted.get("Created", 0)),
        command=clean_text(str(untrusted.get("Command", ""))),
        ports=_ports(untrusted.get("Ports") or []),
        labels=kept_labels(labels),
        compose_project=_label(labels, "com.docker.compose.project"),
        compose_service=_label(labels, "com.docker.compose.service"),
        health=_health(status),
        exit_code=int(exited.group(1)) if exited else None,
        anonymous_volumes=sum(
            mount.get("Type") == "volume" and is_anonymous_volume(str(mount.get("Name", "")))
            for mount in untrusted.get("Mounts") or ()
        ),
    )


def _label(untrusted_labels: dict[str, str], key: str) -> str | None:
    return clean_text(untrusted_labels[key]) or None if key in untrusted_labels else None


def _state(word: str) -> ContainerState:
    try:
        return ContainerState(word)
    except ValueError:
        return ContainerState.UNKNOWN


def _health(status: str) -> Health:
    if "(unhealthy)" in status:
        return Health.UNHEALTHY
    if "(healthy)" in status:
        return Health.HEALTHY
    return Health.STARTING if "(health: starting)" in status else Health.NONE


def _ports(untrusted: list[dict[str, Any]]) -> tuple[PortBinding, ...]:
    found = {
        PortBinding(
            container_port=int(entry["PrivatePort"]),
            protocol=clean_text(str(entry.get("Type", "tcp"))),
            host_ip=clean_text(str(entry["IP"])) if entry.get("IP") else None,
            host_port=int(entry["PublicPort"]) if entry.get("PublicPort") else None,
        )
        for entry in untrusted
    }
    return tuple(
        sorted(found, key=lambda port: (port.container_port, port.protocol, port.host_port or 0, port.host_ip or ""))
    )


def events(blocks: Iterator[bytes]) -> Iterator[EngineEvent]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _MAX_EVENT_BYTES:
            raise ValueError("an event longer than a mebibyte")
        for line in lines:
            if line.strip():
                yield _event(json.loads(line))


def _event(untrusted: dict[str, Any]) -> EngineEvent:
    nanoseconds = untrusted.get("timeNano")
    actor = untrusted.get("Actor")
    attributes = actor.get("Attributes") if isinstance(actor, dict) else None
    known = attributes if isinstance(attributes, dict) else {}
    return EngineEvent(
        kind=clean_text(str(untrusted.get("Type", ""))),
        action=clean_text(str(untrusted.get("Action", ""))),
        actor_id=clean_text(str((untrusted.get("Actor") or {}).get("ID", ""))),
        time=nanoseconds / 1e9 if isinstance(nanoseconds, int) else float(untrusted.get("time", 0)),
        name=clean_text(str(known.get("name", ""))),
        exit_code=_whole(known.get("exitCode")),
        signal=_whole(known.get("signal")),
    )


def _whole(untrusted: Any) -> int | None:
    """The engine writes numbers in attributes as text."""
    text = str(untrusted)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def refused(command: str, status: int, untrusted_message: str) -> WherryError:
    """The error for an answer that is no success."""
    said = [clean_text(line, 500) for line in untrusted_message.splitlines()[:20] if line.strip()]
    hint: str | None
    if status == 404 and "No such container" in untrusted_message:
        summary, hint = "The engine does not know that container any more.", "It was removed in the meantime."
    elif status == 409:
        summary, hint = "The container's state does not allow that.", "Look at its state in the list, then try again."
    else:
        summary, hint = said.pop(0) if said else "It gave no reason.", None
        if "port is already allocated" in untrusted_message or "address already in use" in untrusted_message:
            hint = "Another container or program uses that port: stop it, or publish another port."
    return fail(
        ProblemCode.ENGINE_ERROR,
        summary,
        command=command,
        tail=said,
        hint=hint,
        retryable=status >= 500,
    )
