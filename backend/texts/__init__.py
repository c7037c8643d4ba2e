"""Words in the language of the person: where messages, and the window's and command line's own texts, are translated.

    choose_language("pt_BR")        once, at the start, and when the setting changes
    say(problem.summary)            a message of the backend
    _("Stop")                       a text of one's own, here and now

The English text is the key in the catalogues `locale/*/LC_MESSAGES/wherry.po`. Set-up makes `.mo` files of them, which
Python's own gettext reads. What a catalogue lacks, and every other language, is said in English.
"""

from __future__ import annotations

import gettext as catalogues
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backend.errors import Problem
from backend.messages import Message, Value, count_message, filled, message, message_in, verbatim

__all__ = [
    "LANGUAGES",
    "Message",
    "Value",
    "_",
    "choose_language",
    "count_message",
    "language_of",
    "message",
    "message_in",
    "ngettext",
    "npgettext",
    "pgettext",
    "problem_text",
    "say",
    "verbatim",
]

LANGUAGES: Final = {"en": "English", "pt": "Português (Brasil)"}
"""Code (ISO 639) -> its own name."""
_LOCALES: Final = {"pt": "pt_BR"}
"""Code -> the folder of its catalogue; one for all countries that speak it."""
_FOLDER: Final = Path(__file__).parent / "locale"
_SWAPPED: Final = str.maketrans(".,", ",.")
"""Signs of numbers where a comma stands before the decimals."""

log = logging.getLogger(__name__)


class _Chosen:
    catalogue: catalogues.NullTranslations = catalogues.NullTranslations()
    decimal_comma: bool = False


def choose_language(locale_name: str) -> str:
    """Use the best language for a locale such as "pt_BR.UTF-8" or "pt"; gives its code in LANGUAGES."""
    code = locale_name.replace("-", "_").split("_")[0].split(".")[0].lower()
    code = code if code in LANGUAGES else "en"
    _Chosen.catalogue = _load(_LOCALES[code]) if code in _LOCALES else catalogues.NullTranslations()
    _Chosen.decimal_comma = _Chosen.catalogue.pgettext("decimal sign", ".") == ","
    return code


def language_of(environment: Mapping[str, str] = os.environ) -> str:
    """The locale that an environment asks for its messages, as gettext reads it: "pt_BR.UTF-8"; "C" for none."""
    locale_name = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "C")
    if locale_name.split(".")[0] in ("C", "POSIX"):
        return "C"
    return environment.get("LANGUAGE", "").split(":")[0] or locale_name


def _load(folder: str) -> catalogues.NullTranslations:
    try:
        return catalogues.translation("wherry", _FOLDER, [folder], fallback=True)
    except (OSError, UnicodeError, ValueError, struct.error) as error:
        log.warning("the catalogue %s cannot be read, texts stay English: %r", folder, error)
        return catalogues.NullTranslations()


def _(text: str, /, **values: Value) -> str:
    """The words for an English text, with its braces filled."""
    return _fill(_Chosen.catalogue.gettext(text), text, values)


def pgettext(context: str, text: str, /, **values: Value) -> str:
    """The words for an English text that has another meaning elsewhere."""
    return _fill(_Chosen.catalogue.pgettext(context, text), text, values)


def ngettext(one: str, other: str, count: int, /, **values: Value) -> str:
    """The words for `count` things; {count} is filled too."""
    english = one if count == 1 else other
    return _fill(_Chosen.catalogue.ngettext(one, other, count), english, {"count": count, **values})


def npgettext(context: str, one: str, other: str, count: int, /, **values: Value) -> str:
    """The words for `count` things whose English has another meaning elsewhere."""
    english = one if count == 1 else other
    return _fill(_Chosen.catalogue.npgettext(context, one, other, count), english, {"count": count, **values})


def say(words: Message) -> str:
    """The words of a message. Never fails: what cannot be translated or filled is said as far as it can be."""
    count = words.values.get("count")
    if words.plural and isinstance(count, int):
        values = {name: value for name, value in words.values.items() if name != "count"}
        if words.context:
            return npgettext(words.context, words.text, words.plural, count, **values)
        return ngettext(words.text, words.plural, count, **values)
    return pgettext(words.context, words.text, **words.values) if words.context else _(words.text, **words.values)


def problem_text(problem: Problem) -> str:
    """A whole problem as plain lines, as the command line prints it and the window copies it."""
    lines = [say(problem.summary)]
    if problem.command:
        lines.append("  " + _("command: {command}", command=problem.command))
    lines.extend(f"  | {line}" for line in problem.tail)
    if problem.hint is not None:
        lines.append("  " + _("what to do: {hint}", hint=problem.hint))
    lines.append(f"  ({problem.code.value})")
    return "\n".join(lines)


def _fill(translated: str, english: str, values: Mapping[str, Value]) -> str:
    if not values:
        return translated
    shown = {name: _shown(value) for name, value in values.items()}
    try:
        return translated.format(**shown)
    except (KeyError, IndexError, ValueError, AttributeError):
        return filled(english, shown)


def _shown(value: Value) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, Message):
        return say(value)
    if isinstance(value, tuple):
        return ", ".join(str(_shown(part)) for part in value)
    if not _Chosen.decimal_comma:
        return value
    return _Number(value) if isinstance(value, float) else _Count(value)


class _Number(float):
    """Formats itself with a decimal comma."""

    def __format__(self, how: str) -> str:
        return float.__format__(self, how).translate(_SWAPPED)


class _Count(int):
    """Formats itself with dots between thousands."""

    def __format__(self, how: str) -> str:
        return int.__format__(self, how).translate(_SWAPPED)
