"""Texts for every value of the backend's enums, and durations."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest

from app import texts
from backend.engine.types import ContainerAction, ContainerState
from backend.errors import ProblemCode
from backend.model import Phase, StepState


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (Phase, texts.phase),
        (StepState, texts.step_state),
        (ProblemCode, texts.problem_title),
        (ContainerState, texts.container_state),
        (ContainerAction, texts.action),
        (ContainerAction, texts.action_pending),
    ],
)
def test_every_member_has_a_text(values: type[StrEnum], words: Callable[[Any], str]) -> None:
    for value in values:
        assert words(value)


@pytest.mark.parametrize(("value", "words"), [(0.04, "0.0 s"), (4.23, "4.2 s"), (59.2, "59 s"), (90.0, "1 min 30 s")])
def test_durations(value: float, words: str) -> None:
    assert texts.seconds(value) == words


def test_a_language_has_its_own_decimal_sign() -> None:
    texts.choose_language("pt")
    try:
        assert texts.seconds(4.23) == "4,2 s"
    finally:
        texts.choose_language("en")
