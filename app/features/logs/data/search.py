"""Search in a log, in a thread that runs while the log is open: new lines are searched as they arrive.

Patterns are matched with Qt's regular expressions (PCRE2), which support a limit: a pattern that would run for ever on
a line is stopped after some milliseconds, and after a number of such lines the search ends with a message. Python's
matcher can be neither limited nor interrupted, and would block the window.
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
"""Limit of steps for matching one line: some milliseconds."""
_SLOW_LINES: Final = 100
"""Number of lines over the limit after which the search is stopped."""
_BATCH: Final = 2048
MAX_PATTERN_CHARS: Final = 2_000
_OPTIONS: Final = QRegularExpression.PatternOption


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A search query."""

    words: str
    is_regex: bool = False
    is_case_sensitive: bool = False


class Pattern:
    """A compiled query. Not thread-safe."""

    def __init__(self, query: LogQuery) -> None:
        words = query.words[:MAX_PATTERN_CHARS]
        options = _OPTIONS.UseUnicodePropertiesOption if query.is_regex else _OPTIONS.NoPatternOption
        if not query.is_case_sensitive:
            options |= _OPTIONS.CaseInsensitiveOption
        self._regex = QRegularExpression(words if query.is_regex else QRegularExpression.escape(words), options)
        if query.is_regex and self._regex.isValid():
            # In a group, because at a pattern's beginning the user could set another limit.
            self._regex = QRegularExpression(f"(*LIMIT_MATCH={_STEPS})(?:{words})", options)
        # ASCII-only words are searched without a pattern in ASCII-only text.
        is_simple = not query.is_regex and words.isascii()
        self._needle = (words if query.is_case_sensitive else words.lower()) if is_simple else ""
        self._is_case_sensitive = query.is_case_sensitive
        self.slow_lines = 0
        """Number of lines over the limit."""

    @property
    def error(self) -> str:
        """PCRE2's error message for an invalid pattern; empty when it is valid."""
        if self._regex.isValid():
            return ""
        return self._regex.errorString()

    def find(self, texts: str) -> list[int]:
        """Indexes of the matching lines in a text with line feeds; the first is 0."""
        if self._needle and texts.isascii():
            return self._find_needle(texts if self._is_case_sensitive else texts.lower())
        matches = []
        for at, text in enumerate(texts.split("\n")):
            match = self._regex.match(text)
            if match.hasMatch():
                matches.append(at)
            elif not match.isValid():
                self.slow_lines += 1
                if self.slow_lines >= _SLOW_LINES:
                    break
        return matches

    def _find_needle(self, texts: str) -> list[int]:
        matches = []
        line, line_at = 0, 0
        at = texts.find(self._needle)
        while at >= 0:
            line += texts.count("\n", line_at, at)
            matches.append(line)
            line_at = at
            if (end := texts.find("\n", at)) < 0:
                break
            at = texts.find(self._needle, end + 1)
        return matches

    def spans(self, text: str, limit: int = 500) -> list[tuple[int, int]]:
        """Start and length of the first non-empty matches, in UTF-16 units as in Qt."""
        matches: list[tuple[int, int]] = []
        every = self._regex.globalMatch(text)
        while every.hasNext() and len(matches) < limit:
            match = every.next()
            if match.capturedLength():
                matches.append((match.capturedStart(), match.capturedLength()))
        return matches


class LogSearch:
    """Numbers of matching lines from `start` on. MUST be closed with `close`."""

    def __init__(self, buffer: LogBuffer, query: LogQuery, start: int, announce: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            buffer: the log.
            query: valid, and not empty.
            start: first line to search.
            announce: called from the thread after matches or progress; MUST be fast.
        """
        self.query = query
        self.matches: array[int] = array("Q")
        """Ascending, append-only; includes lines that the buffer has dropped."""
        self.scanned = start
        """Lines before this number have been searched."""
        self.is_too_slow = False
        """The pattern is too slow: the search has stopped."""
        self._start = start
        self._buffer = buffer
        self._announce = announce
        self._closed = False
        self._thread = start_thread("log-search", self._run)

    @property
    def is_done(self) -> bool:
        """Whether all existing lines were searched."""
        return self.scanned >= self._buffer.end

    @property
    def progress(self) -> float:
        """Searched fraction of the lines, 0 to 1."""
        start, end = max(self._start, self._buffer.first), self._buffer.end
        return 1.0 if end <= start else min(1.0, max(0, self.scanned - start) / (end - start))

    def close(self) -> threading.Thread:
        """Stop the search. Returns the thread, to be joined."""
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
