"""Storage of the window's preferences: one JSON file for each home, read and written as a whole.

The window defines the keys. This module writes the file atomically, and keeps an unreadable file under another name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode, fail
from backend.files import write_private
from backend.messages import message

_MAX_BYTES: Final = 1_048_576


class PreferencesFile:
    """The preferences file of one home. Created by the first `save`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[dict[str, object], Problem | None]:
        """Read the preferences; empty when there is no file, or with a problem when it is unusable.

        An unusable file is renamed to `preferences.json.broken`.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise ValueError(f"it is longer than {_MAX_BYTES} bytes")
            values = json.loads(content.decode("utf-8"))
            if not isinstance(values, dict):
                raise TypeError("it does not hold a JSON object")
        except FileNotFoundError:
            return {}, None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            return {}, self._broken(error)
        return values, None

    def save(self, values: dict[str, object]) -> None:
        """Replace the stored preferences.

        Raises:
            WherryError: PATH_UNUSABLE; the old file remains.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, json.dumps(values, indent=2, sort_keys=True).encode() + b"\n")
        except OSError as error:
            raise fail(
                ProblemCode.PATH_UNUSABLE,
                message("Couldn't save the window's preferences: {error}.", error=error.strerror or error),
                command=str(self.path),
                hint=message("Check that the machine's folder belongs to you and that its disk has free space."),
            ) from error

    def _broken(self, error: Exception) -> Problem:
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            self.path.replace(aside)
            kept = message("The old file is kept as {path}.", path=aside)
        except OSError:
            kept = message("Correct or move the file. It is overwritten when a preference changes.")
        return Problem(
            code=ProblemCode.CONFIG_BROKEN,
            summary=message(
                "The window's preferences can't be read, so the defaults are used: {error}.", error=str(error)
            ),
            command=str(self.path),
            hint=kept,
        )


def preferences_file(home: Path | None) -> PreferencesFile:
    """The preferences file for a `--home` value; None: the default home."""
    from backend.control.launch import machine_directory

    return PreferencesFile(machine_directory(home).preferences)
