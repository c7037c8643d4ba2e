"""The translations: all there, none left over, and with the same things filled in."""

from __future__ import annotations

import ast
import string
from functools import cache
from gettext import c2py
from pathlib import Path

import pytest
from babel.core import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.pofile import read_po

from tasks.catalogues import KEYWORDS, SOURCES

ROOT = Path(__file__).parents[3]
CATALOGUES = sorted((ROOT / "backend/texts/locale").glob("*/LC_MESSAGES/wherry.po"))

Key = tuple[str | None, str | tuple[str, ...]]


@cache
def extracted() -> frozenset[Key]:
    keywords = parse_keywords(KEYWORDS)
    keys: set[Key] = set()
    for top in SOURCES:
        for _, _, text, _, context in extract_from_dir(str(ROOT / top), [("**.py", "python")], keywords=keywords):
            keys.add((context, text))
    return frozenset(keys)


@cache
def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], abort_invalid=True)


def forms(translation: object) -> list[str]:
    """What stands there: one text, or one for each plural form."""
    return (
        [translation]
        if isinstance(translation, str)
        else [str(form or "") for form in translation]
        if isinstance(translation, tuple | list)
        else []
    )


def filled_in(text: str) -> set[tuple[str, str]]:
    return {(name, how or "") for _, name, how, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_it_has_exactly_the_texts_of_the_sources(path: Path) -> None:
    held = {(message.context, message.id) for message in catalogue(path) if message.id}
    assert not extracted() - held, "new texts: run `python3 packaging/dev.py texts` and translate them"
    assert not held - extracted(), "texts that nothing says: run `python3 packaging/dev.py texts`"
    assert not catalogue(path).obsolete


def test_no_text_is_within_an_f_string() -> None:
    """Up to Python 3.11 nothing in an f-string is seen by whoever extracts the texts."""
    names = {keyword.partition(":")[0] for keyword in KEYWORDS}
    inside = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for top in SOURCES
        for path in (ROOT / top).rglob("*.py")
        for string_ in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(string_, ast.JoinedStr)
        for call in ast.walk(string_)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names
    ]
    assert not inside


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_everything_is_translated(path: Path) -> None:
    for message in catalogue(path):
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        wanted = 1 if isinstance(message.id, str) else catalogue(path).num_plurals
        assert len([form for form in forms(message.string) if form]) == wanted, message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_plural_forms_are_those_of_the_language(path: Path) -> None:
    form_of = c2py(catalogue(path).plural_expr)
    of_cldr = Locale.parse(path.parts[-3]).plural_form
    names: dict[int, str] = {}
    for count in range(1000):
        assert names.setdefault(form_of(count), of_cldr(count)) == of_cldr(count), count
    assert len(names) == catalogue(path).num_plurals


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_the_same_is_filled_in(path: Path) -> None:
    for message in catalogue(path):
        allowed = [filled_in(text) for text in forms(message.id)]
        for translation in forms(message.string):
            assert filled_in(translation) in allowed, message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_spaces_around_a_text_stay(path: Path) -> None:
    for message in catalogue(path):
        if message.id:
            for translation in forms(message.string):
                assert ends(translation) == ends(forms(message.id)[0]), message.id


def ends(text: str) -> tuple[bool, bool]:
    """Whether it begins and ends with a space."""
    return (text[:1].isspace(), text[-1:].isspace())
