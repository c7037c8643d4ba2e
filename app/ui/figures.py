"""Numbers as people read them: sizes, shares, rates and ages, with the language's words and decimal sign.

And those in names: web-2 comes before web-10.

Sizes are in powers of 1024 and say so (MiB, GiB), as memory and disks are given in them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QDateTime, QLocale

from app.texts import plural, text

NOTHING: Final = "–"
"""In a table, where there is no figure."""
_DIGITS: Final = re.compile(r"\d+")
_UNITS: Final = ("b", "kib", "mib", "gib", "tib")
_AGES: Final = (
    ("years", 365 * 86_400),
    ("months", 30 * 86_400),
    ("days", 86_400),
    ("hours", 3_600),
    ("minutes", 60),
)


@lru_cache(maxsize=8192)
def natural(words: str) -> str:
    """A key to sort words by, with the numbers in them as numbers."""
    return _DIGITS.sub(lambda digits: digits.group().zfill(12), words.casefold())


def number(value: float, decimals: int) -> str:
    """ "1.5", or "1,5" where the language writes it so."""
    return f"{value:.{decimals}f}".replace(".", text("figure.decimal"))


def percent(value: float) -> str:
    """ "0.4 %", "12 %", "340 %"."""
    shown = max(0.0, value)
    return text("figure.percent", value=number(shown, 1 if 0 < shown < 9.95 else 0))


def size(value: int) -> str:
    """ "812 B", "1.2 MiB", "64 GiB": three digits at most, one decimal below ten."""
    unit = unit_of(value)
    return text(f"size.{_UNITS[unit]}", value=in_unit(value, unit))


def used_of(used: int, given: int) -> str:
    """ "1.2 of 4 GiB", "256 MiB of 4 GiB"."""
    whole = size(given)
    unit = unit_of(used)
    return text("figure.used-of", used=in_unit(used, unit) if unit == unit_of(given) else size(used), given=whole)


def rate(bytes_per_s: float) -> str:
    """ "1.2 MiB/s"."""
    return text("figure.rate", size=size(round(bytes_per_s)))


def ago(seconds: float) -> str:
    """ "3 hours ago": whole units, the greatest of which there is one."""
    for name, length in _AGES:
        if seconds >= length:
            return plural(f"ago.{name}", int(seconds // length))
    return text("ago.now")


def moment(epoch: float) -> str:
    """A date and a time, as the language writes them in short."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(epoch)), QLocale.FormatType.ShortFormat)


def unit_of(value: int) -> int:
    """The number of the greatest unit of which there is one, 0 for bytes."""
    unit = 0
    while unit < len(_UNITS) - 1 and value >= 1000 * 1024**unit:
        unit += 1
    return unit


def in_unit(value: int, unit: int) -> str:
    """The bare number in a unit; a whole one without decimals."""
    shown = max(0, value) / 1024**unit
    return number(shown, 1 if unit and shown < 99.95 and abs(shown - round(shown)) >= 0.05 else 0)
