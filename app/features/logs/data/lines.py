"""Conversion of a record into a line for display: time, source, sanitised text, colours, level. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from app.features.logs.data.buffer import Record
from app.features.logs.data.levels import Level, level_of
from app.ui.safe_text import Span, clean_line, clean_plain
from backend.api import LOG_TIME_BYTES

_TIME: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z(?: |\Z)")
_TIME_END: Final = LOG_TIME_BYTES - 1
_TEXT_AT: Final = LOG_TIME_BYTES + 1


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for display, sanitised."""

    source: int
    is_error_output: bool
    spans: tuple[Span, ...]
    level: Level
    time: str | None
    """RFC 3339 in UTC with the engine's nine decimals."""
    cut_bytes: int
    """Number of bytes cut from the line."""

    @property
    def text(self) -> str:
        """The text without colours."""
        return "".join(span.text for span in self.spans)


def log_line(record: Record) -> LogLine:
    """Convert a record."""
    untrusted_line = record.untrusted_line
    time = None
    if stamp := _TIME.match(untrusted_line):
        time = stamp.group().rstrip(b" ").decode("ascii")
        untrusted_line = untrusted_line[stamp.end() :]
    spans = clean_line(untrusted_line)
    level = level_of("".join(span.text for span in spans))
    return LogLine(record.source, record.stream == 2, spans, level, time, record.cut)


def plain_texts(untrusted_lines: Iterable[bytes]) -> str:
    """The texts of records as in `log_line`, computed fast, separated by line feeds."""
    return clean_plain(b"\n".join([_without_time(line) for line in untrusted_lines]))


def _without_time(untrusted_line: bytes) -> bytes:
    # The engine's times all have the same length; others are left to the pattern.
    if untrusted_line[_TIME_END:_TEXT_AT] == b"Z " and untrusted_line[10:11] == b"T":
        return untrusted_line[_TEXT_AT:]
    stamp = _TIME.match(untrusted_line)
    return untrusted_line[stamp.end() :] if stamp else untrusted_line


def merge_key(untrusted_line: bytes) -> bytes:
    """The time of a record in a form that can be compared; b"" for none."""
    stamp = _TIME.match(untrusted_line)
    return b"%b.%b" % (stamp[1], (stamp[2] or b"").ljust(9, b"0")) if stamp else b""


def seconds(key: bytes) -> str:
    """Convert a `merge_key` into seconds since the epoch with nine decimals, exactly: a float would round."""
    whole, fraction = key.decode("ascii").split(".")
    return f"{int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())}.{fraction}"


def local_time(time: str) -> str:
    """Format as "23:14:48.343" in this computer's time zone."""
    day, clock = _local_minute(time[:16])
    return f"{day} {clock}{time[16:19]}.{time[20:23].removesuffix('Z').ljust(3, '0')}"


@lru_cache(maxsize=256)
def _local_minute(minute: str) -> tuple[str, str]:
    try:
        local = datetime.fromisoformat(minute).replace(tzinfo=UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        # 2026-13-45: not a valid time.
        return minute[:10], minute[11:]
    return local.strftime("%Y-%m-%d"), local.strftime("%H:%M")
