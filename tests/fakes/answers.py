"""An engine's answers out of plain values, as the readers take them."""

from __future__ import annotations

from typing import Any

from backend.engine.engine_json import engine_source
from backend.json_reader import Json, JsonObject


def answer(value: Any) -> Json:
    """A whole answer."""
    return Json(value, engine_source("docker test"))


def entry(value: dict[str, Any]) -> JsonObject:
    """An answer that is an object, or an entry of one that is a list."""
    return JsonObject(value, engine_source("docker test"))
