"""An argument parser that answers an unknown command with the one that was probably meant."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from typing import Final, NoReturn

from backend.messages import message
from backend.texts import _, say

_UNKNOWN: Final = re.compile(r"argument COMMAND: invalid choice: '([^']*)'")

ELSEWHERE: Final = {
    "autostart": ("login", "boot"),
    "checkpoint": ("snapshot", "snapshots", "backup"),
    "config": ("set", "settings", "edit", "configure", "preferences"),
    "context": ("use", "docker-context"),
    "doctor": ("check", "diagnose", "diagnostics"),
    "env": ("docker-env",),
    "help": ("man", "docs"),
    "ports": ("port", "forward"),
    "reclaim": ("prune", "trim"),
    "reset": ("delete", "rm", "remove", "destroy", "factory-reset", "clean"),
    "restart": ("reload", "reboot"),
    "shell": ("ssh", "exec", "run", "sh", "bash", "enter"),
    "start": ("up", "resume", "unpause", "init", "create"),
    "stats": ("top", "usage"),
    "status": ("list", "ls", "ps", "info", "inspect", "state"),
    "stop": ("down", "halt", "shutdown", "quit", "kill", "poweroff"),
    "suspend": ("pause", "sleep", "save"),
    "support-bundle": ("bug-report", "report", "gather"),
    "update": ("upgrade",),
}
"""Our commands, each with the words that programs like this one have for it."""


class CommandParser(argparse.ArgumentParser):
    """The parser of the whole command line; `commands` are the names it knows, for suggestions."""

    commands: Iterable[str] = ()

    def error(self, message: str) -> NoReturn:
        """Print what was wrong to stderr and exit with 2."""
        found = _UNKNOWN.search(message)
        if found is None:
            super().error(message)
        self.exit(2, f"{self.prog}: {unknown_command(found[1], self.commands)}\n")


def unknown_command(word: str, commands: Iterable[str]) -> str:
    """The text for a command that does not exist, with up to three that may be meant."""
    known = list(commands)
    meant = [ours for ours, theirs in ELSEWHERE.items() if word.lower() in theirs]
    near = [*meant, *difflib.get_close_matches(word.lower(), known, 3, 0.6)]
    lines = [_("There is no command “{word}”.", word=word[:60])]
    if near:
        names = tuple(f"wherry {name}" for name in dict.fromkeys(near))
        lines.append(say(message("Did you mean {names}?", names=names)))
    lines.append(_("See all commands with: wherry --help"))
    return "\n".join(lines)
