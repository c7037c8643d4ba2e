"""Where the window keeps what it remembers: one JSON object per home, read and written whole.

What the keys mean is the window's own affair; here is only that the file is never half written, and that one which
cannot be read is kept aside instead of being written over.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from backend.errors import Problem, ProblemCode, fail
from backend.files import write_private

_MAX_BYTES: Final = 1_048_576


class PreferencesFile:
    """The file of one home. Made when it is first saved."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[dict[str, Any], Problem | None]:
        """What was saved; empty when there is nothing, or with a problem when it cannot be used.

        A file that cannot be used is renamed to `preferences.json.broken`, where its owner finds it.
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

    def save(self, values: dict[str, Any]) -> None:
        """Replace what was saved.

        Raises:
            WherryError: PATH_UNUSABLE; the old file stays.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, json.dumps(values, indent=2, sort_keys=True).encode() + b"\n")
        except OSError as error:
            raise fail(
                ProblemCode.PATH_UNUSABLE,
                f"The window's preferences could not be saved: {error.strerror or error}.",
                command=str(self.path),
                hint="Check that the machine's home belongs to you and that its disk has room.",
            ) from error

    def _broken(self, error: Exception) -> Problem:
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            self.path.replace(aside)
            kept = f"The old file is kept as {aside}."
        except OSError:
            kept = "Correct the file, or move it away; it is written over when a preference changes."
        return Problem(
            code=ProblemCode.CONFIG_BROKEN,
            summary=f"The window's preferences could not be read and are the defaults now: {error}.",
            command=str(self.path),
            hint=kept,
        )


def preferences_file(home: Path | None) -> PreferencesFile:
    """The file of the machine that `home` means, as every client finds it."""
    from backend.control.launch import machine_directory

    return PreferencesFile(machine_directory(home).preferences)
