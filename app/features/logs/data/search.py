"""Search in all lines of a log, in a thread, for as long as the log is open: what comes later is searched as it comes.

Patterns are matched by Qt's regular expressions (PCRE2), which can be told to give up: a pattern that would take for
ever on a line ends there after a few milliseconds, and after some such lines the search says so and stops. Python's own
matcher could neither be bounded nor interrupted, and would hold up the whole window.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRegularExpression

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.lines import plain_texts
from app.links.workers import start_thread

_STEPS: Final = 300_000
"""What a pattern may cost on one line: some milliseconds."""
_SLOW_LINES: Final = 100
"""So many lines may cost that before the search is given up."""
_BATCH: Final = 2048
MAX_PATTERN_CHARS: Final = 2_000
_OPTIONS: Final = QRegularExpression.PatternOption


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What is looked for."""

    words: str
    is_regex: bool = False
    is_case_sensitive: bool = False


class Pattern:
    """A query that can be asked of lines. Not to be shared between threads."""

    def __init__(self, query: LogQuery) -> None:
        words = query.words[:MAX_PATTERN_CHARS]
        options = _OPTIONS.UseUnicodePropertiesOption if query.is_regex else _OPTIONS.NoPatternOption
        if not query.is_case_sensitive:
            options |= _OPTIONS.CaseInsensitiveOption
        self._regex = QRegularExpression(words if query.is_regex else QRegularExpression.escape(words), options)
        if query.is_regex and self._regex.isValid():
            # In a group, for at a pattern's beginning the user could set another limit.
            self._regex = QRegularExpression(f"(*LIMIT_MATCH={_STEPS})(?:{words})", options)
        # Words without anything beyond ASCII are found without a pattern where there is nothing beyond it either.
        is_simple = not query.is_regex and words.isascii()
        self._needle = (words if query.is_case_sensitive else words.lower()) if is_simple else ""
        self._is_case_sensitive = query.is_case_sensitive
        self.slow_lines = 0
        """How many lines were given up."""

    @property
    def error(self) -> str:
        """What is wrong with the pattern, in the words of PCRE2; empty for nothing."""
        if self._regex.isValid():
            return ""
        return self._regex.errorString()

    def find(self, texts: str) -> list[int]:
        """Which of many lines, with line feeds between them, it is in; from 0."""
        if self._needle and texts.isascii():
            return self._find_needle(texts if self._is_case_sensitive else texts.lower())
        found = []
        for at, text in enumerate(texts.split("\n")):
            match = self._regex.match(text)
            if match.hasMatch():
                found.append(at)
            elif not match.isValid():
                self.slow_lines += 1
                if self.slow_lines >= _SLOW_LINES:
                    break
        return found

    def _find_needle(self, texts: str) -> list[int]:
        found = []
        line, line_at = 0, 0
        at = texts.find(self._needle)
        while at >= 0:
            line += texts.count("\n", line_at, at)
            found.append(line)
            line_at = at
            if (end := texts.find("\n", at)) < 0:
                break
            at = texts.find(self._needle, end + 1)
        return found

    def spans(self, text: str, limit: int = 500) -> list[tuple[int, int]]:
        """Start and length of the first matches that are not empty, in UTF-16 units as Qt counts them."""
        found: list[tuple[int, int]] = []
        every = self._regex.globalMatch(text)
        while every.hasNext() and len(found) < limit:
            match = every.next()
            if match.capturedLength():
                found.append((match.capturedStart(), match.capturedLength()))
        return found


class LogSearch:
    """The numbers of the lines that match, found from `start` on. `close` it."""

    def __init__(self, buffer: LogBuffer, query: LogQuery, start: int, announce: Callable[[], None]) -> None:
        """
        Args:
            query: valid, and not empty.
            announce: called from the thread whenever something was found or searched; must be quick.
        """
        self.query = query
        self.matches: array[int] = array("Q")
        """Grows only, in ascending order; lines that the buffer has dropped stay in it."""
        self.scanned = start
        """Lines before this number were searched."""
        self.is_too_slow = False
        """The pattern costs too much: no more is searched."""
        self._start = start
        self._buffer = buffer
        self._announce = announce
        self._closed = False
        self._thread = start_thread("log-search", self._run)

    @property
    def is_done(self) -> bool:
        """Whether all lines that there are were searched."""
        return self.scanned >= self._buffer.end

    @property
    def progress(self) -> float:
        """The part of the lines that was searched, 0 to 1."""
        start, end = max(self._start, self._buffer.first), self._buffer.end
        return 1.0 if end <= start else min(1.0, max(0, self.scanned - start) / (end - start))

    def close(self) -> threading.Thread:
        """End it; gives the thread, to be joined."""
        self._closed = True
        with self._buffer.grown:
            self._buffer.grown.notify_all()
        return self._thread

    def _run(self) -> None:
        buffer, pattern = self._buffer, Pattern(self.query)
        while not (self._closed or self.is_too_slow or buffer.is_closed):
            start = max(self.scanned, buffer.first)
            stop = min(start + _BATCH, buffer.end)
            if start >= stop:
                with buffer.grown:
                    # No deadline: it waits for lines; the feed's end and `close` wake it.
                    buffer.grown.wait_for(
                        lambda: self._closed or buffer.is_closed or buffer.end > max(self.scanned, buffer.first)
                    )
                continue
            texts = plain_texts(buffer.untrusted_lines(start, stop))
            self.matches.extend([start + at for at in pattern.find(texts)])
            self.is_too_slow = pattern.slow_lines >= _SLOW_LINES
            self.scanned = stop
            self._announce()
