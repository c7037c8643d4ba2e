"""Asks for confirmation before data is deleted."""

from __future__ import annotations

import argparse
import sys

from backend.errors import ProblemCode, fail
from backend.messages import message
from backend.texts import _, pgettext


def confirmed(options: argparse.Namespace, verb: str, question: str) -> bool:
    """Whether the user confirms, by the option --yes or by typing yes.

    Args:
        verb: the command, as in "checkpoint restore".
        question: printed before the prompt.

    Raises:
        WherryError: BAD_REQUEST, standard input is not a terminal.
    """
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("wherry {verb} needs confirmation, but there is no terminal to ask on.", verb=verb),
            hint=message("Confirm with: wherry {verb} --yes", verb=verb),
        )
    yes = pgettext("answer", "yes")
    print(question)
    try:
        answer = input(_("Type {word} to continue: ", word=yes))
    except EOFError:  # Ctrl-D
        print()
        answer = ""
    if answer.strip().lower() in (yes, "yes"):
        return True
    print(_("Nothing was changed."))
    return False
