"""Conversion of the engine's answers into the values of `types`. Pure.

Endless answers (logs, events) are read by generators over blocks that may be split anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from backend.engine.engine_json import engine_source, listed_name
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
from backend.json_reader import JsonLines, JsonObject, NotUnderstood
from backend.messages import Message, message, verbatim

NOT_UNDERSTOOD: Final = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError),
    *(OverflowError, RecursionError),
)
"""Raised by docker-py for an answer with unexpected types, numbers or nesting."""
_EXITED: Final = re.compile(r"Exited \((-?\d+)\)")


ROLE_LABEL: Final = "io.wherry.role"
DEBUG_ROLE: Final = "debug"


def is_debug_helper(container: JsonObject) -> bool:
    """Whether an entry of `GET /containers/json` is one of our debug shells (`exec.open_debug_shell`)."""
    return container.object("Labels").text(ROLE_LABEL) == DEBUG_ROLE


def not_understood(command: str, error: BaseException) -> WherryError:
    """The error for an answer that docker-py cannot parse (it reads some answers itself)."""
    return NotUnderstood(engine_source(command), clean_text(f"{type(error).__name__}: {error}", 500))


def container_from_answer(answer: JsonObject) -> Container:
    """Parse an entry of `GET /containers/json`. Raises NotUnderstood."""
    labels = answer.texts_by_name("Labels")
    status = clean_text(answer.text("Status"))
    exited = _EXITED.match(status)
    return Container(
        id=clean_text(answer.required_text("Id")),
        name=listed_name(answer),
        image=clean_text(answer.text("Image")),
        state=_state(answer.text("State")),
        status=status,
        created=answer.integer("Created"),
        command=clean_text(answer.text("Command")),
        ports=_ports(answer.objects("Ports")),
        labels=kept_labels(labels),
        compose_project=_label(labels, "com.docker.compose.project"),
        compose_service=_label(labels, "com.docker.compose.service"),
        health=_health(status),
        exit_code=int(exited.group(1)) if exited else None,
        anonymous_volumes=sum(
            mount.text("Type") == "volume" and is_anonymous_volume(mount.text("Name"))
            for mount in answer.objects("Mounts")
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


def _ports(entries: Iterable[JsonObject]) -> tuple[PortBinding, ...]:
    ports = {
        PortBinding(
            container_port=entry.required_integer("PrivatePort"),
            protocol=clean_text(entry.text("Type", "tcp")),
            host_ip=clean_text(entry.text("IP")) or None,
            host_port=entry.integer("PublicPort") or None,
        )
        for entry in entries
    }
    return tuple(
        sorted(ports, key=lambda port: (port.container_port, port.protocol, port.host_port or 0, port.host_ip or ""))
    )


def events(blocks: Iterable[bytes]) -> Iterator[EngineEvent]:
    """Parse the answer to `GET /events`, from blocks that may be split anywhere. Raises NotUnderstood."""
    lines = JsonLines(engine_source("docker events"))
    for block in blocks:
        yield from map(_event, lines.feed(block))


def _event(answer: JsonObject) -> EngineEvent:
    actor = answer.object("Actor")
    attributes = _attributes(actor)
    return EngineEvent(
        kind=clean_text(answer.text("Type")),
        action=clean_text(answer.text("Action")),
        actor_id=clean_text(actor.text("ID")),
        time=answer.integer("timeNano") / 1e9 if "timeNano" in answer else answer.number("time"),
        name=clean_text(attributes.text("name")),
        exit_code=_whole(attributes.text("exitCode")),
        signal=_whole(attributes.text("signal")),
    )


def _attributes(actor: JsonObject) -> JsonObject:
    """The attributes of an event's actor. Of another shape they are none: one odd event must not end the stream."""
    try:
        return actor.object("Attributes")
    except NotUnderstood:
        return JsonObject({}, actor.source)


def _whole(text: str) -> int | None:
    """Parse a number: the engine writes numbers in attributes as text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def refused(command: str, status: int, untrusted_message: str) -> WherryError:
    """The error for an answer with an error status."""
    message_lines = [clean_text(line, 500) for line in untrusted_message.splitlines()[:20] if line.strip()]
    hint: Message | None = None
    if status == 404 and "No such container" in untrusted_message:
        summary = message("The container no longer exists.")
    elif status == 409:
        summary = message("This action isn't possible in the container's current state.")
        hint = message("Check the container's state and try again.")
    else:
        summary = verbatim(message_lines.pop(0)) if message_lines else message("The Docker engine gave no reason.")
        if "port is already allocated" in untrusted_message or "address already in use" in untrusted_message:
            hint = message("Another container or program uses this port. Stop it, or publish another port.")
    return fail(
        ProblemCode.ENGINE_ERROR,
        summary,
        command=command,
        tail=message_lines,
        hint=hint,
        retryable=status >= 500,
    )
