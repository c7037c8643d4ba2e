"""Standard input and output, made safe to use whatever the locale is and wherever they lead."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from typing import Final

_ERRORS: Final = "wherry-plain"
_PLAIN: Final = {
    "✓": "+",
    "✗": "x",
    "…": "...",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "—": "-",
    "–": "-",
    "·": "-",
    "•": "*",
    "→": "->",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
}


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable: one that is closed is the null device, and none fails at a character."""
    # Python leaves None for a stream that was closed, as in `wherry status >&-`.
    sys.stdin = sys.stdin or _null("r")
    sys.stdout = sys.stdout or _null("w")
    sys.stderr = sys.stderr or _null("w")
    codecs.register_error(_ERRORS, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def discard_output() -> None:
    """Send what is still to be written to the null device, so that the end of the process does not fail at it."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # it has no file descriptor, or is closed
            os.dup2(null, stream.fileno())
    os.close(null)


def _null(mode: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8")


def takes_unicode(stream: object) -> bool:
    """Whether every character can be written to the stream."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Handle characters that the encoding lacks: similar ASCII ones instead, or question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is not text: written as it is
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _PLAIN.get(character) or _letter(character) or "?", error.start + 1


def _letter(character: str) -> str:
    """The letter without its accent."""
    return unicodedata.normalize("NFKD", character).encode("ascii", errors="ignore").decode("ascii")
