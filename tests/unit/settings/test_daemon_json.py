"""What can be told of a daemon.json without dockerd: errors, warnings, and the places they are at."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.settings.daemon_json import FORBIDDEN, KNOWN, MAX_BYTES, MAX_FINDINGS, Severity, check


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "{}", '{"debug": true, "dns": ["10.0.2.3"], "log-opts": {"max-size": "10m"}, "mtu": 1400}'],
)
def test_what_is_right(text: str) -> None:
    assert check(text) == ()


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"debug": true,\n  "mtu": }', 2, 10, "Invalid JSON"),
        ("[]", 1, 1, "JSON object"),
        ('{\n "hosts": ["tcp://0.0.0.0:2375"]}', 2, 2, "where the engine listens"),
        ('{"debug": "yes"}', 1, 2, "true or false"),
        ('{"mtu": true}', 1, 2, "whole number"),
        ('{"log-opts": {"a": "b"},\n "dns": "10.0.2.3"}', 2, 2, "a list"),
        ('{"debug": true,\n "debug": false}', 2, 2, "twice"),
        ("[" * 100_000, 1, 1, "nested"),
        ("x" * (MAX_BYTES + 1), 1, 1, "longer"),
    ],
)
def test_what_cannot_be_saved(text: str, line: int, column: int, words: str) -> None:
    (finding,) = check(text)
    assert (finding.severity, finding.line, finding.column) == (Severity.ERROR, line, column)
    assert words in str(finding.message)


def test_an_unknown_option_is_a_warning_with_a_guess() -> None:
    (finding,) = check('{"registry_mirror": []}')
    assert finding.severity is Severity.WARNING
    assert "“registry-mirrors”" in str(finding.message)


def test_keys_of_inner_objects_are_their_own_affair() -> None:
    assert (
        check('{"runtimes": {"hosts": {"path": "x"}}, "labels": ["hosts"], "log-opts": {"a:b": "{\\"hosts\\": 1}"}}')
        == ()
    )


def test_every_forbidden_option_has_its_reason() -> None:
    for name, reason in FORBIDDEN.items():
        assert name not in KNOWN
        (finding,) = check(json.dumps({name: "x"}))
        assert str(reason) in str(finding.message)


def test_the_findings_of_a_monster_are_bounded() -> None:
    text = json.dumps({f"x{number}": 1 for number in range(9000)})
    assert len(check(text)) == MAX_FINDINGS


@given(st.dictionaries(st.text(max_size=8), st.recursive(st.integers() | st.text(max_size=6), st.lists, max_leaves=4)))
def test_every_key_of_any_object_is_found_at_its_place(options: dict[str, object]) -> None:
    text = json.dumps(options, indent=1)
    findings = [finding for finding in check(text) if "Unknown option" in str(finding.message)]
    unknown = [name for name in options if name not in KNOWN and name not in FORBIDDEN]
    assert len(findings) == min(len(unknown), MAX_FINDINGS)
    for name, finding in zip(unknown, findings, strict=False):
        line = text.splitlines()[finding.line - 1] if "\u2028" not in text else None
        if line is not None:
            assert line[finding.column - 1 :].startswith(json.dumps(name))
