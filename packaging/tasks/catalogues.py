"""Updates the translation catalogues with the texts in the sources, with Babel's `pybabel`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tasks import ROOT, environment
from tasks.generated import babel, catalogues, compile_catalogue

SOURCES = ("app", "backend")
KEYWORDS = (
    "_",
    "message",
    "message_in:1c,2",
    "count_message:1,2",
    "ngettext:1,2",
    "pgettext:1c,2",
    "npgettext:1c,2,3",
)
"""The functions whose texts are translated, and which of their arguments those are; `c` is the context."""


def texts(arguments: Sequence[str]) -> int:
    """Add new texts to every catalogue, untranslated, and remove those that are no longer used."""
    if arguments:
        print("`texts` takes no arguments.", file=sys.stderr)
        return 2
    environment.make()
    update()
    return 0


def update() -> None:
    """Update all catalogues. A changed text counts as a new one, so no outdated translation is kept."""
    template = ROOT / "build" / "wherry.pot"
    template.parent.mkdir(exist_ok=True)
    keywords = ["--no-default-keywords", *(f"--keyword={keyword}" for keyword in KEYWORDS)]
    babel("extract", *keywords, "--no-location", "--sort-output", "--no-wrap", f"--output-file={template}", *SOURCES)
    for path in catalogues():
        babel(
            *("update", "--no-fuzzy-matching", "--ignore-obsolete", "--no-wrap", "--ignore-pot-creation-date"),
            *(f"--input-file={template}", f"--output-file={path}", f"--locale={path.parent.parent.name}"),
        )
        compile_catalogue(path, path.with_suffix(".mo"))
