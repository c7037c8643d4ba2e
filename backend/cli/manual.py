"""`wherry help`: prints the manual's topics."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable
from typing import Final

from backend.cli.exits import EXIT_OK, EXIT_USAGE
from backend.cli.output import print_json, print_problem
from backend.errors import Problem, ProblemCode
from backend.messages import message, sentences
from backend.support import manual
from backend.texts import _

_LINK: Final = re.compile(r"\[([^\]]+)\]\((?:([a-z-]+)\.md|[^)]+)\)")
_EMPHASIS: Final = re.compile(r"(?<![\w*])\*{1,2}([^*\n]+)\*{1,2}(?![\w*])")
_CODE: Final = re.compile(r"(`[^`\n]+`)")
_FENCE: Final = "```"
_MAX_SUGGESTIONS: Final = 3
_MIN_SEARCH_LENGTH: Final = 3
"""Shortest word that is searched for in titles and summaries."""


def show(options: argparse.Namespace) -> int:
    """Print a topic, or the list of topics; for a command's name, the command's own help."""
    if options.topic is None:
        return _show_index(options)
    topic = manual.help_topic(options.topic)
    if topic is None:
        if options.topic not in options.commands:
            return _report_unknown(options)
        options.commands[options.topic].print_help()
        return EXIT_OK
    text = manual.help_text(topic)
    if options.json:
        print_json({"name": topic.name, "title": topic.title, "text": text})
    else:
        _print_paged(plain_text(text))
    return EXIT_OK


def _show_index(options: argparse.Namespace) -> int:
    topics = manual.help_topics()
    if options.json:
        print_json([{"name": topic.name, "title": topic.title, "summary": topic.summary} for topic in topics])
        return EXIT_OK
    width = max(len(topic.name) for topic in topics)
    lines: list[str] = []
    section = None
    for topic in topics:
        if topic.section != section:
            section = topic.section
            lines += ["", section]
        lines.append(f"  {topic.name:<{width}}  {topic.summary}")
    _print_paged("\n".join([_("Topics of the Wherry help. Show one with: wherry help TOPIC"), *lines, ""]))
    return EXIT_OK


def _report_unknown(options: argparse.Namespace) -> int:
    near = _suggestions(options.topic.lower(), options.commands)
    hint = message("See all topics with: wherry help")
    if near:
        hint = sentences(message("Did you mean {names}?", names=tuple(near)), hint)
    problem = Problem(
        code=ProblemCode.BAD_REQUEST,
        summary=message("There is no help topic “{topic}”.", topic=options.topic[:60]),
        hint=hint,
    )
    print_problem(problem, as_json=options.json)
    return EXIT_USAGE


def _suggestions(wanted: str, commands: Iterable[str]) -> list[str]:
    """Up to three suggestions: topics that contain the word, then topics and commands with a similar name."""
    about = [
        one.name
        for one in manual.help_topics()
        if len(wanted) >= _MIN_SEARCH_LENGTH and wanted in f"{one.name} {one.title} {one.summary}".lower()
    ]
    names = [*(one.name for one in manual.help_topics()), *commands]
    return list(dict.fromkeys([*about, *difflib.get_close_matches(wanted, names, _MAX_SUGGESTIONS, 0.5)]))[
        :_MAX_SUGGESTIONS
    ]


def plain_text(markdown: str) -> str:
    """Convert a topic to plain text: headings are underlined, code is indented, linked topics are listed at the end.

    Lines are not wrapped: the manual's are short enough for a terminal.
    """
    lines: list[str] = []
    in_code = False
    for line in markdown.splitlines():
        if line.startswith(_FENCE):
            in_code = not in_code
        elif in_code:
            lines.append(f"    {line}".rstrip())
        elif line.startswith("#"):
            level, _space, title = line.partition(" ")
            title = _plain_line(title)
            lines += [title, ("=" if level == "#" else "-") * len(title)]
        else:
            lines.append(_plain_line(line))
    related = [match[2] for match in _LINK.finditer(markdown) if match[2]]
    if related:
        lines += ["", _("More about this:"), *(f"    wherry help {name}" for name in dict.fromkeys(related))]
    return "\n".join(lines) + "\n"


def _plain_line(line: str) -> str:
    """Remove links and emphasis from a line, except in code between backquotes."""
    parts = _CODE.split(_LINK.sub(r"\1", line))
    return "".join(part if part.startswith("`") else _EMPHASIS.sub(r"\1", part) for part in parts)


def _print_paged(text: str) -> None:
    """Print the text: on a terminal with the user's pager."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    import pydoc  # slow to import, and needed on a terminal only

    # As git does: less ends at once if the text fits on the screen.
    os.environ.setdefault("LESS", "FRX")
    pydoc.pager(text)
