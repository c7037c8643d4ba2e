"""Answers of the engine built from plain values, for tests of their readers."""

from __future__ import annotations

from typing import Any

from backend.engine.engine_json import engine_source
from backend.json_reader import Json, JsonObject


def answer(value: Any) -> Json:
    """A whole answer."""
    return Json(value, engine_source("docker test"))


def entry(value: dict[str, Any]) -> JsonObject:
    """An object in an answer."""
    return JsonObject(value, engine_source("docker test"))
