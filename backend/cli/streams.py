"""Standard input and output, made safe to use whatever the locale is and wherever they lead.

A character that the encoding lacks is replaced by a similar one. A stream that is closed is the null device. What is
written to standard error is lost if it cannot be written: the command goes on, and its exit code stays. Standard output
is for results: `OutputLost` tells that they did not arrive.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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


class OutputLost(Exception):  # noqa: N818 -- what happened, and no defect; no OSError, which commands handle themselves
    """Standard output cannot be written: its reader has gone, or its disk is full. What follows is dropped."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def prepare_streams() -> None:
    """Make stdin, stdout and stderr usable. Called once, before anything is read or written."""
    _fill_descriptors()
    # Python leaves None for a stream that was closed, as in `wherry status >&-`.
    sys.stdin = sys.stdin or _null("r")
    sys.stdout = sys.stdout or _null("w")
    sys.stderr = sys.stderr or _null("w")
    codecs.register_error(_ERRORS, _replaced)
    sys.stdout = _safe(sys.stdout, is_result=True)
    sys.stderr = _safe(sys.stderr, is_result=False)


def takes_unicode(stream: object) -> bool:
    """Whether every character can be written to the stream."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def _fill_descriptors() -> None:
    """Open the null device as each of 0, 1 and 2 that is closed: else the next file that is opened would be it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest that is free


def _null(mode: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8")


def _safe(stream: io.TextIOBase | object, *, is_result: bool) -> io.TextIOWrapper:
    """The same stream, which fails at no character, and as the module's docstring says where it leads nowhere."""
    if isinstance(stream, io.TextIOWrapper):
        raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer: PYTHONUNBUFFERED
        # Not in a subclass: a test's. Not on a Windows console, which has no file.
        if type(stream) is io.TextIOWrapper and isinstance(raw, io.FileIO):
            return io.TextIOWrapper(
                io.BufferedWriter(_Output(stream, raw, is_result=is_result)),
                encoding=stream.encoding,
                errors=_ERRORS,
                line_buffering=stream.line_buffering or not is_result or raw is stream.buffer,
            )
        stream.reconfigure(errors=_ERRORS)
    return stream  # type: ignore[return-value]  # as it was


class _Output(io.RawIOBase):
    """An open file that is written to."""

    def __init__(self, stream: io.TextIOWrapper, raw: io.FileIO, *, is_result: bool) -> None:
        self._stream = stream
        self._raw = raw
        self._is_result = is_result
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data; returns how many bytes. Raises OutputLost, once."""
        size = memoryview(data).nbytes
        if self._is_lost:
            return size
        try:
            while (written := self._raw.write(data)) is None:  # another program has made it non-blocking
                select.select([], [self._raw], [])
        except (OSError, ValueError) as error:
            self._is_lost = True
            if self._is_result:
                raise OutputLost(error if isinstance(error, OSError) else OSError(str(error))) from error
            return size
        return written

    def close(self) -> None:
        """See IOBase."""
        if not self.closed:
            super().close()
            with contextlib.suppress(OSError):
                self._stream.close()

    def writable(self) -> bool:
        """See IOBase."""
        return True

    def fileno(self) -> int:
        """See IOBase."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """See IOBase."""
        return self._raw.isatty()


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
