"""Asks for confirmation before data is deleted."""

from __future__ import annotations

import argparse
import sys

from backend.errors import ProblemCode, fail


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
            f"wherry {verb} takes something away and asks first, and there is no terminal to ask on.",
            hint=f"Confirm with: wherry {verb} --yes",
        )
    print(question)
    try:
        answer = input("Type yes to go on: ")
    except EOFError:  # Ctrl-D
        print()
        answer = ""
    if answer.strip().lower() == "yes":
        return True
    print("Nothing was changed.")
    return False
