"""The manual's topics, for the window and `wherry help`.

Each topic is a Markdown file in `app/help`; `index.md` there lists them by section. They are read as data files of the
package `app`, none of whose code is imported.
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
    """Its name in `wherry help NAME`, and of its file without ".md"."""
    title: str
    summary: str
    """What it is about, in a few words."""
    section: str
    """Heading of its group in the index."""


@lru_cache(maxsize=1)
def help_topics() -> tuple[HelpTopic, ...]:
    """All topics, in the order of the index."""
    topics: list[HelpTopic] = []
    section = ""
    for line in _index_text().splitlines():
        if heading := _SECTION.fullmatch(line):
            section = heading[1]
        elif entry := _ENTRY.fullmatch(line):
            topics.append(HelpTopic(title=entry[1], name=entry[2], summary=entry[3], section=section))
    return tuple(topics)


def help_topic(name: str) -> HelpTopic | None:
    """The topic of that name; None if there is none."""
    return next((topic for topic in help_topics() if topic.name == name), None)


def _index_text() -> str:
    """The Markdown of the index."""
    return _read(_INDEX)


def help_text(topic: HelpTopic) -> str:
    """The Markdown of a topic. Links to other topics are file names: `[Logs](logs.md)`."""
    return _read(topic.name)


def _read(name: str) -> str:
    return (resources.files(_PACKAGE) / _FOLDER / f"{name}.md").read_text(encoding="utf-8")
