"""Every call that makes words: its text is a constant, and what it fills in is what is given."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(path for top in ("app", "backend") for path in (ROOT / top).rglob("*.py"))
MODULES = ("app.texts", "backend.texts", "backend.messages", "backend.api")
TEXTS = {
    "_": (0,),
    "message": (0,),
    "message_in": (0, 1),
    "count_message": (0, 1),
    "ngettext": (0, 1),
    "pgettext": (0, 1),
    "npgettext": (0, 1, 2),
}
"""Function -> which of its arguments must be constants."""
CONTEXTS = ("message_in", "pgettext", "npgettext")
COUNTED = ("count_message", "ngettext", "npgettext")
SETTERS = {
    *("setText", "setToolTip", "setStatusTip", "setAccessibleName", "setAccessibleDescription", "setPlaceholderText"),
    *(
        "setWindowTitle",
        "addAction",
        "addMenu",
        "addButton",
        "label",
        "button",
        "muted",
        "Card",
        "QLabel",
        "QPushButton",
    ),
    *("QCheckBox", "QRadioButton", "CheckRow", "ChoiceRow", "NumberRow", "TextRow"),
}
"""What shows its first argument to a person."""
NAMES = {"Wherry", "docker run -it --rm alpine"}
"""Shown as they are in every language."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a function of texts, by the name that it has there."""
    module = tree(path)
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module in MODULES
        for alias in node.names
        if alias.name in TEXTS
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            yield imported[node.func.id], node


def fields(text: str) -> set[str]:
    """The names in the braces; each must be a plain one."""
    names = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
    assert all(field.isidentifier() for field in names), text
    return names


ALL = [(path, function, call) for path in SOURCES if "texts" not in path.parts for function, call in calls(path)]


def test_there_are_calls_in_both_halves() -> None:
    assert sum(path.is_relative_to(ROOT / "app") for path, _, _ in ALL) > 700


@pytest.mark.parametrize("path", sorted({path for path, _, _ in ALL}), ids=name)
def test_every_call_says_a_constant_text_and_fills_it(path: Path) -> None:
    for place, function, call in ALL:
        if place != path:
            continue
        where = f"{name(path)}:{call.lineno}"
        given = [call.args[at] for at in TEXTS[function]]
        assert all(isinstance(text, ast.Constant) and isinstance(text.value, str) for text in given), (
            f"{where}: the text must be a constant, or no catalogue can have it"
        )
        texts = [str(text.value) for text in given if isinstance(text, ast.Constant)]
        if function in CONTEXTS:
            del texts[0]
        wanted = set().union(*(fields(text) for text in texts))
        values = {keyword.arg for keyword in call.keywords}
        if function in COUNTED:
            values.add("count")
            wanted.add("count")
        assert values == wanted, f"{where}: {texts[0]!r} has {sorted(wanted)}, given are {sorted(map(str, values))}"
        assert len(call.args) == len(TEXTS[function]) + (function in COUNTED), where


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "app")], ids=name)
def test_nothing_is_shown_that_is_not_translated(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called not in SETTERS:
            continue
        first = node.args[0]
        parts = first.values if isinstance(first, ast.JoinedStr) else [first]
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value not in NAMES:
                assert not any(sign.isalpha() for sign in part.value), f"{name(path)}:{node.lineno}: {part.value!r}"
