"""Every word has its place in the table, in every language."""

from __future__ import annotations

import ast
import string
from enum import StrEnum
from pathlib import Path

import pytest

from app import texts
from app.features.logs.data.followed import LogState
from app.texts.en import TABLE as ENGLISH
from backend.agent.boot.readiness import LADDER
from backend.engine.types import ContainerAction, ContainerState, Health
from backend.errors import ProblemCode
from backend.model import Phase, StepState, StepStatus

APP = Path(texts.__file__).parent
ENUMS: list[tuple[str, type[StrEnum]]] = [
    ("phase", Phase),
    ("step-state", StepState),
    ("problem", ProblemCode),
    ("container", ContainerState),
    ("health", Health),
    ("action", ContainerAction),
    ("action-pending", ContainerAction),
    ("logs.state", LogState),
]


@pytest.mark.parametrize(("prefix", "values"), ENUMS, ids=str)
def test_every_member_has_words(prefix: str, values: type[StrEnum]) -> None:
    for value in values:
        assert f"{prefix}.{value.value}" in ENGLISH


def test_every_step_of_the_ladder_has_words() -> None:
    assert {f"step.{step.name}" for step in LADDER} <= set(ENGLISH)


def test_a_step_of_a_newer_agent_is_shown_in_its_own_words() -> None:
    step = StepStatus(name="new", title="Doing something new", state=StepState.ACTIVE)
    assert texts.step(step) == "Doing something new"


def test_every_key_that_the_code_asks_for_is_there() -> None:
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            key = str(node.args[0].value)
            if called == "text":
                assert key in ENGLISH, f"{path.name}:{node.lineno}"
            elif called == "plural":
                assert {f"{key}.one", f"{key}.other"} <= set(ENGLISH), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("code", texts.CATALOGUES)
def test_catalogues_agree_in_keys_and_in_what_is_filled_in(code: str) -> None:
    table = texts.CATALOGUES[code]
    assert set(table) == set(ENGLISH)
    for key, words in table.items():
        assert _fields(words) == _fields(ENGLISH[key]), key


def test_an_unknown_language_is_english() -> None:
    assert texts.choose_language("tlh_QO") == "en"
    assert texts.choose_language("en-GB") == "en"


@pytest.mark.parametrize(("value", "words"), [(0.04, "0.0 s"), (4.23, "4.2 s"), (59.2, "59 s"), (90.0, "1 min 30 s")])
def test_durations(value: float, words: str) -> None:
    assert texts.seconds(value) == words


def test_a_language_has_its_own_decimal_sign() -> None:
    texts.choose_language("pt")
    try:
        assert texts.seconds(4.23) == "4,2 s"
    finally:
        texts.choose_language("en")


def _fields(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}
