"""The manual: its topics, as the window and `wherry help` show them.

The topics are Markdown files in `app/help`, one each; `index.md` there lists them by section. They are read as data of
the package `app`, which is found by its name: no code of it is imported or run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

_PACKAGE: Final = "app"
_FOLDER: Final = "help"
_INDEX: Final = "index"
_SECTION: Final = re.compile(r"## (.+)")
_ENTRY: Final = re.compile(r"- \[(.+)\]\(([a-z-]+)\.md\): (.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpTopic:
    """One topic of the manual."""

    name: str
    """As in `wherry help NAME`: the name of its file without the ending."""
    title: str
    summary: str
    """What it is about, in a few words."""
    section: str
    """Heading of the group that it belongs to."""


@lru_cache(maxsize=1)
def help_topics() -> tuple[HelpTopic, ...]:
    """All topics, in the order of the index."""
    found: list[HelpTopic] = []
    section = ""
    for line in _index_text().splitlines():
        if heading := _SECTION.fullmatch(line):
            section = heading[1]
        elif entry := _ENTRY.fullmatch(line):
            found.append(HelpTopic(title=entry[1], name=entry[2], summary=entry[3], section=section))
    return tuple(found)


def help_topic(name: str) -> HelpTopic | None:
    """The topic of that name; None if there is none."""
    return next((known for known in help_topics() if known.name == name), None)


def _index_text() -> str:
    """The Markdown of the index."""
    return _read(_INDEX)


def help_text(known: HelpTopic) -> str:
    """The Markdown of a topic. Links to other topics are file names: `[Logs](logs.md)`."""
    return _read(known.name)


def _read(name: str) -> str:
    return (resources.files(_PACKAGE) / _FOLDER / f"{name}.md").read_text(encoding="utf-8")
