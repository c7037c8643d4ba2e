"""The exception of the image builder, with a message for the user."""

from __future__ import annotations

_SHOWN_LINES = 15


class ImageError(Exception):
    """Building, packing or verifying an image failed.

    what:   one sentence: what went wrong. ran:    the command line that failed, if any. output: all output of that
    command; only its last lines are shown. advice: what the user can do about it.
    """

    def __init__(self, what: str, *, ran: str = "", output: str = "", advice: str = "") -> None:
        self.what = what
        self.ran = ran
        self.output = output
        self.advice = advice
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [self.what]
        if self.ran:
            lines.append(f"  ran: {self.ran}")
        lines += [f"  | {line}" for line in self.output.strip().splitlines()[-_SHOWN_LINES:]]
        if self.advice:
            lines.append(f"  do: {self.advice}")
        return "\n".join(lines)
