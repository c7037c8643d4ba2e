"""Formatting of numbers for people: sizes, shares, rates and ages, in the current language.

Also the natural sort order of names, in which web-2 comes before web-10.

Sizes use powers of 1024 and the matching units (MiB, GiB), like memory and disks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QDateTime, QLocale

from app.texts import _, ngettext, pgettext

UNIT_S: Final = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_592_000,
    "year": 31_536_000,
}
"""Lengths of the units of time in seconds, ascending."""

NOTHING: Final = "–"
"""Shown in a table when there is no value."""
_UNITS: Final = 5
"""Bytes to TiB."""
_DIGITS: Final = re.compile(r"\d+")
_AGES: Final = (
    ("years", 365 * 86_400),
    ("months", 30 * 86_400),
    ("days", 86_400),
    ("hours", 3_600),
    ("minutes", 60),
)


@lru_cache(maxsize=8192)
def natural(words: str) -> str:
    """Sort key for natural order: numbers in the text compare as numbers."""
    return _DIGITS.sub(lambda digits: digits.group().zfill(12), words.casefold())


def number(value: float, decimals: int) -> str:
    """Format as "1.5", or "1,5", depending on the language."""
    return f"{value:.{decimals}f}".replace(".", pgettext("decimal sign", "."))


def percent(value: float) -> str:
    """Format as "0.4 %", "12 %", "340 %"."""
    shown = max(0.0, value)
    return _("{value}%", value=number(shown, 1 if 0 < shown < 9.95 else 0))


def size(value: int) -> str:
    """Format as "812 B", "1.2 MiB", "64 GiB": at most three digits, one decimal below ten."""
    unit = unit_of(value)
    return _with_unit(in_unit(value, unit), unit)


def _with_unit(value: str, unit: int) -> str:
    match unit:
        case 0:
            return _("{value} B", value=value)
        case 1:
            return _("{value} KiB", value=value)
        case 2:
            return _("{value} MiB", value=value)
        case 3:
            return _("{value} GiB", value=value)
        case _:
            return _("{value} TiB", value=value)


def used_of(used: int, given: int) -> str:
    """Format as "1.2 of 4 GiB", "256 MiB of 4 GiB"."""
    whole = size(given)
    unit = unit_of(used)
    return _("{used} of {given}", used=in_unit(used, unit) if unit == unit_of(given) else size(used), given=whole)


def rate(bytes_per_s: float) -> str:
    """Format as "1.2 MiB/s"."""
    return _("{size}/s", size=size(round(bytes_per_s)))


def ago(seconds: float) -> str:
    """Format as "3 hours ago", with the largest whole unit."""
    name, length = next(((name, length) for name, length in _AGES if seconds >= length), ("", 1))
    count = int(seconds // length)
    match name:
        case "years":
            return ngettext("{count} year ago", "{count} years ago", count)
        case "months":
            return ngettext("{count} month ago", "{count} months ago", count)
        case "days":
            return ngettext("{count} day ago", "{count} days ago", count)
        case "hours":
            return ngettext("{count} hour ago", "{count} hours ago", count)
        case "minutes":
            return ngettext("{count} minute ago", "{count} minutes ago", count)
        case _:
            return _("just now")


def moment(epoch: float) -> str:
    """Format as "28 Nov 2026, 07:40"."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(epoch)), "d MMM yyyy, HH:mm")


def unit_of(value: int) -> int:
    """Index of the largest unit that is not above the value; 0 for bytes."""
    unit = 0
    while unit < _UNITS - 1 and value >= 1000 * 1024**unit:
        unit += 1
    return unit


def in_unit(value: int, unit: int) -> str:
    """The number in a unit, without the unit's name; no decimals for whole numbers."""
    shown = max(0, value) / 1024**unit
    return number(shown, 1 if unit and shown < 99.95 and abs(shown - round(shown)) >= 0.05 else 0)


def rough_time(seconds: float) -> str:
    """A duration in the largest unit that fits: "5 minutes"."""
    unit, size = "second", 1
    for name, length in UNIT_S.items():
        if seconds >= length:
            unit, size = name, length
    count = int(seconds // size)
    match unit:
        case "second":
            return ngettext("{count} second", "{count} seconds", count)
        case "minute":
            return ngettext("{count} minute", "{count} minutes", count)
        case "hour":
            return ngettext("{count} hour", "{count} hours", count)
        case "day":
            return ngettext("{count} day", "{count} days", count)
        case "week":
            return ngettext("{count} week", "{count} weeks", count)
        case "month":
            return ngettext("{count} month", "{count} months", count)
        case _:
            return ngettext("{count} year", "{count} years", count)
