"""JSON of other programs: what is missing is a default, what is of another kind an error that says where."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from backend.errors import ProblemCode
from backend.json_reader import MAX_LINE_BYTES, Json, JsonLines, JsonObject, JsonSource, NotUnderstood, decode
from backend.messages import verbatim
from tests.fuzz.material import json_bytes, pieces

SOURCE = JsonSource(
    summary=verbatim("It was not understood."),
    code=ProblemCode.ENGINE_ERROR,
    command="docker x",
    hint=verbatim("Look."),
)
KINDS = {"text": "a", "integer": 1, "number": 1.5, "flag": True, "object": {"a": 1}, "list": ["a"], "null": None}


def read(text: str) -> JsonObject:
    return decode(text, SOURCE).object()


def detail(work: Callable[[], object]) -> str:
    with pytest.raises(NotUnderstood) as raised:
        work()
    return raised.value.problem.tail[0]


@pytest.mark.parametrize("text", ["{}", '{"a": null}'])
def test_what_is_missing_or_null_is_the_default(text: str) -> None:
    value = read(text)
    assert (value.text("a"), value.text("a", "x"), value.integer("a"), value.integer("a", 7)) == ("", "x", 0, 7)
    assert (value.number("a"), value.flag("a"), value.flag("a", default=True)) == (0.0, False, True)
    assert (list(value.object("a")), value.objects("a"), value.texts("a")) == ([], (), ())
    assert (value.texts_by_name("a"), value.objects_by_name("a")) == ({}, {})
    assert "a" not in value
    assert value.member("a").is_null
    for work in (lambda: value.required_text("a"), lambda: value.required_integer("a")):
        assert detail(work).startswith("a: expected")


@pytest.mark.parametrize(
    ("method", "fits"),
    [
        ("text", {"text"}),
        ("integer", {"integer"}),
        ("number", {"integer", "number"}),
        ("flag", {"flag"}),
        ("object", {"object"}),
        ("objects", set()),
        ("texts", {"list"}),
        ("texts_by_name", set()),
        ("objects_by_name", set()),
    ],
)
def test_another_kind_is_an_error_and_never_the_default(method: str, fits: set[str]) -> None:
    for kind, value in KINDS.items():
        found = JsonObject({"a": value}, SOURCE)
        if kind == "null" or kind in fits:
            getattr(found, method)("a")
        else:
            assert detail(lambda found=found: getattr(found, method)("a")).startswith("a")  # type: ignore[misc]


def test_the_error_is_a_whole_problem_that_says_where() -> None:
    with pytest.raises(NotUnderstood, match="It was not understood") as raised:
        read('{"Mounts": [{}, {"RW": "yes"}]}').objects("Mounts")[1].flag("RW")
    problem = raised.value.problem
    assert (problem.code, problem.command, str(problem.hint)) == (ProblemCode.ENGINE_ERROR, "docker x", "Look.")
    assert problem.tail == ("Mounts[1].RW: expected true or false, found a text.",)
    assert detail(lambda: decode("[]", SOURCE).object()) == "The whole: expected an object, found a list."
    name = "\x1b[2J" + "x" * 500
    assert len(detail(lambda: JsonObject({name: 1}, SOURCE).text(name))) < 150
    assert "\x1b" not in detail(lambda: JsonObject({name: 1}, SOURCE).text(name))


def test_numbers() -> None:
    value = read('{"a": "8080", "b": "", "c": 3.0, "d": "-1", "e": 1e300, "f": 3.5, "g": "0x1", "h": "١", "i": "1e5"}')
    assert [value.integer(name) for name in "abcd"] == [8080, 0, 3, -1]
    for name in "fghi":
        assert "a whole number" in detail(lambda name=name: value.integer(name))  # type: ignore[misc]
    assert "a whole number" in detail(lambda: read('{"a": "%s"}' % ("9" * 5000)).integer("a"))
    assert "usual size" in detail(lambda: JsonObject({"a": 10**400}, SOURCE).number("a"))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nul", b'{"a": 1} x', b"\xff", b'"\\ud800"', b"[" * 100_000, b"9" * 5000 + b"x"]
)
def test_what_is_no_json_is_not_understood(text: bytes) -> None:
    assert "no JSON" in detail(lambda: decode(text, SOURCE))


def test_lists() -> None:
    assert "a list, found nothing" in detail(lambda: Json(None, SOURCE).objects())
    assert [one.text() for one in decode('["a", "b"]', SOURCE).values()] == ["a", "b"]
    assert detail(lambda: decode('["a", null]', SOURCE).texts()) == "[1]: expected a text, found nothing."
    assert (
        detail(lambda: decode('{"message": "no"}', SOURCE).objects()) == "The whole: expected a list, found an object."
    )


def test_lines_may_be_cut_anywhere() -> None:
    source = random.Random(1)
    for _ in range(200):
        lines = JsonLines(SOURCE)
        data = b'{"a": 1}\n\n{"b": {}}\r\n{"c": null}\n{"rest'
        names = [list(one) for piece in pieces(source, data) for one in lines.feed(piece)]
        assert names == [["a"], ["b"], ["c"]]
    assert "longer" in detail(lambda: list(JsonLines(SOURCE).feed(b"x" * (MAX_LINE_BYTES + 1))))
    assert "an object" in detail(lambda: list(JsonLines(SOURCE).feed(b"[]\n")))


def test_whatever_comes_is_a_value_or_not_understood() -> None:
    source = random.Random(2)
    for _ in range(2_000):
        try:
            value = decode(json_bytes(source, {"a": KINDS, "b": [KINDS]}), SOURCE).object()
            for row in (value.object("a"), *value.objects("b")):
                for method in ("text", "integer", "number", "flag", "object", "texts", "objects_by_name"):
                    getattr(row, method)(source.choice(sorted(KINDS)))
        except NotUnderstood:
            pass
