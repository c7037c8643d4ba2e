"""Helpers for the engine's JSON: source names for errors, error messages, container names."""

from __future__ import annotations

from typing import Final

from backend.engine.types import NAME_CHARS, clean_text
from backend.errors import ProblemCode, WherryError
from backend.json_reader import Json, JsonObject, JsonSource, decode
from backend.messages import message

_REASON_CHARS: Final = 300


def engine_source(command: str) -> JsonSource:
    """The source name for answers to a docker command."""
    return JsonSource(
        summary=message("The Docker engine's answer wasn't understood."),
        code=ProblemCode.ENGINE_ERROR,
        command=command,
        hint=message("Check that no other program listens at the engine's address."),
    )


def read_answer(untrusted_body: bytes, command: str) -> Json:
    """Parse a whole answer. Raises NotUnderstood."""
    return decode(untrusted_body, engine_source(command))


def refusal(untrusted_body: bytes) -> str:
    """The message in an error answer, sanitised and without a full stop."""
    try:
        message = read_answer(untrusted_body, "").object().text("message")
    except WherryError:
        message = ""
    return clean_text(message or "the engine gave no reason", _REASON_CHARS).rstrip(".")


def listed_name(container: JsonObject, limit: int = NAME_CHARS) -> str:
    """Name of a container in `GET /containers/json`, sanitised; its short id when it has none."""
    names = container.texts("Names") or (container.required_text("Id")[:12],)
    # Links give a container further names (/other/alias): its own has one slash.
    own = next((name for name in names if name.count("/") <= 1), names[0])
    return clean_text(own.removeprefix("/"), limit)
