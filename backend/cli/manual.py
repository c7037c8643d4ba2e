"""help: the manual in the terminal."""

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
from backend.support import manual

_LINK: Final = re.compile(r"\[([^\]]+)\]\((?:([a-z-]+)\.md|[^)]+)\)")
_EMPHASIS: Final = re.compile(r"(?<![\w*])\*{1,2}([^*\n]+)\*{1,2}(?![\w*])")
_CODE: Final = re.compile(r"(`[^`\n]+`)")
_FENCE: Final = "```"
_NEAREST: Final = 3
_TELLING: Final = 3
"""So many letters that are part of a name say which one is meant."""


def show(options: argparse.Namespace) -> int:
    """Print a topic, or the list of topics; for a command's name, the command's own help."""
    if options.topic is None:
        return _show_index(options)
    known = manual.help_topic(options.topic)
    if known is None:
        if options.topic not in options.commands:
            return _unknown(options)
        options.commands[options.topic].print_help()
        return EXIT_OK
    text = manual.help_text(known)
    if options.json:
        print_json({"name": known.name, "title": known.title, "text": text})
    else:
        _page(plain_text(text))
    return EXIT_OK


def _show_index(options: argparse.Namespace) -> int:
    known = manual.help_topics()
    if options.json:
        print_json([{"name": one.name, "title": one.title, "summary": one.summary} for one in known])
        return EXIT_OK
    width = max(len(one.name) for one in known)
    lines: list[str] = []
    section = None
    for one in known:
        if one.section != section:
            section = one.section
            lines += ["", section]
        lines.append(f"  {one.name:<{width}}  {one.summary}")
    _page("\n".join(["Topics of the Wherry help. Show one with: wherry help TOPIC", *lines, ""]))
    return EXIT_OK


def _unknown(options: argparse.Namespace) -> int:
    near = _nearest(options.topic.lower(), options.commands)
    hint = f"Did you mean: {', '.join(near)}? " if near else ""
    problem = Problem(
        code=ProblemCode.BAD_REQUEST,
        summary=f"There is no help topic {options.topic[:60]!r}.",
        hint=f"{hint}See all topics with: wherry help",
    )
    print_problem(problem, as_json=options.json)
    return EXIT_USAGE


def _nearest(wanted: str, commands: Iterable[str]) -> list[str]:
    """Topics that are about the word, then names that are spelt nearly so."""
    about = [
        one.name
        for one in manual.help_topics()
        if len(wanted) >= _TELLING and wanted in f"{one.name} {one.title} {one.summary}".lower()
    ]
    names = [*(one.name for one in manual.help_topics()), *commands]
    return list(dict.fromkeys([*about, *difflib.get_close_matches(wanted, names, _NEAREST, 0.5)]))[:_NEAREST]


def plain_text(markdown: str) -> str:
    """A topic as a terminal shows it: headings underlined, code indented, links as their words
    and as commands at the end.

    The topics' lines are short enough for a terminal as they are, so nothing is wrapped anew.
    """
    lines: list[str] = []
    in_code = False
    for line in markdown.splitlines():
        if line.startswith(_FENCE):
            in_code = not in_code
        elif in_code:
            lines.append(f"    {line}".rstrip())
        elif line.startswith("#"):
            level, _, title = line.partition(" ")
            title = _plain_line(title)
            lines += [title, ("=" if level == "#" else "-") * len(title)]
        else:
            lines.append(_plain_line(line))
    related = [match[2] for match in _LINK.finditer(markdown) if match[2]]
    if related:
        lines += ["", "More about this:", *(f"    wherry help {name}" for name in dict.fromkeys(related))]
    return "\n".join(lines) + "\n"


def _plain_line(line: str) -> str:
    """Without links and emphasis; what stands in backquotes stays as it is."""
    parts = _CODE.split(_LINK.sub(r"\1", line))
    return "".join(part if part.startswith("`") else _EMPHASIS.sub(r"\1", part) for part in parts)


def _page(text: str) -> None:
    """Print it: by the user's pager on a terminal, else as it is."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    import pydoc  # knows $PAGER, less and what else there is; only a terminal needs it

    # As git does: text that fits on the screen needs no key to be left.
    os.environ.setdefault("LESS", "FRX")
    pydoc.pager(text)
