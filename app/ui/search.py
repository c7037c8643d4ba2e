"""Finding things by what somebody types of their names: pure, quick, without case and accents.

Every word that is typed must be found in a thing's words: at the start of one of them, inside one, or with its letters
in order ("nx" finds "nginx"). The better it is found, the higher the thing stands.
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
"""Letters that are looked at: a name may be as long as an image's reference, or hostile."""


@lru_cache(maxsize=16_384)
def fold(words: str) -> str:
    """As compared: no case, no accents."""
    decomposed = unicodedata.normalize("NFKD", words[:_LONGEST].casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


class NameQuery:
    """What was typed."""

    def __init__(self, typed: str) -> None:
        self.words = tuple(fold(typed).split())
        self._scattered = tuple(re.compile("[^ ]*?".join(map(re.escape, word))) for word in self.words)

    def score_each(self, folded: str) -> tuple[int, ...]:
        """For every word that was typed how well it is found in these folded words; 0: it is not."""
        return tuple(self._score(number, folded) for number in range(len(self.words)))

    def score(self, folded: str) -> int:
        """How well all that was typed is found; 0: it is not. Nothing typed finds everything."""
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
        # One letter that is not there is not anywhere, and two or three scattered ones mean little.
        return _SCATTERED if len(word) > 1 and self._scattered[number].search(folded) else 0
