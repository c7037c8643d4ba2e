"""Log level of a line, recognised by the formats of common programs. Pure, linear in the line's length."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """A greater value is more severe."""

    NONE = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARNING = 4
    ERROR = 5


_EXAMINED_CHARS: Final = 400
"""Number of characters to examine: a level is near the beginning, except in JSON, where it may follow a short
message."""
_WORDS: Final = {
    **dict.fromkeys(("trace", "trc", "trce", "finest", "finer", "verbose", "silly"), Level.TRACE),
    **dict.fromkeys(("debug", "dbg", "dbug", "debu", "debg", "fine", "config"), Level.DEBUG),
    **dict.fromkeys(("info", "inf", "information", "informational", "notice", "log", "statement"), Level.INFO),
    **dict.fromkeys(("warn", "warning", "wrn", "warni"), Level.WARNING),
    **dict.fromkeys(
        ("error", "err", "fail", "eror", "erro", "fatal", "ftl", "panic", "pnc", "critical", "crit", "crt", "severe"),
        Level.ERROR,
    ),
    **dict.fromkeys(("alert", "emerg", "emergency", "dpanic", "fata"), Level.ERROR),
}
_SHORT: Final = {
    **dict.fromkeys("EFC", Level.ERROR),
    **dict.fromkeys("W", Level.WARNING),
    **dict.fromkeys("IN", Level.INFO),
    **dict.fromkeys("D", Level.DEBUG),
    **dict.fromkeys("TV", Level.TRACE),
}
_NAMED: Final = re.compile(
    r"""["']?\b(?:level|lvl|severity|loglevel|log\.level|levelname|log_level|@level|s)["']?\s?[=:]\s?["']?(\w{1,13})""",
    re.IGNORECASE,
)
"""level=warn, "level":"error", "severity": "ERROR", and MongoDB's "s":"I"."""
_NUMBERED: Final = re.compile(r"""["'](?:level|severity)["']\s?:\s?(\d\d)\b""")
"""Numeric levels of pino and bunyan."""
_GLOG: Final = re.compile(r"([IWEF])\d{4} \d\d:\d\d")
_WORD: Final = re.compile(
    r"(?<![\w./=-])(?:[\[<(|]\s?)?"
    r"(TRACE|TRC|FINEST|FINER|VERBOSE|DEBUG|DBG|FINE|INFO|INF|INFORMATION|NOTICE|WARN|WARNING|WRN|ERROR|ERR|FATAL|FTL|PANIC"
    r"|CRITICAL|CRIT|SEVERE|ALERT|EMERG|EMERGENCY|LOG(?=:)|STATEMENT(?=:))"
    r"(?=\s?[\]>)|:]|\s{1,2}\S|\s*$|\[)"
)
"""In capitals: a separate word, or in brackets."""
_SMALL: Final = re.compile(
    r"(?:^\W{0,2}|[\[<(|]\s?|\s(?=\w{4,8}:\s))"
    r"(trace|trce|debug|dbug|info|notice|warn|warning|error|fail|fatal|panic|critical|crit|alert|emerg)"
    r"(?=\s?[\]>)|:]|\s{1,2}\S|\s*$|\[)",
    re.IGNORECASE,
)
"""Otherwise it must be at the start of the line, in brackets or before a colon, because it is also a common word."""
_TRACEBACK: Final = re.compile(
    r"(?:Traceback \(most recent|Exception in thread|Caused by: |panic: |fatal error: |FATAL: )"
)
_REDIS: Final = re.compile(r"\d+:[XCSM] \d\d? \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} ([.\-*#]) ")
_REDIS_LEVELS: Final = {".": Level.DEBUG, "-": Level.DEBUG, "*": Level.INFO, "#": Level.WARNING}
_BEGINNING: Final = 80
"""Number of characters for time, host, process, thread, module. A word after it is more likely part of a sentence."""


def level_of(line: str) -> Level:
    """The level of a sanitised line without its time; NONE when it has none."""
    head = line[:_EXAMINED_CHARS]
    brief = head.lstrip()
    if brief.startswith("{"):
        return _of_json(head)
    if (named := _NAMED.search(head)) and (level := _of_word(named[1])):
        return level
    if glog := _GLOG.match(brief):
        return _SHORT[glog[1]]
    if _TRACEBACK.match(brief):
        return Level.ERROR
    if redis := _REDIS.match(brief):
        return _REDIS_LEVELS[redis[1]]
    if word := _WORD.search(head[:_BEGINNING]) or _SMALL.search(head[:_BEGINNING]):
        return _WORDS.get(word[1].lower(), Level.INFO)
    return Level.NONE


def _of_json(head: str) -> Level:
    if (named := _NAMED.search(head)) and (level := _of_word(named[1])):
        return level
    if numbered := _NUMBERED.search(head):
        return Level(min(5, max(1, int(numbered[1]) // 10)))
    return Level.NONE


def _of_word(word: str) -> Level:
    return _WORDS.get(word.lower(), Level.NONE) or _SHORT.get(word, Level.NONE)
