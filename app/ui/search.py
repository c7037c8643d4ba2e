"""Fuzzy search by name: pure, fast, ignores case and accents.

Every typed word must match an item's words: at the start of a word, inside it, or with its letters in order ("nx"
matches "nginx"). A better match gives a higher score.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_START = 100
_WORD = 80
_INSIDE = 60
_SCATTERED = 15
_LONGEST = 400
"""Number of characters examined: names can be as long as an image's reference, or malicious."""


@lru_cache(maxsize=16_384)
def fold(words: str) -> str:
    """Normalise for comparison: no case, no accents."""
    decomposed = unicodedata.normalize("NFKD", words[:_LONGEST].casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


class NameQuery:
    """A compiled query."""

    def __init__(self, typed: str) -> None:
        self.words = tuple(fold(typed).split())
        self._scattered = tuple(re.compile("[^ ]*?".join(map(re.escape, word))) for word in self.words)

    def score_each(self, folded: str) -> tuple[int, ...]:
        """Score of each typed word in the folded text; 0: no match."""
        return tuple(self._score(number, folded) for number in range(len(self.words)))

    def score(self, folded: str) -> int:
        """Score of the whole query; 0: no match. An empty query matches everything."""
        if not self.words:
            return 1
        scores = self.score_each(folded)
        return 0 if 0 in scores else max(1, sum(scores) - len(folded) // 8)

    def _score(self, number: int, folded: str) -> int:
        word = self.words[number]
        at = folded.find(word)
        if at == 0:
            return _START
        if at > 0:
            return _WORD if f" {word}" in folded or f"-{word}" in folded else _INSIDE
        # A single missing letter matches nothing, and two or three scattered ones mean little.
        return _SCATTERED if len(word) > 1 and self._scattered[number].search(folded) else 0
