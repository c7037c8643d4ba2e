"""The one question that is asked before something is lost."""

from __future__ import annotations

import argparse
import sys

from backend.errors import ProblemCode, fail


def confirmed(options: argparse.Namespace, verb: str, question: str) -> bool:
    """Whether the user wants it: by --yes, or by typing yes.

    Raises:
        WherryError: BAD_REQUEST, there is no terminal to ask on.
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
